"Likelihood quantiles against their definition. Covers quantile."
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.quantile import coverage_profile, likelihood_quantile, token_likelihood_quantile

property_test = settings(max_examples=200, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@property_test
@given(seed=seeds, n=st.integers(1, 30), weighted=st.booleans())
def test_quantile_is_the_supremum_of_its_definition(seed, n, weighted):
    "sup{a : P(q <= a) <= eps}, searched over a fine grid of a; with ties, with weights, at every step of the distribution."
    rng = np.random.default_rng(seed)
    q = rng.integers(1, 8, size=n) / 8
    p = rng.dirichlet(np.ones(n)) if weighted else np.full(n, 1 / n)
    grid = np.arange(0, 8 * 16 + 1) / (8 * 16)
    for eps in np.append(np.arange(n + 1) / n, rng.random(3)):
        inside = [a for a in grid if p[q <= a].sum() <= eps + 1e-12]
        assert np.exp(likelihood_quantile(np.log(q), eps, p if weighted else None)) == pytest.approx(max(inside, default=0), abs=1 / 127)


@property_test
@given(seed=seeds, n=st.integers(1, 20), N=st.integers(1, 6))
def test_token_level_quantile_is_never_below(seed, n, N):
    rng = np.random.default_rng(seed)
    ll, eps = -rng.exponential(size=(n, N)), np.linspace(0, 1, 23)
    assert (token_likelihood_quantile(ll, eps) >= likelihood_quantile(ll.sum(axis=1), eps) - 1e-12).all()


@property_test
@given(seed=seeds, n=st.integers(1, 20))
def test_quantile_inverts_the_coverage_profile(seed, n):
    "Galois: Q(eps) >= a exactly if P(q < a) <= eps."
    rng = np.random.default_rng(seed)
    v = np.log(rng.integers(1, 6, size=n) / 6)
    for log_a in np.log(np.arange(1, 7) / 6):
        for eps in np.arange(n + 1) / n:
            assert (likelihood_quantile(v, eps) >= log_a) == (coverage_profile(v, log_a) <= eps + 1e-12)


def test_steps_are_met_in_floating_point():
    "j / n and eps * n are rounded; the value picked is that of exact arithmetic."
    for n in range(1, 301):
        v = -np.arange(n, 0, -1.)
        assert (likelihood_quantile(v, np.arange(n) / n) == v).all() and likelihood_quantile(v, 1) == 0
