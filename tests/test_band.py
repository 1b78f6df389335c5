"Limits from counts, against enumeration, brute force and simulation. Covers band."
from collections import Counter
from itertools import combinations_with_replacement, product
from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pgpost import band
from pgpost.band import Localization, NoDistribution, cdf_band, chord_error, count_limits, equal_local_level, informative_limits, limits_of
from pgpost.band import mean_limits, pass_limits, pointwise_cdf, pointwise_quantile, quantile_band, sharp_cdf, sharp_quantile, staying_probability
from pgpost.counts import quantile_from_counts
from scipy.optimize import linprog
from scipy.stats import beta, binom, binomtest

MATH500 = Path(__file__).parent.parent / "nbs/guides/math500_counts.csv"
EPS = np.array([.01, .02, .05, .1, .2, .5, .8])


def math500(model):
    t = pd.read_csv(MATH500).query("model == @model")
    return t.n_correct.to_numpy(), t.n_samples.to_numpy()


# equal local levels

@pytest.mark.parametrize("J", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("eta", [.01, .1, .4])
def test_staying_probability_by_enumeration(J, eta):
    """Between the 2J ends there are 2J + 1 cells. Whether all order statistics stay depends only on how many numbers lie in each cell, and these counts are multinomial:
    the probability is the sum over all of them."""
    i = np.arange(1, J + 1)
    low, high = beta.ppf(eta / 2, i, J - i + 1), beta.ppf(1 - eta / 2, i, J - i + 1)
    ends = np.sort(np.concatenate([[0, 1], low, high]))
    middle, width, total = (ends[:-1] + ends[1:]) / 2, np.diff(ends), 0.
    for cells in combinations_with_replacement(range(len(width)), J):  # a cell lies on one side of every end
        if ((low < middle[[*cells]]) & (middle[[*cells]] < high)).all():
            total += factorial(J) * np.prod(width[[*cells]]) / np.prod([factorial(k) for k in Counter(cells).values()])
    assert staying_probability(J, eta) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("J, eta", [(7, .02), (40, .004), (150, .002)])
def test_staying_probability_by_simulation(J, eta):
    "In 20,000 draws the number that stay is binomial: outside its central 99.9% once in a thousand seeds."
    rng, i = np.random.default_rng(J), np.arange(1, J + 1)
    low, high = beta.ppf(eta / 2, i, J - i + 1), beta.ppf(1 - eta / 2, i, J - i + 1)
    U = np.sort(rng.random((20_000, J)))
    stayed = ((low < U) & (U < high)).all(axis=1).sum()
    assert binom.ppf(.0005, 20_000, staying_probability(J, eta)) <= stayed <= binom.ppf(.9995, 20_000, staying_probability(J, eta))


@pytest.mark.parametrize("J", [1, 2, 10, 100, 500])
@pytest.mark.parametrize("delta", [.01, .05, .5])
def test_the_level_is_exact_and_on_the_safe_side(J, delta):
    eta = equal_local_level(J, delta)
    assert delta / J * (1 - 1e-12) <= eta <= delta
    assert 1 - delta - 1e-9 <= staying_probability(J, eta)
    if J > 1: assert staying_probability(J, eta * 1.0003) < 1 - delta


@pytest.mark.parametrize("thresholds", [1, 4, 16, 39, 500])
def test_the_level_is_never_below_bonferroni(thresholds):
    eta = equal_local_level(500, .05, thresholds)
    assert eta == pytest.approx(max(equal_local_level(500, .05), .05 / thresholds), rel=1e-3)


def test_known_levels():
    assert [equal_local_level(J, .05) for J in (100, 500, 1000)] == pytest.approx([2.195e-3, 1.284e-3, 1.071e-3], rel=1e-3)


@pytest.mark.parametrize("J, n", [(20, 3), (60, 12), (200, 40)])
def test_the_limits_hold_for_discrete_counts(J, n):
    "All of G at once, in 2000 data sets with counts that tie: at a coverage of 95%, fewer hits than this come once in ten thousand times."
    rng, hits = np.random.default_rng(n), 0
    a = rng.random(5)
    G = binom.cdf(np.arange(n)[:, None], n, a).mean(axis=1)
    low, high = count_limits(J, .05, n)
    for _ in range(2000):
        c = rng.binomial(n, rng.choice(a, size=J))
        K = (c[:, None] <= np.arange(n)).sum(axis=0)
        hits += ((low[K] <= G) & (G <= high[K])).all()
    assert hits >= binom.ppf(1e-4, 2000, .95)


def test_limits_are_those_of_clopper_and_pearson_and_mirror_each_other():
    low, high = count_limits(30, .05)
    eta = equal_local_level(30, .05)
    for K in range(31):
        exact = binomtest(K, 30).proportion_ci(1 - eta)
        assert [low[K], high[K]] == pytest.approx([exact.low, exact.high], abs=1e-9)
    assert low[30] < 1 and high[0] > 0  # all problems up to a count say that more is rare, not that it is impossible


# the band

def brute_band(c, n, limits, eps, grid):
    "The definition: for every likelihood of a grid the best bound over all thresholds on the score; then the inverse."
    score = np.array([beta.ppf(.5, ci + 1, ni - ci) if ci < ni else 1. for ci, ni in zip(c, n)])
    up, low = np.ones(len(grid)), np.zeros(len(grid))
    scores = {m: np.append(beta.ppf(.5, np.arange(m) + 1, m - np.arange(m)), 1.) for m in np.unique(n)}
    for s in np.append(np.unique(score), 2.):
        for strict in (True, False):
            t = {m: (v < s - 1e-12 if strict else v <= s + 1e-12).sum() - 1 for m, v in scores.items()}
            K = (score < s - 1e-12 if strict else score <= s + 1e-12).sum()
            B = np.array([binom.cdf(t[m], m, grid) for m in scores])
            with np.errstate(divide="ignore", invalid="ignore"):
                up = np.fmin(up, limits[1][K] / B.min(axis=0))
                low = np.fmax(low, np.where(B.max(axis=0) < 1, (limits[0][K] - B.max(axis=0)) / (1 - B.max(axis=0)), 0))
    return [grid[up <= e].max(initial=0) for e in eps], [grid[low <= e].max(initial=0) for e in eps]


@pytest.mark.parametrize("seed, unequal", [(0, False), (1, False), (2, True), (3, True), (4, True)])
def test_band_is_the_inverse_of_its_inequalities(seed, unequal):
    rng = np.random.default_rng(seed)
    n = rng.choice([5, 9, 16], size=60) if unequal else np.full(60, 12)
    c = rng.binomial(n, rng.beta(.5, .5, size=60))
    grid, eps, limits = np.linspace(0, 1, 2001), np.array([.01, .2, .35, .5, .65, .8, .99]), limits_of(c, n, .2)
    np.testing.assert_allclose(quantile_band(c, n, limits, eps), brute_band(c, n, limits, eps, grid), atol=1 / 2000 + 1e-9)


@pytest.mark.parametrize("unequal", [False, True])
def test_limits_of_the_share_are_the_band_read_the_other_way(unequal):
    "F(a) may exceed eps exactly where Q(eps) may be at most a, and the other way round."
    rng = np.random.default_rng(unequal)
    n = rng.choice([1, 5, 16], size=80) if unequal else np.full(80, 12)
    result = quantile_from_counts(rng.binomial(n, rng.beta(.5, .5, size=80)), n, .8, band="closed")
    a, eps = np.linspace(.03, .97, 48), np.linspace(0, 1, 2001)
    low, high = result.cdf_interval(a)
    q_low, q_high = result.confidence_interval(eps)
    for value, least, most in zip(a, low, high):
        assert least == pytest.approx(eps[q_high < value].max(initial=0), abs=1 / 2000 + 1e-9)
        assert most == pytest.approx(eps[q_low > value].min(initial=1), abs=1 / 2000 + 1e-9)
    assert result.cdf_interval(.5) == pytest.approx([v[0] for v in result.cdf_interval([.5])]) and np.ndim(result.cdf_interval(.5)[0]) == 0


# the sharp band

def test_chord_errors_are_bounds():
    "On every cell, at 200 points of it, for all thresholds; and not far off where the second derivative is even."
    for m in (1, 2, 3, 7, 50):
        a, t = np.append(0, np.sort(np.random.default_rng(m).random(6))), np.arange(-1, m + 1)
        s = np.linspace(0, 1, 200)[:, None, None]
        x, B = a[:-1] + s * np.diff(a), binom.cdf(t[:, None], m, a)
        off = abs(binom.cdf(t[:, None], m, x) - (1 - s) * B[:, :-1] - s * B[:, 1:]).max(axis=0)
        assert (off <= chord_error(t, m, a) + 1e-12).all()
    fine = np.linspace(.3, .7, 200)
    assert chord_error(np.array([25]), 50, fine).max() < 1e-3


def exact_program(c, n, limits, points, cost):
    "Least cost of a distribution on these points that satisfies every row: an inner program, whose optimum a real distribution attains."
    t = np.arange(n)
    K = (c[:, None] <= t).sum(axis=0)
    B = binom.cdf(t[:, None], n, points)
    return linprog(cost, A_ub=np.concatenate([B, -B]), b_ub=np.concatenate([limits[1][K], -limits[0][K]]), A_eq=np.ones((1, len(points))), b_eq=[1])


@pytest.mark.parametrize("J, n, seed", [(30, 4, 0), (100, 16, 1), (200, 32, 2)])
def test_sharp_limits_enclose_every_distribution_within_the_limits(J, n, seed):
    """The program over distributions on a fine grid, with all rows, is inner: what it attains is attained by a distribution, and the sharp limits must lie outside.
    By little: the error of the grid and of rows left out is below 0.02."""
    rng = np.random.default_rng(seed)
    c, samples = rng.binomial(n, rng.beta(.3, .5, size=J)), np.full(J, n)
    limits = limits_of(c, samples, .05)
    here = Localization(c, samples, limits)
    points = here.a  # all of the lattice, of which the sharp limits use a part and one more
    for j in np.linspace(3, len(here.a) - 4, 7).astype(int):
        most = -exact_program(c, n, limits, points, -1. * (points <= here.a[j])).fun
        least = exact_program(c, n, limits, points, 1. * (points < here.a[j])).fun
        assert most - 1e-9 <= here.greatest(j) <= most + .02 and least - .02 <= here.smallest(j) <= least + 1e-9


def test_brute_force_over_two_point_distributions():
    "Three samples, and all pairs of likelihoods with all weights on a tiny grid: none that satisfies the rows is outside the limits."
    c, n = np.repeat([0, 1, 2, 3], [20, 5, 5, 30]), np.full(60, 3)
    limits = limits_of(c, n, .05)
    here, t = Localization(c, n, limits), np.arange(3)
    K, found = (c[:, None] <= t).sum(axis=0), 0
    for low, high, w in product(np.linspace(0, 1, 21), np.linspace(0, 1, 21), np.linspace(0, 1, 11)):
        G = w * binom.cdf(t, 3, low) + (1 - w) * binom.cdf(t, 3, high)
        if low > high or (G < limits[0][K]).any() or (G > limits[1][K]).any(): continue
        found += 1
        for a in (.1, .3, .5, .9):
            least, most = here.smallest(np.searchsorted(here.a, a, "right") - 1), here.greatest(np.searchsorted(here.a, a))
            assert least - 1e-9 <= w * (low <= a) + (1 - w) * (high <= a) <= most + 1e-9
    assert found > 20


@pytest.mark.parametrize("n", [6, 40])
def test_coarse_cells_err_outwards(monkeypatch, n):
    "However coarse the grid, no distribution on the finest one with all rows is outside; and finer cells close the gap, by a factor of 4 or more from 12 cells to 96."
    rng = np.random.default_rng(n)
    c, samples = rng.binomial(n, rng.beta(.5, .5, size=120)), np.full(120, n)
    limits, a, at, gaps = limits_of(c, samples, .05), np.sin(np.linspace(0, np.pi / 2, 193))**2, np.arange(16, 192, 16), []
    most = np.array([-exact_program(c, n, limits, a, -1. * (a <= a[j])).fun for j in at])
    least = np.array([exact_program(c, n, limits, a, 1. * (a < a[j])).fun for j in at])
    monkeypatch.setattr(Localization._extreme, "__defaults__", (1e-6,))
    for cells in (12, 24, 48, 96):
        monkeypatch.setattr(band, "_lattice", lambda n: (a, np.arange(193) % (192 // cells) == 0))
        here = Localization(c, samples, limits)
        above, below = np.array([here.greatest(j) for j in at]) - most, least - np.array([here.smallest(j) for j in at])
        assert (above >= 0).all() and (below >= 0).all()
        gaps.append(above.mean() + below.mean())
    assert gaps[-1] <= gaps[0] / 4


@pytest.mark.parametrize("model, upper", [("base", [.028, .040, .090, .200, .43, .89, .985]), ("simplerl", [.016, .020, .080, .285, .84, 1, 1])])
def test_real_counts(model, upper):
    "MATH-500, 128 answers. And no number depends on what was asked before."
    c, n = math500(model)
    sharp, closed = (quantile_from_counts(c, n, band=name) for name in ("sharp", "closed"))
    low, high = sharp.confidence_interval(EPS)
    wide_low, wide_high = closed.confidence_interval(EPS)
    assert (high <= upper).all() and (wide_low <= low).all() and (high <= wide_high).all()
    if model == "base": assert low[3] >= .0018
    again = quantile_from_counts(c, n, band="sharp")
    for i in (3, 1, 5): assert np.allclose(again.confidence_interval(EPS[i]), (low[i], high[i]), atol=2e-3)


def test_equal_questions_get_equal_answers():
    c, n = math500("base")
    first, second = (quantile_from_counts(c, n).confidence_interval(EPS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 20), st.booleans())
def test_sharp_limits_lie_within_the_closed_form_and_are_monotone(seed, J, most, unequal):
    rng = np.random.default_rng(seed)
    n = rng.choice([most, 2 * most, 5], size=J) if unequal else np.full(J, most)
    c = rng.binomial(n, rng.beta(.4, .6, size=J))
    limits, eps, a = limits_of(c, n, .05), np.array([0, .05, .3, .6, .95, 1]), np.array([0, .02, .3, .7, 1])
    here = Localization(c, n, limits)
    for sharp, closed, at in ((sharp_quantile, quantile_band, eps), (sharp_cdf, cdf_band, a)):
        wide = closed(c, n, limits, at)
        low, high = sharp(here, at, *wide)
        assert (wide[0] <= low).all() and (high <= wide[1]).all() and (low <= high + 1e-9).all()
        assert (np.diff(low) >= -1e-5).all() and (np.diff(high) >= -1e-5).all()


@pytest.mark.parametrize("c, n", [(4, 8), (20, 40)])
def test_counts_that_vary_less_than_independent_answers(c, n):
    with pytest.raises(NoDistribution, match="vary less"): Localization(np.full(500, c), np.full(500, n), count_limits(500, .05, n))
    result = quantile_from_counts(np.full(500, c), n)
    assert any("vary less" in sentence for sentence in result.warnings)
    np.testing.assert_array_equal(result.confidence_interval(.3), quantile_from_counts(np.full(500, c), n, band="closed").confidence_interval(.3))


def test_a_program_that_is_not_solved_says_nothing(monkeypatch):
    "Then F lies between 0 and 1, and the closed form remains."
    c, n = np.random.default_rng(0).binomial(8, .4, size=50), np.full(50, 8)
    limits = limits_of(c, n, .05)
    here = Localization(c, n, limits)
    monkeypatch.setattr(band, "_solve", lambda *args: None)
    assert here.greatest(100) == 1 and here.smallest(100) == 0
    closed = quantile_band(c, n, limits, EPS)
    np.testing.assert_array_equal(sharp_quantile(here, EPS, *closed), closed)


@pytest.mark.parametrize("band", ["sharp", "closed"])
@pytest.mark.parametrize("depends", [False, True])
def test_band_covers_the_whole_curve_with_unequal_samples(depends, band):
    """With numbers of samples that are drawn, or chosen by the likelihood itself. At a coverage of 95%, more than 7 misses in 40, or 13 in 100, have a
    probability below 0.001."""
    replicates, most, eps = (40, 7, np.array([.05, .1, .2, .4, .7])) if band == "sharp" else (100, 13, np.linspace(.01, .99, 40))
    misses, truth = 0, beta.ppf(eps, .5, .8)
    for seed in range(replicates):
        rng = np.random.default_rng([seed, depends])
        a = rng.beta(.5, .8, size=100)
        n = np.where(a < .2, 24, 8) if depends else rng.choice([8, 12, 24], size=100)
        low, high = quantile_from_counts(rng.binomial(n, a), n, band=band).confidence_interval(eps)
        misses += not ((low <= truth) & (truth <= high)).all()
    assert misses <= most


def test_which_band_is_the_default():
    rng = np.random.default_rng(0)
    assert quantile_from_counts(rng.binomial(16, .3, size=50), 16).band == "sharp"
    assert quantile_from_counts(rng.binomial(3000, .3, size=50), 3000).band == "closed"
    n = np.arange(10, 60)
    assert quantile_from_counts(rng.binomial(n, .3), n).band == "closed"
    low, high = quantile_from_counts(rng.binomial(n, .3), n, band="sharp").confidence_interval(.5)
    assert low <= .3 <= high


# one share alone

@pytest.mark.parametrize("truth", [lambda u: beta.ppf(u, .3, .5), lambda u: np.where(u < .3, .02, .7), lambda u: np.clip((u - .2) / .5, 0, 1)])
@pytest.mark.parametrize("J, n", [(30, 4), (100, 16), (60, 0)])
def test_each_limit_alone_holds(truth, J, n):
    "Of 300 data sets at a coverage of 95%, less than this come once in ten thousand times: for each eps, and for each a. n = 0: 40 answers where it is hard, 6 where not."
    eps, a = np.array([.05, .1, .3, .7]), np.array([0, .01, .3, .8])
    F = (truth((np.arange(100_000) + .5) / 100_000)[:, None] <= a).mean(axis=0)
    held, within = np.zeros(4), np.zeros(4)
    for seed in range(300):
        rng = np.random.default_rng([seed, J, n])
        likelihood = truth(rng.random(J))
        samples = np.where(likelihood < .3, 40, 6) if n == 0 else np.full(J, n)
        c = rng.binomial(samples, likelihood)
        low, high = pointwise_quantile(c, samples, .05, eps)
        held += (low <= truth(eps) + 1e-12) & (truth(eps) <= high + 1e-12)
        low, high = pointwise_cdf(c, samples, .05, a)
        within += (low <= F + 1e-4) & (F - 1e-4 <= high)
    assert (held >= binom.ppf(1e-4, 300, .95)).all() and (within >= binom.ppf(1e-4, 300, .95)).all()


def test_alone_is_narrower_where_it_should_be():
    c, n = math500("base")
    low, high = pointwise_quantile(c, n, .05, np.array([.05, .1, .2]))
    assert low[1] >= .0065 and high[1] <= .2 and high[0] <= .082 and low[2] >= .085
    band_low, _ = quantile_from_counts(c, n).confidence_interval([.05, .1, .2])
    assert (low[1:] > band_low[1:]).all()


def test_alone_and_unsolved_for_good():
    "At a = 0 the upper limit is that of Clopper and Pearson for the problems that were never solved, and the lower one is 0."
    c, n = math500("simplerl")
    low, high = pointwise_cdf(c, n, .05, np.array([0.]))
    assert low[0] == 0 and high[0] == pytest.approx(binomtest(int((c == 0).sum()), 500).proportion_ci(.95).high, abs=2e-3)


# means over problems

def test_means_of_zeros_and_ones_are_exact():
    for K in (0, 1, 7, 29, 30):
        exact = binomtest(K, 30).proportion_ci(.95)
        assert mean_limits(np.repeat([1., 0.], [K, 30 - K]), .05, 30) == pytest.approx([exact.low, exact.high], abs=1e-9)


def test_means_in_general_are_about_normal_and_never_a_point():
    x = np.random.default_rng(0).beta(2, 3, size=1000)
    error = 1.96 * x.std() / 1000**.5
    assert mean_limits(x, .05, 10**6) == pytest.approx([x.mean() - error, x.mean() + error], abs=2e-4)
    low, high = mean_limits(np.full(20, .5), .05, 80)  # as wide as 80 answers say
    assert [low, high] == pytest.approx([*binomtest(40, 80).proportion_ci(.95)], abs=1e-9)


def test_beyond_the_samples():
    "The lower limit stays, the upper one is that of all distributions with the unsolved share at its limit: it is attained where all problems are alike."
    c, n = math500("base")
    low, high = np.transpose([pass_limits(c, n, m, .05) for m in (64, 128, 129, 256, 4096)])
    assert (np.diff(high) >= 0).all() and (low[1:] == low[1]).all()
    assert 1 - high[3] == pytest.approx((1 - high[1])**2)
    low, high = np.transpose([informative_limits(c, n, G, .05) for G in (2, 16, 128, 256, 4096)])
    assert (low[2:] == low[2]).all() and (np.diff(high) >= -1e-9).all() and high[-1] <= 1
    one = np.ones(40, dtype=int)
    assert informative_limits(np.repeat([0, 1], 20), one, 8, .05)[0] == 0  # one answer says nothing of groups
    with pytest.raises(ValueError, match="at least 2 answers"): informative_limits(c, n, 1, .05)
    with pytest.raises(ValueError, match="at least 2 answers"): quantile_from_counts(c, n).informative(1)
    with pytest.raises(ValueError, match="m must be at least 1"): pass_limits(c, n, 0, .05)


# the stored simulation

COVERAGE = MATH500.parent / "band_coverage.csv"


def test_stored_coverages_allow_for_what_is_promised():
    """No share of data sets in which limits hold is below 95% by more than chance: an entry that is just 95% would be in one of 100,000 simulations, so that of
    the less than 500 entries any would be in one of 200."""
    table = pd.read_csv(COVERAGE)
    assert len(table) >= 30 and {30, 100, 200, 500} <= set(table.J) and {0, 4, 16, 64, 128, 1024} <= set(table.n)
    held = ["closed", "sharp", *(c for c in table if c.startswith(("alone(", "pass(", "informative(")))]
    assert len(held) * len(table) < 500
    for column in held:
        replicates = table.sharp_replicates if column == "sharp" else table.replicates
        assert (table[column] * replicates >= binom.ppf(1e-5, replicates, .95) - 1e-6).all(), column


def test_stored_limits_are_made_again_and_narrower_than_before():
    "The mean upper limits in closed form of one setting, from its seeds. On average over the settings the sharp ones are below those, and those below the limits of DKW."
    table, upper = pd.read_csv(COVERAGE), []
    row = table.query("truth == 'Beta(0.3, 0.5)' and J == 30 and n == 4").iloc[0]
    for replicate in range(int(row.replicates)):
        rng = np.random.default_rng([replicate, 30, 4, 0])
        c, n = rng.binomial(np.full(30, 4), beta.ppf(rng.random(30), .3, .5)), np.full(30, 4)
        upper.append(quantile_band(c, n, limits_of(c, n, .05), np.array([.05, .1]))[1])
    assert np.mean(upper, axis=0) == pytest.approx(row[["closed up to(0.05)", "closed up to(0.1)"]].to_numpy(dtype=float), abs=1e-9)
    for eps in (.05, .1): assert table[f"sharp up to({eps})"].mean() < table[f"closed up to({eps})"].mean() < table[f"dkw up to({eps})"].mean()
