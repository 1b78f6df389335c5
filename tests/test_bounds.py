"The calculators against their formulas, and the guarantees on runs. Covers bounds, task, behavior."
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import BestOf, Frozen, OnPolicy, SequenceMixture, StepwiseBestOf, TeacherForced, TokenMixture, Uniform
from pgpost.bounds import (algorithm1_budget, algorithm2_budget, average_error, leading_queries, path_bound, path_constant, rebuild_price,
                           run_bound, search_queries, steps_to_error)
from pgpost.features import ContextOnly, LastToken
from pgpost.policy import LinearPolicy
from pgpost.quantile import likelihood_quantile, token_likelihood_quantile
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adaptive, constant
from pgpost.task import Task, coherent_tokens, finite_contexts, independent_tokens, max_margin, prescribed_policy
from pgpost.train import post_train, pretrain, train
from scipy.optimize import linprog, minimize


@settings(max_examples=100, deadline=None, derandomize=True)
@given(eps=st.floats(.01, 1), k=st.integers(2, 64), N=st.integers(1, 300), gamma=st.floats(.05, 1), alpha=st.floats(1e-4, 1))
def test_steps_to_error_is_the_smallest_number(eps, k, N, gamma, alpha):
    T = steps_to_error(eps, k=k, N=N, gamma=gamma, alpha=alpha)
    assert average_error(T, k, N, gamma, alpha) <= eps < average_error(T - 1, k, N, gamma, alpha)


@pytest.mark.slow
@pytest.mark.parametrize("make", [coherent_tokens, independent_tokens])
def test_average_error_bounds_runs(make):
    "Supervised training on every run; outcome rewards with the uniform behavior, alpha = k^-N, in expectation (mean of 4 runs)."
    M, k, N, T = 2, 2, 2, 8000
    task = make(M, k, N, rng=0)
    gamma = task.margin(task.centers)
    assert pretrain(task, steps=T, stepsize=adaptive(), every=T, rng=0).average_error <= average_error(T, k, N, gamma) < 1
    runs = post_train(task, LinearPolicy(task.encoder).replicated(4), "outcome", Uniform(), steps=T, stepsize=adaptive(), every=T, rng=0)
    assert runs.average_error.shape == (4,) and runs.average_error.mean() <= average_error(T, k, N, gamma, alpha=k**-N)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_budgets_of_both_algorithms_hold(seed):
    "A staircase of two steps; the error bound is not vacuous."
    M, k, N, T, eps = 3, 3, 3, 12_000, 1 / 3
    task = coherent_tokens(M, k, N, rng=seed)
    base, gamma, start = prescribed_policy(task, np.log([1e-6, .1, .1])), task.margin(task.centers), LinearPolicy(task.encoder)
    y = task.path(task.centers).tokens()
    Q = float(np.exp(likelihood_quantile(base.log_likelihood(task.centers, y), eps)))
    Q_token = float(np.exp(token_likelihood_quantile(base.token_log_likelihood(task.centers, y), eps)))
    assert Q == pytest.approx(.1) and Q_token == pytest.approx(.1 ** (1 / 3))
    B = path_bound(T, k, N, gamma) / (1 - np.exp(-1))
    one, two = algorithm1_budget(eps, Q, k, N, gamma), algorithm2_budget(eps, Q_token, k, N, gamma)
    for reward, behavior, most in [("outcome", BestOf(SequenceMixture(base), one.m), T + one.m * (B + eps * T)),
                                   ("process", StepwiseBestOf(TokenMixture(base), two.m), T + N * (2 / Q_token * B + two.m * eps * T))]:
        run = post_train(task, start, reward, behavior, steps=T, stepsize=adaptive(), every=T, rng=seed)
        assert run.average_error <= eps + B / T < 1 and T < run.ledger.queries <= most


def test_growth_is_that_of_the_theorems():
    "Without support: outcome queries by a factor k a token, process queries linear in N up to logarithms; both with 1/gamma^2."
    one = np.array([algorithm1_budget(.1, 4.**-N, 4, N, .5).queries for N in range(20, 30)])
    assert np.log(one[1:] / one[:-1]) == pytest.approx(np.log(4), abs=.02)
    two = np.array([algorithm2_budget(.1, 1 / 4, 4, N, .5).queries for N in (2**10, 2**20)])
    assert np.log2(two[1] / two[0]) == pytest.approx(10, abs=2.5)
    assert search_queries("outcome", 4, 10, .05) / search_queries("outcome", 4, 9, .05) == pytest.approx(4 * .9, rel=1e-4)
    assert search_queries("process", 4, 10, .05) == search_queries("process", 4, 20, .05)


def test_the_margin_is_that_of_centered_weights():
    "The counterexample: two tokens, one context, one position have the margin sqrt 2, and the calculators take it."
    for make in coherent_tokens, independent_tokens:
        task = make(1, 2, 1, rng=0)
        gamma = task.margin(task.centers)
        assert gamma == pytest.approx(np.sqrt(2), rel=1e-12)
        assert search_queries("outcome", 2, 1, gamma) == pytest.approx(1.5) and path_bound(100, 2, 1, gamma) > 0
    with pytest.raises(ValueError, match=r"at most sqrt\(k/\(\(k-1\)N\)\) = 1, got 1.1"): search_queries("outcome", 2, 2, 1.1)
    with pytest.raises(ValueError, match=r"gamma must lie in \(0, sqrt 2\]"): path_bound(100, 2, 1, 1.5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 4), k=st.integers(2, 4), N=st.integers(1, 4), scale=st.sampled_from([.01, 1., 100.]))
def test_margins_do_not_depend_on_units(seed, d, k, N, scale):
    "Neither the length of the contexts (without a previous token) nor that of the weights, nor a constant a row; and no margin exceeds the largest one."
    rng = np.random.default_rng(seed)
    x, W = rng.normal(size=(3, d)), rng.normal(size=(d, k))
    task = Task(finite_contexts(x), LinearPolicy(ContextOnly(d, k), W), N)
    other = Task(finite_contexts(x), LinearPolicy(ContextOnly(d, k), scale * (W + rng.normal(size=(d, 1)))), N)
    assert other.margins(scale * x) == pytest.approx(task.margins(x), rel=1e-6, abs=1e-12)
    assert 0 <= task.margin(x) <= max_margin(task, x) * (1 + 1e-9) <= np.sqrt(2) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_margin_against_a_general_solver(seed):
    "The convex program itself: the shortest weights with a lead of 1 over every other token."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    task = Task(finite_contexts(x), LinearPolicy(LastToken(3, 3), rng.normal(size=(6, 3))), N=4)
    path = task.path(x)
    h = task.encoder.h(x, path.row, path.state)[path.place]
    leads = np.array([np.kron(f, np.eye(3)[t] - np.eye(3)[other]) for f, t in zip(h, path.token) for other in range(3) if other != t])
    start = task.W.ravel() / (leads @ task.W.ravel()).min()
    found = minimize(lambda w: w @ w, start, jac=lambda w: 2 * w, constraints=dict(type="ineq", fun=lambda w: leads @ w - 1, jac=lambda w: leads),
                     options=dict(maxiter=1000, ftol=1e-12))
    assert (leads @ found.x).min() > 1 - 1e-7
    assert max_margin(task, x) == pytest.approx(1 / np.linalg.norm(found.x) / np.sqrt(2), rel=1e-5)


def test_what_cannot_be_separated_has_no_margin():
    "Three contexts on a line, of which the middle one wants another token; the linear program has no solution either."
    X = np.array([[1., 0], [.5, .5], [0, 1]])
    task = Task(finite_contexts(X), LinearPolicy(ContextOnly(2, 2), [[1., -1], [1, -1]]), 1)
    task.path = lambda x: task.encoder.path([[0], [1], [0]])  # labels that no weights give
    assert max_margin(task, X) == 0
    wanted = np.array([np.kron(x, e) for x, e in zip(X, [[1, -1], [-1, 1], [1, -1]])])
    assert linprog(np.zeros(4), A_ub=-wanted, b_ub=-np.ones(3), bounds=(None, None)).status == 2


def test_constants_of_the_path_bound():
    assert path_constant() == pytest.approx(3.34, abs=.005) and path_constant(np.sqrt(2)) == pytest.approx(5.19, abs=.005)
    loss = np.geomspace(1e-8, 1e3, 10**6)
    for norm in .1, .5, 1., 1.2, np.sqrt(2):
        a = np.sqrt(2) * norm
        assert path_constant(norm) == pytest.approx((-np.expm1(-loss) * (4 / loss + 2 * a)).max() / (2 - a / 2), rel=1e-6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(T=st.integers(1, 10**9), k=st.integers(2, 64), N=st.integers(1, 10**4), log_gamma=st.floats(-3, .34), norm=st.floats(.05, 1.41), data=st.data())
def test_path_bound_is_the_smallest_over_the_scale(T, k, N, log_gamma, norm, data):
    "No other scale of the comparison weights gives less, from zero weights and from a base policy; and it is below the bound with round constants."
    gamma = float(np.exp(log_gamma))
    far = data.draw(st.floats(0, 100))
    along = data.draw(st.floats(-1, 1)) * np.sqrt(far)
    def value(c): return path_constant(norm) * (far - 2 * c * along / (gamma * norm) + (c / (gamma * norm))**2 + T * N / 2 * np.log1p((k - 1) * np.exp(-c)))
    bound = path_bound(T, k, N, gamma, norm=norm, start=(far, along))
    c = np.append(np.linspace(0, 60, 3001), along * gamma * norm * np.linspace(.9, 1.5, 100))
    assert bound <= value(c[c >= 0]).min() * (1 + 1e-9) + 1e-6
    if T * k * N > 10: assert path_bound(T, k, N, gamma, norm=norm) < 8 * np.log(k * N * T)**2 / (gamma * norm)**2 + 4


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("reward", [Outcome(), Process()], ids=["outcome", "process"])
def test_post_training_keeps_the_bound_of_its_base_policy(reward, seed):
    "Features of norm sqrt 2 and of one-hot contexts; bases that pre-training left, that lean the wrong way, and that are certain; a stack has one for each."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    chain, T = Task(finite_contexts(x), LinearPolicy(LastToken(3, 3), rng.normal(size=(6, 3))), N=5, centers=x), 500
    easy = coherent_tokens(3, 3, 4, rng=seed)
    for task in chain, easy:
        pre = pretrain(task, steps=100, stepsize=adaptive(), every=100, rng=seed).policy
        wrong = LinearPolicy(task.encoder, rng.normal(size=task.W.shape))
        for base in pre, wrong, LinearPolicy(task.encoder, 20 * task.W):
            run = train(task, base, OnPolicy(), reward, adaptive(), T, 2, every=T, rng=seed)
            assert 0 <= run.path_sum <= run_bound(task, task.centers, T, base)
        stack = LinearPolicy(task.encoder, np.stack([pre.W, wrong.W]))
        runs = train(task, stack, Frozen(pre), reward, adaptive(), T, every=T, rng=seed)
        bounds = run_bound(task, task.centers, T, stack)
        assert bounds.shape == (2,) and (runs.path_sum <= bounds).all()


@pytest.mark.parametrize("name, step", [("squared", adaptive(squared=True)), ("constant", constant(1 / 16))])
def test_other_steps_keep_their_bounds(name, step):
    task, T = coherent_tokens(2, 3, 4, rng=0), 2000
    for base in LinearPolicy(task.encoder), prescribed_policy(task, np.log([1e-8, .9])):
        run = train(task, base, TeacherForced(), Outcome(), step, T, every=T, rng=0)
        assert 1 < run.path_sum <= run_bound(task, task.centers, T, base, stepsize=name)


def test_a_base_policy_can_make_the_bound_bite():
    "From weights that point the right way the bound is far below that from zero; a run that does not learn breaks both."
    task, T = coherent_tokens(2, 4, 4, rng=0), 4000
    base = prescribed_policy(task, np.log([.8, .8]))
    assert run_bound(task, task.centers, T, base) < .5 * run_bound(task, task.centers, T)
    stays = train(task, LinearPolicy(task.encoder), TeacherForced(), Outcome(), constant(1e-9), T, every=T, rng=0)
    assert stays.path_sum > run_bound(task, task.centers, T)


def test_features_in_any_unit_have_one_bound():
    "Contexts five times as long, with R = 5: the same run, the same bound."
    short, T = coherent_tokens(2, 3, 4, rng=0), 300
    long = Task(finite_contexts(5 * np.eye(2)), LinearPolicy(short.encoder, short.W), 4, centers=5 * np.eye(2))
    one = train(short, LinearPolicy(short.encoder), OnPolicy(), Process(), adaptive(), T, every=T, rng=0)
    two = train(long, LinearPolicy(short.encoder), OnPolicy(), Process(), adaptive(5.), T, every=T, rng=0)
    assert two.path_sum == pytest.approx(one.path_sum, rel=1e-9)
    assert run_bound(long, long.centers, T, R=5.) == pytest.approx(run_bound(short, short.centers, T), rel=1e-9)
    with pytest.raises(ValueError, match=r"norm must lie in \(0, sqrt 2\], got 5"): run_bound(long, long.centers, T)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 20))
def test_the_price_of_a_rebuild_lies_between_its_hardest_token_and_n_of_them(seed, N):
    ll = -np.random.default_rng(seed).exponential(size=(7, N))
    for eps in 0, .3, .9:
        worst = float(np.exp(-token_likelihood_quantile(ll, eps)))
        price = rebuild_price(ll, eps)
        assert worst * (1 - 1e-9) <= price * (1 + 1e-9) and price <= N * worst * (1 + 1e-9)
        assert leading_queries(.1, .3, 1 / worst, N, price=price) <= leading_queries(.1, .3, 1 / worst, N) * (1 + 1e-9)
