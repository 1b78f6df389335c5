"The calculators against their formulas, and the guarantees on runs. Covers bounds, task, behavior."
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import BestOf, SequenceMixture, StepwiseBestOf, TokenMixture, Uniform
from pgpost.bounds import algorithm1_budget, algorithm2_budget, average_error, path_bound, search_queries, steps_to_error
from pgpost.policy import LinearPolicy
from pgpost.quantile import likelihood_quantile, token_likelihood_quantile
from pgpost.stepsize import adaptive
from pgpost.task import coherent_tokens, independent_tokens, prescribed_policy
from pgpost.train import post_train, pretrain


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
    for reward, behavior, most in [("outcome", BestOf(SequenceMixture(base), int(one.m)), T + one.m * (B + eps * T)),
                                   ("process", StepwiseBestOf(TokenMixture(base), int(two.m)), T + N * (2 / Q_token * B + two.m * eps * T))]:
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
