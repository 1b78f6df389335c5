"What changed between two models, against exact sums, enumeration and simulation. Covers change."
from fractions import Fraction
from itertools import combinations, product
from math import comb, inf

import numpy as np
import pandas as pd
import pytest
from pgpost.change import _crossings, _limits, _measured, _miss, _numbers, _resampled, _solved, change_between, coverage_of, fisher_p, verdicts_of
from pgpost.counts import above_chance, quantile_from_counts
from pgpost.quantile import pass_at_k
from scipy.stats import beta, binom, false_discovery_control, fisher_exact


def table(n_correct, n_samples, problems=None):
    return pd.DataFrame(dict(problem=range(len(n_correct)) if problems is None else problems, n_correct=n_correct, n_samples=n_samples))


def test_fisher_is_the_sum_of_hypergeometric_probabilities():
    "All tables of up to six and five answers, in rational numbers: what is no more probable than what was seen."
    for n1, n2 in product(range(1, 7), range(1, 6)):
        for c1, c2 in product(range(n1 + 1), range(n2 + 1)):
            of = [comb(n1, x) * comb(n2, c1 + c2 - x) if c1 + c2 >= x else 0 for x in range(n1 + 1)]
            exact = Fraction(sum(w for w in of if w <= of[c1]), comb(n1 + n2, c1 + c2))
            assert fisher_p([c1], n1, [c2], n2)[0] == pytest.approx(float(exact), rel=1e-12)


def test_fisher_for_all_problems_is_that_of_scipy_for_each():
    rng = np.random.default_rng(0)
    n1, n2 = rng.integers(1, 300, size=(2, 200))
    c1, c2 = rng.binomial(n1, rng.random(200)), rng.binomial(n2, rng.random(200))
    one_by_one = [fisher_exact([[a, m - a], [b, n - b]]).pvalue for a, m, b, n in zip(c1, n1, c2, n2)]
    np.testing.assert_allclose(fisher_p(c1, n1, c2, n2), one_by_one, rtol=1e-9)


def test_the_step_up_rule_by_its_definition():
    "Called are the problems up to the largest i with p_(i) <= i q / J, for any rate."
    rng = np.random.default_rng(0)
    c1, c2 = rng.binomial(12, .5, size=60), rng.binomial(12, np.where(np.arange(60) < 25, .95, .5))
    verdicts = verdicts_of(c1, 12, c2, 12)
    p = np.sort(verdicts.p_value)
    for rate in (.01, .05, .2, .5):
        passing = np.flatnonzero(p <= rate * np.arange(1, 61) / 60)
        called = verdicts.p_value <= (p[passing[-1]] if len(passing) else -1)
        assert ((verdicts.adjusted <= rate) == called).all()
        verdict = verdicts_of(c1, 12, c2, 12, rate).verdict
        assert ((verdict == "gained") == (called & (c2 > c1))).all() and ((verdict == "lost") == (called & (c2 < c1))).all()
    np.testing.assert_array_equal(verdicts.adjusted, false_discovery_control(verdicts.p_value))


def test_false_discoveries_keep_their_rate():
    """Of 100 problems 60 did not change. The mean share of them among those that are called is at most 0.05 (far less, since counts are discrete);
    of 200 data sets its standard error is below 0.005, so a mean above 0.065 would come once in a thousand times."""
    shares = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        a = rng.random(100)
        after = np.where(np.arange(100) < 60, a, a**.2)
        called = verdicts_of(rng.binomial(32, a), 32, rng.binomial(32, after), 32).verdict != "within chance"
        shares.append(called[:60].sum() / max(called.sum(), 1))
    assert 0 < np.mean(shares) <= .065


@pytest.mark.parametrize("chance", [0., .25])
def test_coverage_at_equal_numbers_by_enumeration(chance):
    "All ways to keep n of N answers, as often solved as the hypergeometric probability says; and both models' are independent."
    for total, n in [(6, 2), (7, 5), (8, 8)]:
        for c in range(total + 1):
            kept = [sum(i < c for i in subset) for subset in combinations(range(total), n)]
            solved = above_chance(np.array(kept), n, chance).mean()
            assert _solved(np.array([c]), np.array([total]), np.array([n]), chance, .05)[0] == pytest.approx(solved, abs=1e-12)
    c1, c2 = np.array([0, 1, 5, 6]), np.array([2, 0, 1, 2])
    result = coverage_of(c1, 6, c2, 2, chance)
    s1 = np.array([np.mean([above_chance(sum(i < c for i in s), 2, chance) for s in combinations(range(6), 2)]) for c in c1])
    s2 = above_chance(c2, 2, chance)
    assert [result.first, result.second, result.gained, result.lost] == pytest.approx([s1.sum(), s2.sum(), ((1 - s1) * s2).sum(), (s1 * (1 - s2)).sum()])
    assert result.thinned == 4 and result.n_samples == (2, 2)


def test_measured_curves_are_pass_at_k():
    n = np.array([9, 12, 30])
    c, k = np.array([0, 5, 29]), np.arange(1, 10)
    np.testing.assert_allclose(1 - _miss(c, n, k), np.transpose([pass_at_k(c, n, m) for m in k]), atol=1e-14)


@pytest.mark.parametrize("unequal", [False, True])
def test_a_draw_of_problems_is_a_table_with_these_rows(unequal):
    rng = np.random.default_rng(0)
    n = rng.choice([8, 12, 16], size=40) if unequal else np.full(40, 16)
    n[0] = 8
    c, k = rng.binomial(n, rng.beta(.5, .5, size=40)), np.array([1, 4, 8, 20])
    drawn = [rng.integers(40, size=40) for _ in range(5)]
    shares = np.array([np.bincount(rows, minlength=40) / 40 for rows in drawn])
    expected = [[pass_at_k(c[rows], n[rows], m).mean() for m in (1, 4, 8)] for rows in drawn]
    np.testing.assert_allclose(_measured(c, n, k, shares), expected, atol=1e-12)


def test_predictions_are_those_of_the_estimate_within_limits_that_hold_for_any_distribution():
    """Beyond n the lower limit is that of pass@n, and the upper one what Jensen's inequality leaves: reached by problems that are all alike, and
    never passed by any distribution with the same pass@n."""
    rng = np.random.default_rng(0)
    counts = [table(rng.binomial(8, rng.beta(.5, .5, size=60)), 8) for _ in range(2)]
    change = change_between(*counts, resamples=50)
    for name, t in zip(("first", "second"), counts):
        curve = change.curves.query("model == @name").reset_index()
        np.testing.assert_allclose(curve.pass_at_k, quantile_from_counts(t.n_correct, t.n_samples).pass_at(curve.k.to_numpy()), atol=1e-12)
        at, beyond = curve[curve.k == 8].iloc[0], curve[~curve.measured]
        assert (beyond.low == at.low).all() and beyond.k.max() == 128
        np.testing.assert_allclose(1 - beyond.high, (1 - at.high)**(beyond.k / 8), atol=1e-12)
        alike = 1 - (1 - at.high)**(1 / 8)  # the likelihood of problems that are all alike
        np.testing.assert_allclose(beyond.high, 1 - (1 - alike)**beyond.k, atol=1e-12)
        for _ in range(100):
            a, weight = rng.random(5), rng.dirichlet(np.ones(5))
            assert all(weight @ (1 - a)**m >= (weight @ (1 - a)**8)**(m / 8) - 1e-12 for m in beyond.k)


def test_resampling_keeps_the_mean_and_has_the_variance_of_the_bootstrap():
    "The mean of a share over draws is 1/J and J times a share is Bin(J, 1/J): variance 1 - 1/J. Of 20,000 draws, five standard errors."
    shares = _resampled(10, 20_000, rng=0)
    assert (shares[0] == .1).all() and np.allclose(shares.sum(axis=1), 1)
    low, high = _limits(np.arange(101.)[:, None], .5)  # of the draws 1 to 100, the first row left out
    assert (low, high) == (25, 75)
    assert abs(10 * shares[1:, 3].mean() - 1) < 5 * np.sqrt(.9 / 20_000)
    assert abs((10 * shares[1:, 3]).var() - .9) < 5 * np.sqrt(2.5 / 20_000)


def test_crossings_of_straight_lines_are_exact():
    "Differences that are linear in log k cross where they should, whichever model is ahead, at numbers and between them."
    k = _numbers(512)
    for at in (1.5, 2, 7.3, 100, 511):
        for sign in (1, -1): assert _crossings(sign * (np.log(at) - np.log(k))[None], k) == pytest.approx([at], rel=1e-9)
    assert _crossings((np.log(600) - np.log(k))[None], k)[0] == inf
    against = np.vstack([np.log(7.3) - np.log(k), -np.log(k) - .1, 0 * k])  # the first row says which order is the usual one
    assert _crossings(against, k).tolist() == [pytest.approx(7.3), 1, inf]


def test_a_crossing_with_a_closed_form():
    """Half of the problems at likelihood b and half at 0, against all at a: 1 - (1 - a)^k = (1 - (1 - b)^k) / 2. With b = 1 that is (1 - a)^k = 1/2.
    Answers are so many that they are the likelihoods, and the base model overtakes at log(1/2) / log(1 - a)."""
    n, a = 10_000, .05
    always, never = np.full(50, n), np.zeros(50, dtype=int)
    trained, base = table([*always, *never], n), table(np.full(100, int(a * n)), n)
    change = change_between(base, trained, limit=64, resamples=20)
    assert change.crossing.k == pytest.approx(np.log(.5) / np.log(1 - a), rel=2e-3) and change.crossing.answers == 64 and change.crossing.ahead == "second"


def with_training(kind, rng, J):
    "Likelihoods of J problems before and after a made-up training."
    before, z = beta.ppf(rng.random(J), .6, .6), rng.random(J)
    if kind == "some much harder": return before, np.where(z < .15, .02 * before, before**.3)
    return before, beta.ppf(np.clip(beta.cdf(before, .6, .6) + .3 * (z - .5), .001, .999), .25, .15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["some much harder", "more polarised"])
@pytest.mark.parametrize("J", [100, 300])
def test_the_interval_of_the_crossing_covers(kind, J):
    """The true crossing is that of 400,000 problems with known likelihoods. Intervals at 95% from 64 answers and 200 draws covered it in 92.5% to 95%
    of 400 data sets, as percentiles of a bootstrap do; of 150 data sets fewer than the 0.001 quantile of Bin(150, 0.925) would come once in a thousand times."""
    k = _numbers(64)
    before, after = with_training(kind, np.random.default_rng(99), 400_000)
    true = _crossings(np.array([[((1 - before)**m - (1 - after)**m).mean() for m in k]]), k)[0]
    assert 2 < true < 32
    covered = 0
    for seed in range(150):
        rng = np.random.default_rng([seed, J])
        counts = [table(rng.binomial(64, a), 64) for a in with_training(kind, rng, J)]
        crossing = change_between(*counts, limit=64, resamples=200, rng=seed).crossing
        covered += crossing.low <= true <= crossing.high
    assert covered >= binom.ppf(.001, 150, .925)


def test_problems_of_one_model_are_left_out_and_said():
    first, second = table([1, 2, 3], 4, list("abc")), table([4, 0, 1, 1], 4, list("bcde"))
    change = change_between(first, second, names=("base", "rl"), resamples=20)
    assert change.unpaired == 3 and change.problems.problem.tolist() == ["b", "c"]
    assert change.problems[["n_correct_1", "n_correct_2"]].to_numpy().tolist() == [[2, 4], [3, 0]]
    assert sorted(change.curves.model.unique()) == ["base", "rl"]
    with pytest.raises(ValueError, match="no problem in common: 'a' is the first of one, 'e' of the other"): change_between(first, second.iloc[3:])
    with pytest.raises(ValueError, match="several of 'a'"): change_between(first.iloc[[0, 0, 1]], second)


def test_the_same_seed_gives_the_same_intervals():
    rng = np.random.default_rng(0)
    counts = [table(rng.binomial(8, rng.random(30)), 8) for _ in range(2)]
    one, same, other = (change_between(*counts, rng=seed, resamples=50) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one.curves, same.curves)
    assert one.crossing == same.crossing and not one.curves.low.equals(other.curves.low)
    assert one.curves.pass_at_k.equals(other.curves.pass_at_k)
