"Algorithms 1 and 2 of the paper against closed forms, and against a simulation that draws every token. Covers behavior."
import numpy as np
import pytest
from pgpost.behavior import BestOf, Frozen, SequenceMixture, StepwiseBestOf, TokenMixture, Uniform, _draws_until_success
from pgpost.bounds import run_bound
from pgpost.features import LastToken
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adaptive
from pgpost.task import Task, coherent_tokens, finite_contexts
from pgpost.train import post_train

K, N, BATCH, BATCHES = 3, 4, 100, 300


@pytest.fixture
def instance():
    "A policy and a base policy on one context: the forward pass, q0, and their token probabilities on the correct response."
    rng = np.random.default_rng(3)
    x = np.tile(rng.normal(size=(1, 3)), (BATCH, 1))
    truth = LinearPolicy(LastToken(3, K), rng.normal(size=(6, K)))
    policy, q0 = (LinearPolicy(truth.encoder, c * truth.W + .3 * rng.normal(size=(6, K))) for c in (.8, .3))
    correct = policy.forward(x, truth.greedy(x, N))
    y = correct.path.tokens()[:1]
    return correct, q0, np.exp(policy.token_log_likelihood(x[:1], y)[0]), np.exp(q0.token_log_likelihood(x[:1], y)[0])


def mean_and_error(behavior, correct, reward):
    "Mean queries a context, their standard error, and how often each verified length was reached, over all batches."
    rng, queries, lengths = np.random.default_rng(0), [], []
    for _ in range(BATCHES):
        verified, cost = behavior.propose(correct, reward, rng)
        queries.append(cost.queries.mean())
        lengths.append(verified)
    return np.mean(queries), np.std(queries) / np.sqrt(BATCHES), np.concatenate(lengths)


@pytest.mark.parametrize("m", [1, 4, 10**6])
def test_queries_of_algorithm_1(instance, m):
    "1 + (1 - p)(1 - (1 - alpha)^m)/alpha within 4 standard errors, and the probability of success."
    correct, q0, p, q = instance
    alpha, mistake = .5 * q.prod() + .5 * K**-N, 1 - p.prod()
    mean, error, lengths = mean_and_error(BestOf(SequenceMixture(q0), m), correct, Outcome())
    assert abs(mean - (1 + mistake * (1 - (1 - alpha)**m) / alpha)) < 4 * error + 1e-12
    success = 1 - mistake * (1 - alpha)**m
    assert abs((lengths == N).mean() - success) <= 4 * np.sqrt(success * (1 - success) / len(lengths)) + 1e-12


@pytest.mark.parametrize("m", [1, 4, 200])
def test_queries_of_algorithm_2(instance, m):
    "1 + (1 - p) sum_i s_1 .. s_(i-1) s_i/q_i within 4 standard errors, and the law of the length that is reached."
    correct, q0, p, q = instance
    q, mistake = .5 * q + .5 / K, 1 - p.prod()
    s = 1 - (1 - q)**m
    reached = np.cumprod(np.append(1, s))
    mean, error, lengths = mean_and_error(StepwiseBestOf(TokenMixture(q0), m), correct, Process())
    assert abs(mean - (1 + mistake * (reached[:-1] * s / q).sum())) < 4 * error
    for L in range(1, N + 1):
        law = p.prod() + mistake * reached[L]
        assert abs((lengths >= L).mean() - law) <= 4 * np.sqrt(law * (1 - law) / len(lengths)) + 1e-12


@pytest.mark.parametrize("m", [1, 3])
def test_algorithms_agree_with_a_simulation_of_every_token(instance, m):
    "Mean and standard deviation of the queries of single contexts, drawn token by token, 20,000 times: within 5 standard errors."
    correct, q0, _, _ = instance
    rng, n = np.random.default_rng(1), 20_000
    x, policy, y = np.tile(correct.x[:1], (n, 1)), correct.policy, correct.path.tokens()[0]
    right = (policy.sample(x, N, rng) == y).all(axis=1)

    whole = np.ones(n)
    for _ in range(m):
        drawn = np.where(rng.random((n, 1)) < .5, q0.sample(x, N, rng), rng.integers(K, size=(n, N)))
        whole += ~right & (whole > 0)
        found = ~right & (whole > 0) & (drawn == y).all(axis=1)
        whole[found] *= -1  # done: the sign marks it

    q = .5 * np.exp(q0.token_log_likelihood(x[:1], y[None])[0]) + .5 / K
    steps, alive = np.ones(n), ~right
    for i in range(N):
        pending = alive.copy()
        for _ in range(m):
            steps += pending
            pending &= rng.random(n) >= q[i]
        alive &= ~pending

    one = policy.forward(x[:1], policy.encoder.path(y[None]))
    for simulated, behavior, reward, most in [(abs(whole), BestOf(SequenceMixture(q0), m), Outcome(), 1 + m),
                                              (steps, StepwiseBestOf(TokenMixture(q0), m), Process(), 1 + N * m)]:
        ours = np.array([behavior.propose(one, reward, rng)[1].queries.sum() for _ in range(n)])
        assert abs(ours.mean() - simulated.mean()) < 5 * np.sqrt((ours.var() + simulated.var()) / n)
        assert ours.std() == pytest.approx(simulated.std(), rel=.05)
        assert 1 == ours.min() < ours.max() <= most


def test_draws_until_success_far_below_the_smallest_float():
    "Mean of the logarithm of a geometric variable: log(1/p) minus Euler's constant for small p; and the exact law for p = 0.3."
    rng, n = np.random.default_rng(0), 100_000
    for log_p in -50., -500.:
        logs = np.log(_draws_until_success(np.full(n, log_p), rng))
        assert abs(logs.mean() - (-log_p - np.euler_gamma)) < 5 * np.pi / np.sqrt(6 * n)
    draws = _draws_until_success(np.full(n, np.log(.3)), rng)
    for t in range(1, 8): assert abs((draws > t).mean() - .7**t) < 5 * np.sqrt(.7**t / n)
    assert (_draws_until_success(np.zeros(10), rng) == 1).all() and np.isinf(_draws_until_success(np.full(10, -1e4), rng)).all()


@pytest.mark.parametrize("seed", range(3))
def test_path_bound_holds_for_both_algorithms(seed):
    task, T = coherent_tokens(3, 3, 4, rng=seed), 1500
    base = LinearPolicy(task.encoder)
    bound = run_bound(task, task.centers, T)
    for reward, behavior in ("outcome", BestOf(SequenceMixture(base), 81)), ("process", StepwiseBestOf(TokenMixture(base), 12)):
        run = post_train(task, base, reward, behavior, steps=T, stepsize=adaptive(), every=T, rng=seed)
        assert 0 < run.path_sum <= bound and run.history.test_error.iloc[-1] < .1
        assert run.ledger.queries > T


def test_a_perfect_fallback_costs_one_query_more():
    "Where the fallback is certain to be right, a mistake costs one query (responses) or N queries (tokens)."
    rng = np.random.default_rng(0)
    truth = LinearPolicy(LastToken(3, K), 1e4 * rng.normal(size=(6, K)))
    task = Task(finite_contexts(rng.normal(size=(1, 3))), truth, N)
    x = task.contexts(50, rng)
    correct = LinearPolicy(truth.encoder, -truth.W).forward(x, task.path(x))
    for reward, behavior, queries in (Outcome(), BestOf(Frozen(truth), 5), 2 * 50), (Process(), StepwiseBestOf(Frozen(truth), 5), (1 + N) * 50):
        verified, cost = behavior.propose(correct, reward, rng)
        assert (verified == N).all() and cost.queries.sum() == queries
    assert Uniform().log_likelihood(correct) == pytest.approx(-N * np.log(K))
