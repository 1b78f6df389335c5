"Estimates and warnings from counts, against exact arithmetic, brute force and simulation. Covers counts, estimate, quantile."
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.counts import _pass_limits, above_chance, compare_counts, count_warnings, quantile_from_counts
from pgpost.quantile import pass_at_k
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


@property_test
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(["average", "smooth", "npmle", "plug-in", "beta-binomial"]))
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
    p = result.pass_at([1, 2, 5, 20, 100, 10**6] if estimate not in ("npmle", "plug-in") else np.arange(1, n.max() + 1))
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


def test_above_chance_keeps_its_level():
    "Of guessed problems at most a share of `level` passes, and one count less would let more pass: exactly, over all counts of n samples."
    for n in (1, 2, 3, 8, 64, 1000):
        for chance in (.01, .25, .5):
            passed = above_chance(np.arange(n + 1), n, chance)
            pmf = binom.pmf(np.arange(n + 1), n, chance)
            assert pmf[passed].sum() <= .05 and (np.diff(passed.astype(int)) >= 0).all()
            assert pmf[np.arange(n + 1) >= n + 1 - passed.sum() - 1].sum() > .05 or passed.all()
    assert above_chance(np.arange(9), 8).tolist() == [False] + [True] * 8  # without guessing: any


def test_a_comparison_under_guessing_counts_what_is_above_chance():
    "Two models that guess everything differ by luck alone: they gain and lose few problems, where any success would make nearly all of them solved."
    rng = np.random.default_rng(0)
    c1, c2 = rng.binomial(8, .25, size=(2, 1000))
    guessed = compare_counts(c1, 8, c2, 8, chance=.25)
    passing = above_chance(np.arange(9), 8, .25) @ binom.pmf(np.arange(9), 8, .25)  # 0.027
    assert guessed.gained.sum() + guessed.lost.sum() <= binom.ppf(.999, 1000, 2 * passing * (1 - passing))
    assert (guessed.gained == (above_chance(c2, 8, .25) & ~above_chance(c1, 8, .25))).all()


WIDE = (.3, .5), (.5, .5), (1, .3), (1, 1), (3, 1)  # Beta distributions that reach from 0 to 1
NARROW = (2, 2), (5, 5), (2, 8)  # and some that bunch: problems of medium difficulty


def alarms(made, replicates, *word):
    "In how many of the replicates a warning with one of the words came up."
    return sum(any(w in sentence for sentence in count_warnings(*made(np.random.default_rng([seed, replicates]))) for w in word) for seed in range(replicates))


@pytest.mark.parametrize("J, n", [(20, 4), (20, 8), (20, 16), (50, 16), (100, 8), (500, 64)])
@pytest.mark.parametrize("shape", WIDE + NARROW)
def test_honest_counts_are_rarely_suspected(shape, J, n):
    """Any warning at all, of equally many samples: less than one log of twenty where likelihoods reach from 0 to 1, one of seven where they bunch.
    A binomial count of 100 above its 0.999 quantile would be an error of the statement, once in a thousand."""
    honest = alarms(lambda rng: (rng.binomial(n, rng.beta(*shape, size=J)), n), 100, "")
    assert honest <= binom.ppf(.999, 100, .05 if shape in WIDE else 1 / 7)


@pytest.mark.parametrize("J, n", [(30, 4), (30, 8), (50, 16), (200, 32)])
@pytest.mark.parametrize("shape", [(.3, .5), (.5, .5), (1, .3)])
def test_groups_left_out_are_seen(shape, J, n):
    "Where groups without both outcomes were dropped, nine logs of ten are suspected."
    def filtered(rng):
        c = rng.binomial(n, rng.beta(*shape, size=100 * J))
        return c[(0 < c) & (c < n)][:J], n
    assert alarms(filtered, 50, "left out") >= binom.ppf(.001, 50, .9)


@pytest.mark.parametrize("copies", [2, 4, 16])
def test_copies_of_one_answer_are_seen(copies):
    "One answer each of 60 problems, repeated; and honest answers with likelihoods as polarised as of no published model are suspected in one log of ten."
    assert alarms(lambda rng: (copies * rng.binomial(1, rng.beta(.5, .5, size=60)), copies), 50, "copies") == 50
    assert alarms(lambda rng: (rng.binomial(copies, rng.beta(.1, .1, size=60)), copies), 200, "copies") <= binom.ppf(.999, 200, .1)


def numbers(rng, kind, J):
    if kind == "few dropped": return np.where(rng.random(J) < .05, 7, 8)
    if kind == "one": return np.append(1, np.full(J - 1, 8))
    if kind == "two": return rng.choice([4, 64], size=J)
    return rng.integers(1, 17, size=J)


@pytest.mark.parametrize("kind", ["few dropped", "one", "two", "all"])
@pytest.mark.parametrize("shape", [(.3, .5), (10, 1), (.1, 1), (50, 2)])
def test_unequal_numbers_are_rarely_suspected(kind, shape):
    "One of a thousand honest logs, also where nearly all answers are right: of 400, more than 4 would come once in 5000 times."
    def honest(rng):
        n = numbers(rng, kind, rng.choice([10, 30, 200]))
        return rng.binomial(n, rng.beta(*shape, size=len(n))), n
    assert alarms(honest, 400, "more samples", "stopped") <= 4


@pytest.mark.parametrize("J", [20, 50])
@pytest.mark.parametrize("shape", [(.3, .5), (1, .3), (.5, 1)])
def test_samples_that_depend_on_the_answers_are_seen(shape, J):
    "Sampling until the first or the third success, 32 times at most; and sampling again what was not solved in 4 (of which easy problems show little)."
    def stopped(success):
        def made(rng):
            right = np.cumsum(rng.random((J, 32)) < rng.beta(*shape, size=J)[:, None], axis=1)
            n = np.where(right[:, -1] >= success, (right >= success).argmax(axis=1) + 1, 32)
            return right[np.arange(J), n - 1], n
        return made
    def adaptive(rng):
        a = rng.beta(*shape, size=J)
        c = rng.binomial(4, a)
        return np.where(c == 0, rng.binomial(12, a), c), np.where(c == 0, 16, 4)
    assert alarms(stopped(1), 50, "stopped at 1 correct") >= 49 and alarms(stopped(3), 50, "stopped at 3 correct") >= 49
    if J == 50 and shape != (1, .3): assert alarms(adaptive, 50, "solved less often") >= 40


def test_real_counts_are_not_suspected():
    "MATH-500, all of it, its subsets, and with fewer samples."
    rng = np.random.default_rng(0)
    for _, t in pd.read_csv(MATH500).groupby("model"):
        assert count_warnings(t.n_correct, t.n_samples) == []
        for J, n in [(30, 4), (30, 16), (100, 8), (500, 16)]:
            drawn = [t.sample(J, random_state=i) for i in range(50)]
            assert sum(bool(count_warnings(rng.hypergeometric(d.n_correct, d.n_samples - d.n_correct, n), n)) for d in drawn) <= 6  # 1 in 20, 0.1% error


def test_what_few_samples_leave_open():
    """Between the least and the greatest pass@m, against the two-point distributions that reach them: of one moment, never or always, and all alike;
    of two, mass at a = 1 and one point, or at a = 0 and one point (with b = 1 - a, whose first moments are u and v)."""
    a = np.linspace(0, 1, 2001)
    weight = beta.pdf(np.clip(a, 1e-9, 1 - 1e-9), 2, 3)
    weight /= weight.sum()
    u, v = weight @ (1 - a), weight @ (1 - a)**2
    for m in (2, 5, 32): assert _pass_limits(a, weight, 1, m) == pytest.approx([1 - u, 1 - u**m], abs=1e-5)
    x = (u - v) / (1 - u)
    p = (u - x) / (1 - x)  # mass at b = 1
    for m in (4, 32): assert _pass_limits(a, weight, 2, m) == pytest.approx([1 - p - (1 - p) * x**m, 1 - u**2 / v * (v / u)**m], abs=1e-5)
    low, high = np.transpose([_pass_limits(a, weight, n, 6) for n in (1, 2, 3, 4)])
    assert (np.diff(low) > 0).all() and (np.diff(high) < 0).all() and low[-1] < 1 - weight @ (1 - a)**6 < high[-1]  # every moment leaves less open


def test_few_samples_are_said():
    rng = np.random.default_rng(0)
    for n, said in [(1, "one sample a problem tells the mean likelihood and nothing of its spread"), (2, "2 samples a problem tell 2 moments"), (3, "3 samples")]:
        c = rng.binomial(n, rng.beta(.5, .5, size=200))
        (sentence,) = quantile_from_counts(c, n).table(.1).attrs["warnings"]
        assert sentence.startswith(said) and f"pass@{2 * n} from" in sentence
    assert "pass@2 from 0.50 to 0.75" in count_warnings([0, 1] * 50, 1)[0]
    assert count_warnings(rng.binomial(4, rng.beta(.5, .5, size=200)), 4) == []
