"Estimates and bands from counts, against exact arithmetic, brute force and simulation."
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.quantile import ESTIMATES, compare_counts, pass_at_k, quantile_from_counts, step_likelihood
from scipy.stats import beta, binom

property_test = settings(max_examples=100, deadline=None, derandomize=True)
MATH500 = Path(__file__).parent.parent / "nbs/guides/math500_counts.csv"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(1, 400), st.data())
def test_pass_at_k_is_the_ratio_of_binomials(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    exact = 1 - Fraction(comb(n - c, k), comb(n, k))
    assert pass_at_k(c, n, k) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("c, n, k", [(3, 10**6, 50_000), (40_000, 10**6, 2), (1, 10**9, 1), (7, 10**12, 1000), (10**5, 10**6, 300)])
def test_pass_at_k_for_large_n(c, n, k):
    "With relative precision where the result is tiny, against exact rational products."
    miss, few, many = Fraction(1), min(c, k), max(c, k)
    for i in range(few): miss *= Fraction(n - many - i, n - i) if few < 400 else 1
    if few < 400: assert pass_at_k(c, n, k) == pytest.approx(float(1 - miss), rel=1e-12)
    else: assert pass_at_k(c, n, k) == pytest.approx(1, rel=1e-12)


def test_pass_at_k_is_unbiased():
    "Its mean over all counts of n samples is the probability of a success in k."
    n, a, c = 12, np.array([.01, .3, .9]), np.arange(13)
    for k in (1, 5, 12): np.testing.assert_allclose(binom.pmf(c[:, None], n, a).T @ pass_at_k(c, n, k), 1 - (1 - a)**k, rtol=1e-12)


def brute_band(c, n, delta, eps, grid):
    "The definition: for every likelihood of a grid the best bound over all thresholds on the score; then the inverse."
    score = np.array([beta.ppf(.5, ci + 1, ni - ci) if ci < ni else 1. for ci, ni in zip(c, n)])
    lam, up, low = np.sqrt(np.log(2 / delta) / (2 * len(c))), np.ones(len(grid)), np.zeros(len(grid))
    thresholds = np.append(np.unique(score), 2.)
    scores = {m: np.append(beta.ppf(.5, np.arange(m) + 1, m - np.arange(m)), 1.) for m in np.unique(n)}
    for s in thresholds:
        for strict in (True, False):
            t = {m: (v < s - 1e-12 if strict else v <= s + 1e-12).sum() - 1 for m, v in scores.items()}
            G = (score < s - 1e-12 if strict else score <= s + 1e-12).mean()
            B = np.array([binom.cdf(t[m], m, grid) for m in scores])
            with np.errstate(divide="ignore", invalid="ignore"):
                up = np.fmin(up, (G + lam) / B.min(axis=0))
                low = np.fmax(low, np.where(B.max(axis=0) < 1, (G - lam - B.max(axis=0)) / (1 - B.max(axis=0)), 0))
    return [grid[up <= e].max(initial=0) for e in eps], [grid[low <= e].max(initial=0) for e in eps]


@pytest.mark.parametrize("seed, unequal", [(0, False), (1, False), (2, True), (3, True), (4, True)])
def test_band_is_the_inverse_of_its_inequalities(seed, unequal):
    rng = np.random.default_rng(seed)
    n = rng.choice([5, 9, 16], size=60) if unequal else np.full(60, 12)
    c = rng.binomial(n, rng.beta(.5, .5, size=60))
    grid, eps = np.linspace(0, 1, 2001), np.array([.01, .2, .35, .5, .65, .8, .99])
    low, high = quantile_from_counts(c, n, .8).confidence_interval(eps)
    brute_low, brute_high = brute_band(c, n, .2, eps, grid)
    np.testing.assert_allclose(low, brute_low, atol=1 / 2000 + 1e-9)
    np.testing.assert_allclose(high, brute_high, atol=1 / 2000 + 1e-9)


@pytest.mark.parametrize("depends", [False, True])
def test_band_covers_the_whole_curve_with_unequal_samples(depends):
    """With numbers of samples that are drawn, or chosen by the likelihood itself. At a coverage of 95%, more than 13 misses in 100 have a
    probability below 0.001. The simulation of all settings with equal numbers is in the guide on evaluation logs."""
    eps, misses = np.linspace(.01, .99, 40), 0
    for seed in range(100):
        rng = np.random.default_rng([seed, depends])
        a = rng.beta(.5, .8, size=100)
        n = np.where(a < .2, 24, 8) if depends else rng.choice([8, 12, 24], size=100)
        low, high = quantile_from_counts(rng.binomial(n, a), n).confidence_interval(eps)
        misses += not ((low <= beta.ppf(eps, .5, .8)) & (beta.ppf(eps, .5, .8) <= high)).all()
    assert misses <= 13


@property_test
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(ESTIMATES))
def test_properties_of_a_result(seed, J, estimate):
    "Monotone curves, an ordered band that holds the plug-in's place, cdf and quantile as inverses, for any counts."
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 20, size=J)
    c = rng.binomial(n, rng.random(J))
    result, eps = quantile_from_counts(c, n, estimate=estimate), np.linspace(0, 1, 21)
    q, (low, high) = result.quantiles(eps), result.confidence_interval(eps)
    for curve in (q, low, high): assert (np.diff(curve) >= -1e-12).all() and (0 <= curve).all() and (curve <= 1).all()
    assert (low <= high).all() and low[-1] == high[-1] == q[-1] == 1
    assert result.weight.sum() == pytest.approx(1) and (result.weight >= 0).all()
    for a in (0, .3, 1.):
        share = result.cdf(a)
        if share < 1 - 1e-9: assert result.quantiles(min(share + 1e-9, 1)) > a
    p = result.pass_at([1, 2, 5, 20, 100, 10**6])
    assert (np.diff(p) >= -1e-12).all() and p[0] == pytest.approx((c / n).mean()) and p[-1] <= 1
    assert 1 - 1e-12 <= result.first_success(30) <= 30 + 1e-9


def test_the_band_tightens_with_confidence_and_with_problems():
    c = np.random.default_rng(0).binomial(32, np.random.default_rng(1).random(200))
    def width(c, level): return np.subtract(*quantile_from_counts(c, 32, level).confidence_interval([.2, .5, .8])[::-1])
    assert (width(c, .5) < width(c, .99)).all() and (width(np.tile(c, 10), .95) < width(c, .95)).all()


def test_npmle_is_a_maximum():
    "No likelihood of the grid can take more weight to a gain of more than 0.01 nats (the gradient condition), and a direct optimizer finds no more."
    from scipy.optimize import minimize
    from scipy.special import softmax
    c = np.random.default_rng(0).binomial(10, np.random.default_rng(1).beta(.5, .5, size=80))
    result = quantile_from_counts(c, 10, estimate="npmle")
    L = binom.pmf(c[:, None], 10, result.likelihood)
    reached = np.log(L @ result.weight).sum()
    assert (L / (L @ result.weight)[:, None]).sum(axis=0).max() - 80 <= .01
    free = minimize(lambda x: -np.log(L @ softmax(x)).sum(), np.zeros(L.shape[1]), method="L-BFGS-B", options=dict(maxfun=10**6))
    assert reached >= -free.fun - .011
    assert reached >= np.log(L @ quantile_from_counts(c, 10).weight).sum()


def test_known_answers():
    table = pd.read_csv(MATH500)
    base, trained = (table.query("model == @m") for m in ("base", "simplerl"))
    results = [quantile_from_counts(t.n_correct, t.n_samples) for t in (base, trained)]
    assert [r.n_correct.sum() for r in results] == [39291, 49877] and [(r.n_correct > 0).sum() for r in results] == [481, 465]
    np.testing.assert_allclose([r.pass_at([1, 128]) for r in results], [[.613921875, .962], [.779328125, .93]], rtol=1e-12)
    q = np.array([r.quantiles([.02, .05, .2, .3, .5]) for r in results])
    assert (q[0, :2] > q[1, :2]).all() and (q[0, 2:] < q[1, 2:]).all()  # the trained model is better but in the tail
    both = compare_counts(base.n_correct, 128, trained.n_correct, 128)
    assert both.gained.sum() == (both.lost.sum() + 465 - 481) and both.thinned == 0
    assert both.p_value == pytest.approx(2 * binom.cdf(both.gained.sum(), both.gained.sum() + both.lost.sum(), .5))


def test_thinning_makes_the_comparison_fair():
    """Equal models, 4 samples against 64: gained and lost must be even, where the raw counts are far from it. Over 2000 problems the split of the discordant
    ones is Bin(m, 1/2), whose two-sided p-value falls below 0.001 once in a thousand seeds."""
    rng = np.random.default_rng(0)
    a = rng.beta(.3, .6, size=2000)
    c4, c64 = rng.binomial(4, a), rng.binomial(64, a)
    result = compare_counts(c4, 4, c64, 64, rng=1)
    assert result.thinned == 2000 and result.p_value > .001
    assert ((c64 > 0) & (c4 == 0)).sum() > 10 * ((c64 == 0) & (c4 > 0)).sum()


def test_step_likelihoods_multiply_to_the_success_rate():
    rng = np.random.default_rng(0)
    verdicts = (rng.random((50, 4)) < [.9, .8, .9, .95]).tolist()
    assert np.prod(step_likelihood(verdicts)) == pytest.approx(np.mean([all(v) for v in verdicts]))
    assert step_likelihood([[1], [1, 1]]).tolist() == [1, 1]  # an answer that ends is not one that fails
