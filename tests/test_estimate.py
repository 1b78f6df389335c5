"Named estimates against brute force, closed forms and exact limits; the prediction of pass@m on real counts. Covers estimate."
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.counts import quantile_from_counts
from pgpost.estimate import ESTIMATES, anchored_pass_at, backtest, estimate_from_counts, mixture
from pgpost.quantile import pass_at_k
from scipy.stats import beta, betabinom, binom

property_test = settings(max_examples=60, deadline=None, derandomize=True)
GUIDES = Path(__file__).parent.parent / "nbs/guides"
WITH_LIKELIHOODS = [name for name in ESTIMATES if name != "power law"]
BEYOND = [name for name in ESTIMATES if name not in ("npmle", "plug-in")]


def counts(seed, J, unequal):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 20, size=J) if unequal else np.full(J, rng.integers(2, 20))
    return rng.binomial(n, rng.beta(*rng.choice([.2, .5, 1, 4], size=2), size=J)), n


def log_likelihood(c, n, probability):
    return sum(np.log(probability(c_j, n_j)) for c_j, n_j in zip(c, n))


def under(F, c, n):
    "Log-likelihood of the counts under an estimated distribution, a sum over its likelihoods."
    return log_likelihood(c, n, lambda c, n: binom.pmf(c, n, F.likelihood) @ F.weight)


def integral(cdf, c, n, cells=20_000):
    "The probability of a count under a distribution function, over many cells, each with the mean of what it is at its ends."
    a = np.linspace(0, 1, cells + 1)**4  # finer towards 0
    p = binom.pmf(c, n, a)
    return np.diff(cdf(a)) @ (p[1:] + p[:-1]) / 2


@pytest.mark.parametrize("seed", range(3))
def test_beta_binomial_fit_is_the_maximum_of_its_likelihood(seed):
    "No parameters of a fine grid are better, with scipy's beta-binomial probabilities, than the fitted distribution with its own; with unequal n."
    c, n = counts(seed, 60, unequal=True)
    grid = np.geomspace(.01, 100, 120)
    best = max(betabinom.logpmf(c, n, alpha, b).sum() for alpha in grid for b in grid)
    reached = under(estimate_from_counts(c, n, "beta-binomial"), c, n)
    assert best - .01 <= reached <= best + .05  # the grid's best is itself a little below the maximum


SHAPES = {"beta-binomial": lambda a, alpha, b: beta.cdf(a, alpha, b), "Kumaraswamy": lambda a, alpha, b: 1 - (1 - a**alpha)**b}


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("variant", ["", "scaled ", "zero-inflated "])
def test_fits_against_a_grid_of_parameters(family, variant):
    "Of each family and variant, with 40 problems and 6 samples: no parameters of a grid make the counts more likely."
    c = np.random.default_rng(1).binomial(6, .6 * np.random.default_rng(2).beta(.4, 1.5, size=40))
    s = min(1, 41 / 40 * c.max() / 6) if variant == "scaled " else 1
    values, number = np.unique(c, return_counts=True)
    def loglik(alpha, b, never):
        def F(a): return SHAPES[family](np.minimum(a / s, 1), alpha, b)
        return number @ np.log([never * (v == 0) + (1 - never) * integral(F, v, 6, 1000) for v in values])
    grid, never = np.geomspace(.05, 20, 16), np.linspace(0, .9, 10) if variant == "zero-inflated " else [0]
    best = max(loglik(alpha, b, z) for alpha in grid for b in grid for z in never)
    reached = under(estimate_from_counts(c, 6, variant + family), c, np.full(40, 6))
    assert reached >= best - .01


def test_the_beta_binomial_predicts_by_its_closed_form():
    "Of ten thousand problems the parameters come back, and pass@m is that of scipy's beta-binomial."
    rng = np.random.default_rng(0)
    F = estimate_from_counts(rng.binomial(32, rng.beta(.3, .5, size=10_000)), 32, "beta-binomial")
    m = np.array([1, 32, 1000])
    assert F.pass_at(m) == pytest.approx(1 - betabinom.pmf(0, m, .3, .5), abs=.01)
    assert F.quantile([.1, .3, .7]) == pytest.approx(beta.ppf([.1, .3, .7], .3, .5), abs=.01)


@property_test
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.sampled_from(WITH_LIKELIHOODS))
def test_cdf_and_quantile_are_inverses(seed, J, unequal, name):
    "Monotone, between 0 and 1, and the quantile is the supremum of its definition: F is at most eps just below it, and exceeds eps just above."
    F = estimate_from_counts(*counts(seed, J, unequal), name)
    a, eps = np.append(np.linspace(0, 1, 41), [-1, 2]), np.linspace(0, 1, 21)
    values, q = F.cdf(np.sort(a)), F.quantile(eps)
    assert values[0] == 0 and values[-1] == 1 and (np.diff(values) >= -1e-12).all()
    assert (np.diff(q) >= -1e-12).all() and (0 <= q).all() and q[-1] == 1
    assert (F.cdf(q[:-1] + 1e-9) >= eps[:-1] - 1e-9).all() and (F.cdf(q - 1e-9) <= eps + 1e-9).all()
    assert [F.quantile(e) for e in eps] == q.tolist() and [F.cdf(x) for x in a] == F.cdf(a).tolist()


@property_test
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.sampled_from([*ESTIMATES]))
def test_anchored_is_unbiased_up_to_n_and_rises_from_there(seed, J, unequal, name):
    c, n = counts(seed, J, unequal)
    if name == "power law" and np.median(n) < 2: return
    F, least = estimate_from_counts(c, n, name), n.min()
    few = np.arange(1, least + 1)
    assert anchored_pass_at(F, c, n, few).tolist() == [pass_at_k(c, n, k).mean() for k in few]
    if name not in BEYOND: return
    m = np.append(few, [n.max() + 1, 100, 10_000, 10**6])
    p = anchored_pass_at(F, c, n, m)
    assert (np.diff(p) >= -1e-12).all() and (p <= 1).all()
    assert [anchored_pass_at(F, c, n, 10_000), quantile_from_counts(c, n, estimate=name).pass_at(10_000)] == pytest.approx([p[-2]] * 2)


@property_test
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_em_never_loses_likelihood(seed, J, unequal):
    c, n = counts(seed, J, unequal)
    def reached(iterations):
        a, weight = mixture(c, n, iterations, gap=0)
        return log_likelihood(c, n, lambda c, n: binom.pmf(c, n, a) @ weight)
    values = [reached(i) for i in (0, 1, 2, 5, 12, 50)]
    assert all(later >= before - 1e-9 for before, later in pairwise(values))


def test_mixtures_say_nothing_beyond_their_samples():
    for name in ("npmle", "plug-in"):
        F = estimate_from_counts([0, 2, 4, 8], 8, name)
        assert 0 <= F.pass_at(8) <= 1
        with pytest.raises(ValueError, match="says nothing beyond pass@8"): F.pass_at([2, 9])
        with pytest.raises(ValueError, match="The average, the smooth estimate and the fits do"):
            quantile_from_counts([0, 2, 4, 8], 8, estimate=name).pass_at(16)


def test_the_power_law_is_the_least_squares_line():
    """Through two points exactly; through more its residuals in log(-log pass@k) have mean 0 and nothing to do with log k.
    With unequal n each pass@k is that of the problems with as many samples."""
    few = estimate_from_counts([0, 1, 2, 2], 2, "power law")  # pass@1 = 5/8, pass@2 = 3/4
    assert few.pass_at([1, 2]) == pytest.approx([5 / 8, 3 / 4])
    c = np.random.default_rng(0).binomial(24, np.random.default_rng(1).beta(.3, .5, size=100))
    n = np.append(np.full(60, 24), np.full(40, 30))
    law, k = estimate_from_counts(c, n, "power law"), np.arange(1, 25)
    measured = np.array([np.mean([1 - np.prod([(b - a - i) / (b - i) for i in range(j)]) for a, b in zip(c, n)]) for j in k])
    residual = np.log(-np.log(measured)) - np.log(law.scale * k**-law.exponent)
    shown = np.isin(k, np.geomspace(1, 24, 30).astype(int))
    assert residual[shown].mean() == pytest.approx(0, abs=1e-10) and residual[shown] @ np.log(k[shown]) == pytest.approx(0, abs=1e-10)


def test_a_power_law_has_no_likelihoods():
    law = estimate_from_counts([0, 1, 2, 2], 2, "power law")
    for asked in (law.cdf, law.quantile):
        with pytest.raises(ValueError, match="no distribution of likelihoods"): asked(.5)
    with pytest.raises(ValueError, match="no distribution of likelihoods"): quantile_from_counts([0, 1, 2], 2, estimate="power law").quantiles(.1)
    with pytest.raises(ValueError, match="two samples of most problems"): estimate_from_counts([0, 1, 2], [1, 1, 4], "power law")


@pytest.mark.parametrize("name", BEYOND)
def test_exact_limits(name):
    "Where nothing is solved at all the measured part is 0, and what is added is small; where everything is, 1, and nothing can be added."
    none, every = np.zeros(200, dtype=int), np.full(200, 16)
    assert anchored_pass_at(estimate_from_counts(none, 16, name), none, 16, [1, 16]).tolist() == [0, 0]
    assert anchored_pass_at(estimate_from_counts(none, 16, name), none, 16, 32) < .02
    assert anchored_pass_at(estimate_from_counts(every, 16, name), every, 16, [1, 16, 10**6]).tolist() == [1, 1, 1]
    alike = np.random.default_rng(0).binomial(16, .5, size=2000)  # one likelihood, a point mass
    if name == "power law": return
    median = estimate_from_counts(alike, 16, name).quantile(.5)
    assert median == pytest.approx(.5, abs=.02)


def test_the_average_lies_between_its_parts():
    c, m = np.random.default_rng(0).binomial(16, np.random.default_rng(1).beta(.3, .5, size=100)), np.array([20, 64, 10_000])
    both, smooth, law = (estimate_from_counts(c, 16, name) for name in ("average", "smooth", "power law"))
    missed = [(c == 0).mean() * (1 - part.pass_at(m)) / (1 - part.pass_at(16)) for part in (smooth, law)]
    assert 1 - both.pass_at(m) == pytest.approx(np.sqrt(missed[0] * missed[1]))
    assert both.pass_at(16) == pytest.approx((c > 0).mean())
    eps = np.linspace(0, 1, 11)
    assert both.quantile(eps).tolist() == smooth.quantile(eps).tolist() and both.cdf(eps).tolist() == smooth.cdf(eps).tolist()
    once = (c > 8).astype(int)  # of one sample the smooth estimate stands alone
    alone = estimate_from_counts(once, 1, "smooth")
    assert 1 - estimate_from_counts(once, 1).pass_at(10) == pytest.approx((1 - once.mean()) * (1 - alone.pass_at(10)) / (1 - alone.pass_at(1)))


def test_the_quantile_of_the_smooth_estimate_has_no_stairs():
    "Between neighbours of a thousand shares it never stands still, and never jumps by more than a twentieth of a decade where data are."
    table = pd.read_csv(GUIDES / "math500_counts.csv").query("model == 'base'")
    q = estimate_from_counts(table.n_correct, table.n_samples, "smooth").quantile(np.linspace(.05, .95, 1001))
    steps = np.diff(np.log10(q))
    assert (steps > 0).all() and steps.max() < .05


def test_backtest_predicts_what_is_measured():
    """From 16 of 128 samples on MATH-500, and as often drawn anew: the mean prediction is within 0.02 of what is measured, the two models' own draws
    are reproduced, and another seed gives others."""
    for name, measured in (("base", .962), ("simplerl", .93)):
        t = pd.read_csv(GUIDES / "math500_counts.csv").query("model == @name")
        test = backtest(t.n_correct, t.n_samples)
        assert (test.few, test.n, test.measured) == (16, 128, pytest.approx(measured))
        assert test.predicted == pytest.approx(measured, abs=.02) and 0 < test.spread < .03
        assert test.draws.tolist() == backtest(t.n_correct, t.n_samples).draws.tolist() != backtest(t.n_correct, t.n_samples, rng=1).draws.tolist()
    with pytest.raises(ValueError, match="at least 16 samples"): backtest([1, 2], [8, 64])
    with pytest.raises(ValueError, match="says nothing beyond pass@2"): backtest([1, 2], 16, estimate="npmle")


@pytest.mark.parametrize("name", ["average", "power law", "beta-binomial"])
def test_the_guides_table_of_predictions(name):
    "The stored errors of pass@128 from 16 answers, made again by hand from the odd problems of MATH-500: to the last digit that is stored."
    errors = np.zeros((2, 30))
    for row, model in enumerate(("base", "simplerl")):
        t = pd.read_csv(GUIDES / "math500_counts.csv").query("model == @model").iloc[1::2]
        true = pass_at_k(t.n_correct, t.n_samples, 128).mean()
        for draw in range(30):
            c = np.random.default_rng([16, draw, *model.encode()]).hypergeometric(t.n_correct, 128 - t.n_correct, 16)
            p = anchored_pass_at(estimate_from_counts(c, 16, name), c, 16, 128)
            errors[row, draw] = abs(np.log(max(1 - p, .1 / 250) / (1 - true)))
    stored = pd.read_csv(GUIDES / "predictions.csv").query("data == 'MATH-500' and part == 'odd' and n == 16 and asked == 'pass@m'")
    assert stored.query("estimate == @name + ', anchored'").error.item() == pytest.approx(errors.mean(), abs=1e-6)


def test_the_default_is_best_or_within_a_tenth_of_the_best():
    "Mean error over the nine settings, of all problems and of those on which nothing was chosen."
    stored = pd.read_csv(GUIDES / "predictions.csv").query("asked == 'pass@m'")
    for part in ("all", "odd"):
        mean = stored[stored.part == part].groupby("estimate").error.mean()
        assert len(mean) == 2 * len(BEYOND) and mean["average"] <= 1.1 * mean.min()
