"Informative groups, against enumeration, closed forms and simulation. Covers groups."
from fractions import Fraction
from itertools import combinations, product
from math import comb, inf

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.band import informative_limits
from pgpost.counts import quantile_from_counts
from pgpost.groups import (CLASSES, _grpo_weight, _weights, best_group, group_table, informative_probability, informative_share,
                           keep_problems, plan_samples, problem_classes, problem_table)
from scipy.stats import beta, binom

property_test = settings(max_examples=100, deadline=None, derandomize=True)
TRUTHS = {  # quantile functions of the likelihood
    "smooth": lambda u: beta.ppf(u, .5, .7),
    "atom at 0": lambda u: np.where(u < .25, 0, beta.ppf(np.maximum(u - .25, 0) / .75, 1, .8)),
    "atom at 1": lambda u: np.where(u > .6, 1, u / .6),
    "two points": lambda u: np.where(u < .4, .05, .6),
    "easy": lambda u: beta.ppf(u, 12, 1),
    "all out of reach": lambda u: np.zeros_like(u),
}


def draw(truth, J, n, seed):
    rng = np.random.default_rng([seed, J, n, list(TRUTHS).index(truth)])
    a = TRUTHS[truth](rng.random(J))
    return a, rng.binomial(n, a)


@pytest.mark.parametrize("n", range(2, 8))
def test_share_is_that_of_all_groups(n):
    for c in range(n + 1):
        for G in range(1, n + 1):
            groups = [0 < sum(g) < G for g in combinations([1] * c + [0] * (n - c), G)]
            assert informative_share(c, n, G) == pytest.approx(float(Fraction(sum(groups), len(groups))), abs=1e-13)
            weights = [_weights(G)[sum(g)] for g in combinations([1] * c + [0] * (n - c), G)]
            one = np.array([c]), np.array([n]), np.array([.5]), np.array([1.])
            assert _grpo_weight(*one, G) == pytest.approx(np.mean(weights), abs=1e-12)


@property_test
@given(st.integers(2, 300), st.data())
def test_share_is_the_ratio_of_binomials(n, data):
    c, G = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    exact = 1 - Fraction(comb(c, G) + comb(n - c, G), comb(n, G))
    assert informative_share(c, n, G) == pytest.approx(float(exact), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("a", [.0, .02, .3, .5, .9, 1.])
def test_probability_is_that_of_all_answers(a):
    "Of all sequences of verdicts, and the mean of the unbiased estimate over all counts."
    for G in (1, 2, 5, 8):
        exact = sum(a**sum(g) * (1 - a)**(G - sum(g)) for g in product([0, 1], repeat=G) if 0 < sum(g) < G)
        assert informative_probability(a, G) == pytest.approx(exact, abs=1e-14)
        assert binom.pmf(range(10), 9, a) @ informative_share(np.arange(10), 9, G) == pytest.approx(exact, abs=1e-12)


@property_test
@given(st.floats(0, 1), st.integers(2, 100))
def test_larger_groups_are_informative_more_often_and_less_often_per_answer(a, G):
    here, next_ = informative_probability(a, G), informative_probability(a, G + 1)
    assert here <= next_ + 1e-15 and next_ / (G + 1) <= here / G + 1e-15
    assert informative_probability(1 - a, G) == pytest.approx(here, abs=1e-12)


def test_dynamic_sampling_costs_the_group_over_the_mean_share():
    "Prompts are drawn until a group is informative: the answers it takes, simulated; a mean over 40,000 groups is off by 5 standard errors once in a million."
    a = np.array([0., .01, .2, .6, 1.])
    share, rng, G = informative_probability(a, 4), np.random.default_rng(0), 4
    draws = []
    for _ in range(40_000):
        drawn = 1
        while rng.random() >= share[rng.integers(len(a))]: drawn += 1
        draws.append(G * drawn)
    assert abs(np.mean(draws) - G / share.mean()) < 5 * np.std(draws) / 200
    table = group_table(quantile_from_counts([0, 0, 3, 9, 16], 16), [G])
    assert table.answers[0] == pytest.approx(G / informative_share([0, 0, 3, 9, 16], 16, G).mean())


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("J, n", [(30, 4), (100, 8), (300, 32)])
def test_limits_of_the_share_hold(truth, J, n):
    "Up to n and beyond: of 200 data sets, at a coverage of 93%, more than 30 miss less than once in 10,000 times."
    everybody = TRUTHS[truth]((np.arange(20_000) + .5) / 20_000)
    for G in (2, n, 4 * n):
        true = informative_probability(everybody, G).mean()
        limits = np.array([informative_limits(draw(truth, J, n, seed)[1], np.full(J, n), G, .05) for seed in range(200)])
        assert ((limits[:, 0] > true + 1e-9) | (limits[:, 1] < true - 1e-9)).sum() <= 30
        assert ((0 <= limits) & (limits <= 1)).all()


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("J, n", [(30, 16), (200, 8), (500, 64)])
def test_limits_of_the_likelihood_hold_on_average(truth, J, n):
    "At least 88% with 30 problems and 91% with more, of the problems in 30 data sets together, on distributions of which most were not used to choose the prior."
    hits = []
    for seed in range(30):
        a, c = draw(truth, J, n, seed)
        table = problem_table(quantile_from_counts(c, n))
        hits += ((table.low <= a + 1e-12) & (a <= table.high + 1e-12)).tolist()
        assert (table.low[c == 0] == 0).all() and (table.high[c == n] == 1).all() and (table.low <= table.high).all()
    assert np.mean(hits) >= (.88 if J == 30 else .91)


def test_likelihood_of_a_problem_is_the_mean_of_its_posterior():
    "Bayes' rule written out, problem by problem, with unequal numbers of samples."
    c, n = np.array([0, 3, 8, 2, 16, 0]), np.array([8, 8, 8, 4, 16, 16])
    result = quantile_from_counts(c, n)
    table, a = problem_table(result, group=4, problem=list("abcdef")), result.likelihood
    for i in range(6):
        joint = np.array([w * p**float(c[i]) * (1 - p)**float(n[i] - c[i]) for p, w in zip(a, result.weight)])
        assert table.likelihood[i] == pytest.approx(joint @ a / joint.sum(), rel=1e-9)
        assert table.informative[i] == pytest.approx(joint @ (1 - a**4 - (1 - a)**4) / joint.sum(), rel=1e-9)
    assert table["class"].tolist() == ["never", "sometimes", "always", "sometimes", "always", "never"]
    assert table.problem.tolist() == list("abcdef") and (np.diff(table.index) == 1).all()
    kept = keep_problems(table, .2, .7)
    assert kept.problem.tolist() == table.problem[(table.likelihood >= .2) & (table.likelihood <= .7)].tolist() and len(kept)


def test_estimates_beyond_the_samples_are_near_the_truth():
    "Groups of 32 and 64 from 16 answers: within 0.06 of the truth in each of ten data sets of 500 problems."
    everybody = TRUTHS["smooth"]((np.arange(20_000) + .5) / 20_000)
    for seed in range(10):
        table = group_table(quantile_from_counts(draw("smooth", 500, 16, seed)[1], 16))
        assert table.measured.tolist() == [True] * 4 + [False] * 2
        for row in table.itertuples():
            assert abs(row.informative - informative_probability(everybody, row.group).mean()) < .06
            assert row.low <= row.informative <= row.high
            assert (row.answers_low, row.answers, row.answers_high) == pytest.approx((row.group / row.high, row.group / row.informative, row.group / row.low))
        assert (np.diff(table.signal) > 0).all()


def test_signal_is_that_of_simulated_steps():
    """One direction d, answers that differ by sigma >> d: squared mean over variance of a step, per answer, is S d^2 / sigma^2.

    With 400,000 groups the standard error of the ratio is below 2%."""
    rng, G, sigma = np.random.default_rng(1), 8, 5.
    a = rng.choice([.02, .1, .5, .9], size=(400_000, 1))
    right = rng.random((len(a), G)) < a
    score = np.where(right, 1 - a, -a) + sigma * rng.standard_normal(right.shape)
    share = right.mean(axis=1, keepdims=True)
    likelihoods = np.array([.02, .1, .5, .9])
    w = (binom.pmf(np.arange(G + 1), G, likelihoods[:, None]) @ _weights(G)).mean()
    plain, grpo = (1 - 1 / G) * (likelihoods * (1 - likelihoods)).mean(), w**2 / informative_probability(likelihoods, G).mean()
    deviation = np.sqrt(share * (1 - share))
    for advantage, signal in (right - share, plain), ((right - share) / np.where(deviation > 0, deviation, 1), grpo):
        step = (advantage * score).mean(axis=1)
        assert step.mean()**2 / (G * step.var()) * sigma**2 == pytest.approx(signal, rel=.08)


def test_best_group():
    table = group_table(quantile_from_counts(draw("smooth", 300, 64, 0)[1], 64))
    for answers in (100, 500, 2000, 10**5, inf):
        enough = table[answers / table.answers >= 32]
        best = best_group(table, answers, enough=1)
        assert best is None if enough.empty else (best in set(enough.group) and table.grpo_signal[table.group == best].item() == enough.grpo_signal.max())
    assert best_group(table, signal="signal", enough=1) == 64 and best_group(table, signal="signal", enough=.74) == 4 and best_group(table, 10) is None


def test_plan_settles_a_problem_and_not_one_answer_before():
    c, n = np.array([0, 0, 5, 16, 400]), np.array([16, 30, 16, 16, 400])
    result = quantile_from_counts(c, n, .9)
    plan = plan_samples(result, bound=.02, problem=list("abcde"))
    assert plan[["problem", "class"]].values.tolist() == [["a", "never"], ["b", "never"], ["d", "always"]]  # c was both, e is settled
    for row in plan.itertuples():
        total = row.n_samples + row.more
        assert 1 - .1**(1 / total) <= .02 < 1 - .1**(1 / (total - 1))
        posterior = result.weight * (1 - result.likelihood if row.problem != "d" else result.likelihood)**float(row.n_samples)
        posterior /= posterior.sum()
        rarer = result.likelihood if row.problem != "d" else 1 - result.likelihood
        assert row.changes == pytest.approx(1 - posterior @ (1 - rarer)**float(row.more), abs=1e-9)
        assert row.expected == pytest.approx(posterior @ sum((1 - rarer)**float(i) for i in range(row.more)), rel=1e-9)
        assert row.limit == pytest.approx(1 - .1**(1 / row.n_samples) if row.problem != "d" else .1**(1 / row.n_samples))


def test_one_sample_a_problem_tells_no_share():
    table = group_table(quantile_from_counts([0, 1] * 20, 1))
    assert not table.measured.any() and (table.low == 0).all() and (table.answers_high == inf).all()
    assert ((table.informative > 0) & (table.informative <= table.high)).all()


def test_nothing_is_informative_where_nothing_is_solved():
    table = group_table(quantile_from_counts([0] * 50, 64))
    assert (table.informative == 0).all() and (table.answers == inf).all() and (table.grpo_signal == 0).all() and best_group(table) is None
    assert problem_classes([0, 2, 4], 4).tolist() == list(CLASSES)


@pytest.mark.parametrize("wrong, message", [
    (lambda r: group_table(r, [1]), "whose answers are compared with each other, must be at least 2, got 1"),
    (lambda r: group_table(r, [2.5]), "must be an integer, got 2.5"),
    (lambda r: problem_table(r, group=1), "must be at least 2, got 1"),
    (lambda r: informative_probability(.5, 0), "the size of a group must be at least 1, got 0"),
    (lambda r: informative_share(1, 4, 8), "an integer from 1 to the number of samples, 4"),
    (lambda r: keep_problems(problem_table(r), .8, .2), "the lower one first, got 0.8 and 0.2"),
    (lambda r: plan_samples(r, bound=0), "bound must lie strictly between 0 and 1"),
])
def test_bad_requests(wrong, message):
    with pytest.raises(ValueError, match=message): wrong(quantile_from_counts([0, 1, 4], 4))
