"Expectations by recursion against enumeration of all responses and outcomes, terms one by one, and runs. Covers exact."
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import BestOf, Frozen, SequenceMixture, StepwiseBestOf, TeacherForced, TokenMixture
from pgpost.exact import LONGEST, Lead, errors_by_draws, expect, expected_error, expected_sum, expected_until, first_success, rebuild, search
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adaptive, constant
from pgpost.task import coherent_tokens, independent_tokens, prescribed_policy
from pgpost.train import train

STEPSIZES = dict(adaptive=lambda N: adaptive(), squared=lambda N: adaptive(squared=True), constant=lambda N: constant(1 / (4 * N)))
LEADS = [(2, 3, stepsize, instance) for stepsize in STEPSIZES for instance in ("coherent", "independent")] + [(3, 2, "adaptive", "coherent"), (3, 2, "adaptive", "independent")]


def softmax(z): return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


class Enumerated:
    "Expected errors and queries from zero weights by all responses, all outcomes and all orders of contexts, with weights written out."
    def __init__(self, k, N, stepsize, instance, p, T, likelihood, m=None):
        self.k, self.N, self.stepsize, self.instance, self.p, self.T, self.likelihood, self.m = k, N, stepsize, instance, p, T, likelihood, m
        self.right = np.arange(N) % k if instance == "independent" else np.full(N, 1)
        self.responses = np.array(list(product(range(k), repeat=N)))

    def tokens(self, W):
        "Distribution of each token, shape (N, k), under the weights of one context: a row for each position, or one for all."
        return softmax(np.broadcast_to(W, (self.N, self.k)))

    def likely(self, W):
        "Probability of the correct response: summed over all responses with the reward."
        p = np.prod(self.tokens(W)[np.arange(self.N), self.responses], axis=1)
        return (p * (self.responses == self.right).all(axis=1)).sum()

    def moved(self, W):
        g = np.eye(self.k)[self.right] - self.tokens(W)
        if len(W) == 1: g = g.sum(axis=0, keepdims=True)
        norm = np.linalg.norm(g)
        return W + g * dict(adaptive=1 / (4 + 2 * norm), squared=1 / (4 + 2 * norm**2), constant=1 / (4 * self.N))[self.stepsize]

    def outcomes(self, W):
        "Probability, draws of a fallback, and whether the response is credited."
        q, p = self.likelihood, self.likely(W)
        if self.m is None: return [(q, 0, True), (1 - q, 0, False)]
        found = [((1 - p) * (1 - q)**(i - 1) * q, i, True) for i in range(1, self.m + 1)]
        return [(p, 0, True), *found, ((1 - p) * (1 - q)**self.m, self.m, False)]

    def run(self, Ws=None, t=0):
        "Expected error in the end, of each context; expected summed error and draws of the fallback."
        if Ws is None: Ws = [np.zeros((self.N if self.instance == "independent" else 1, self.k)) for _ in self.p]
        if t == self.T: return np.append([1 - self.likely(W) for W in Ws], [0, 0])
        total = np.zeros(len(Ws) + 2)
        for j, pj in enumerate(self.p):
            moved = [self.moved(W) if i == j else W for i, W in enumerate(Ws)]
            after = {True: self.run(moved, t + 1), False: self.run(Ws, t + 1)}
            for probability, draws, credited in self.outcomes(Ws[j]):
                total += pj * probability * (after[credited] + np.append(np.zeros(len(Ws)), [1 - self.likely(Ws[j]), draws]))
        return total


@pytest.mark.parametrize("k, N, stepsize, instance", LEADS)
def test_fixed_behaviors_by_enumeration(k, N, stepsize, instance):
    p, T, a = [.7, .3], 4, .4
    *errors, summed, _ = Enumerated(k, N, stepsize, instance, p, T, a).run()
    lead = Lead(k, N, stepsize, instance)
    assert [expected_error(lead, T, pj, a) for pj in p] == pytest.approx(errors, abs=1e-12)
    assert sum(expected_sum(lead, T, pj, a) for pj in p) == pytest.approx(summed, abs=1e-12)
    supervised = Enumerated(k, N, stepsize, instance, p, T, 1.).run()
    assert sum(expected_sum(lead, T, pj) for pj in p) == pytest.approx(supervised[-2], abs=1e-12)


@pytest.mark.parametrize("k, N, stepsize, instance", LEADS)
@pytest.mark.parametrize("m", [1, 3])
def test_searches_by_enumeration(k, N, stepsize, instance, m):
    p, T, a = [.7, .3], 3, .3
    *errors, summed, draws = Enumerated(k, N, stepsize, instance, p, T, a, m).run()
    lead = Lead(k, N, stepsize, instance)
    success, log_price = search(np.log(a), np.log(m))
    def credit(e): return 1 - e * (1 - success)
    assert [expected_error(lead, T, pj, credit) for pj in p] == pytest.approx(errors, abs=1e-12)
    assert sum(expected_sum(lead, T, pj, credit) for pj in p) == pytest.approx(summed, abs=1e-12)
    assert np.exp(log_price) * summed == pytest.approx(draws, abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(q=st.lists(st.floats(.05, .95), min_size=1, max_size=4), m=st.integers(1, 5))
def test_rebuilding_by_enumeration(q, m):
    "All numbers of draws at all positions, and what each sequence of them costs."
    success, draws = 0., 0.
    for tries in product(range(1, m + 2), repeat=len(q)):  # m + 1 says that m draws were in vain
        probability, spent, alive = 1., 0, True
        for qi, n in zip(q, tries):
            if not alive:
                probability *= n == 1  # not drawn: counted once
                continue
            probability *= (1 - qi)**m if n > m else (1 - qi)**(n - 1) * qi
            spent += min(n, m)
            alive = n <= m
        success += probability * alive
        draws += probability * spent
    assert rebuild(q, m) == pytest.approx((success, draws), abs=1e-9)


def test_without_a_limit_every_token_is_found(): assert rebuild([.5, .25, 1.]) == pytest.approx((1, 7))


@pytest.mark.parametrize("instance, task", [("coherent", coherent_tokens), ("independent", independent_tokens)])
@pytest.mark.parametrize("stepsize", STEPSIZES)
def test_supervised_training_follows_the_sequence(instance, task, stepsize):
    "A context that is drawn at every step: nothing is random, and every error is that of the recursion."
    task, errors = task(1, 5, 7, rng=0), []
    train(task, LinearPolicy(task.encoder), TeacherForced(), Outcome(), STEPSIZES[stepsize](7), 200, every=1,
          evaluate=lambda policy: errors.append(-np.expm1(policy.log_likelihood(task.centers, task.path(task.centers)))[0]) or {})
    assert errors == pytest.approx(Lead(5, 7, stepsize, instance).errors(np.arange(201)), abs=1e-10)


def normal(values, exact):
    "Whether the mean of independent values is the exact one: false alarm 7e-6."
    return abs(np.mean(values) - exact) < 4.5 * np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("instance, task", [("coherent", coherent_tokens), ("independent", independent_tokens)])
def test_runs_of_both_algorithms(instance, task):
    "Summed errors and queries of 1500 runs of 60 steps; Algorithm 2 draws until it finds."
    M, k, N, T, R, m = 2, 3, 4, 60, 1500, 50
    task = task(M, k, N, rng=0)
    base, lead = LinearPolicy(task.encoder), Lead(k, N, instance=instance)
    def run(behavior, reward): return train(task, base.replicated(R), behavior, reward, adaptive(), T, evaluate=lambda policy: {}, every=T, rng=3)
    success, log_price = search(-N * np.log(k), np.log(m))
    one = run(BestOf(SequenceMixture(base), m), Outcome())
    exact = M * expected_sum(lead, T, 1 / M, lambda e: 1 - e * (1 - success))
    assert normal(one.error_sum, exact) and normal(one.ledger.queries, T + np.exp(log_price) * exact)
    two = run(StepwiseBestOf(TokenMixture(base), 1000), Process())
    exact = M * expected_sum(lead, T, 1 / M)
    assert normal(two.error_sum, exact) and normal(two.ledger.queries, T + N * k * exact)


def test_steps_to_an_error():
    "The first step at which the error is at most 0.3, in 1000 runs of one context."
    k, N, R, T = 2, 4, 1000, 400
    task = coherent_tokens(1, k, N, rng=0)
    behavior = Frozen(prescribed_policy(task, np.log([.3])))
    run = train(task, LinearPolicy(task.encoder).replicated(R), behavior, Outcome(), adaptive(), T, every=1, rng=0,
                evaluate=lambda policy: dict(error=-np.expm1(policy.log_likelihood(np.ones((R, 1)), task.path(np.ones((R, 1)))))))
    error = np.array([row["error"] for row in run.rows])
    first = (error <= .3).argmax(axis=0)
    steps, mistakes = expected_until(Lead(k, N), .3, .3)
    assert (error[-1] <= .3).all() and normal(first, steps)
    assert normal((error * (np.arange(T + 1)[:, None] < first)).sum(axis=0), mistakes)


@pytest.mark.slow
@pytest.mark.parametrize("lead", [Lead(8, 10**4, "constant"), Lead(4, 80_000, "squared"), Lead(3, 10**5, instance="independent"), Lead(2, 10**5, "squared", "independent")])
def test_the_clock_goes_on_with_the_recursion(lead):
    "A quarter of a million terms, one by one."
    u, total = np.float64(0), 0.
    for _ in range(250_000):
        total += lead.error(u)
        u += lead.gain(u)
    assert lead.after(250_000)[0] == pytest.approx(u, rel=1e-7)
    assert lead.summed(250_000)[0] == pytest.approx(total, rel=1e-7)
    assert abs(lead.updates(float(lead.error(u))) - 250_000) <= 1


@pytest.mark.parametrize("stepsize", STEPSIZES)
@pytest.mark.parametrize("instance", ["coherent", "independent"])
def test_the_clock_at_the_end_of_the_recursion(stepsize, instance):
    "Half of the terms are made, and half are told by the clock, at 30 tokens and at 10,000."
    for N in 30, 10**4:
        lead, half = Lead(6, N, stepsize, instance), LONGEST // 2
        start, end = lead.after([half, LONGEST])
        assert lead.clock(end) - lead.clock(start) == pytest.approx(half, abs=.05)


def test_large_sizes_go_on_smoothly():
    "What is averaged over a large number of credits is close to what it is at its mean, from either side of the change of method."
    lead = Lead(4, 1000, "constant")
    for mean in .99 * LONGEST / 2, 1.01 * LONGEST / 2:
        assert expect(lead.summed, mean, .5) == pytest.approx(lead.summed(round(mean))[0], rel=1e-3)
    assert expect(lambda s: s**3, 1e4, .5) == pytest.approx(1e12 + 3 * 1e4 * 5e3, rel=1e-6)


def test_probabilities_of_credits_below_the_smallest_float():
    "No number of steps, only a mean: and as k^-N falls, the binomial becomes this."
    lead = Lead(2, 12)
    assert expected_sum(lead, 20 * 2.**12, 1, 2.**-12) / 2**12 == pytest.approx(expect(lead.summed, 20), rel=2e-3)
    assert expect(lead.summed, 20, 1e-11) == pytest.approx(expect(lead.summed, 20), rel=1e-9)


def test_first_success_is_geometric():
    alpha, G = .03, 4
    groups = np.arange(1, 4000)
    none = (1 - alpha)**(G * (groups - 1))
    assert np.exp(first_success(np.log(alpha), G)) == pytest.approx((G * none).sum())
    assert first_success(-1e6, 4) == pytest.approx(1e6)


def test_what_is_refused():
    with pytest.raises(ValueError, match="a context may be drawn up to 16384 times"): expected_error(Lead(2, 2), 10**5, credit=lambda e: 1 - e / 2)
    with pytest.raises(ValueError, match="instance must be one of coherent, independent"): Lead(2, 2, instance="skewed")
    assert len(errors_by_draws(Lead(2, 2), 3, lambda e: 1 - e)) == 4
