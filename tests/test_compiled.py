"The compiled loops, the loops as Python runs them and the numpy expressions give the same. Covers core, path, features, policy, behavior."
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgpost import core
from pgpost.behavior import OnPolicy, StepwiseBestOf, TokenMixture
from pgpost.features import ContextOnly, Encoder, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adagrad, adaptive
from pgpost.task import gaussian_mixture
from pgpost.train import train

numba = pytest.importorskip("numba", reason="the compiled loops need numba: pip install 'pgpost[compiled]'")
ROUTES = {"numpy": lambda loop: None, "Python": lambda loop: loop, "numba": core.compiled}


def by_every_route(call):
    "The results of `call` with the numpy expressions, with the loops as Python runs them and with the compiled loops."
    results = []
    for route in ROUTES.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(core, "compiled", route)
            results.append(call())
    return results


def same(a, b):
    assert len(a) == len(b)
    for left, right in zip(a, b): np.testing.assert_array_equal(left, right)


def everything(encoder, N, R, scale, explore, seed):
    "What the loops compute, from the walk to the score, as a list of arrays."
    rng = np.random.default_rng(seed)
    shape = (encoder.n_features, encoder.k) if R is None else (R, encoder.n_features, encoder.k)
    pol, x = LinearPolicy(encoder, scale * rng.normal(size=shape)), rng.normal(size=(12, encoder.d))
    walk = LinearPolicy(encoder, rng.normal(size=shape)).greedy(x, N)
    ties = LinearPolicy(encoder, np.rint(rng.normal(size=shape))).greedy(np.rint(x), N)
    y = pol.sample(x, N, rng, explore)
    results = [walk.row, walk.state, walk.place, walk.token, walk.first, walk.period, walk.start, ties.token, ties.period, y]
    for path in walk, y:
        forward = pol.forward(x, path)
        L = forward.path.verified_prefix(forward.log_p, rng)
        results += [forward.p, forward.log_p, L, forward.score(rng.normal(size=len(forward.log_p))), forward.score(forward.path.count(L))]
    return results


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from([LastToken, ContextOnly]), k=st.integers(2, 6), N=st.integers(1, 40), R=st.sampled_from([None, 1, 3]),
       scale=st.sampled_from([0, 1, 30]), explore=st.sampled_from([0, .3]), seed=st.integers(0, 2**32))
def test_loops_are_equal_to_numpy_to_the_last_bit(kind, k, N, R, scale, explore, seed):
    "As Python runs them and compiled. A token or a length may differ where a random number falls within rounding of a boundary: less than once in 1e10 of these runs."
    numpy, python, compiled = by_every_route(lambda: everything(kind(3, k), N, R, scale, explore, seed))
    same(numpy, python)
    same(numpy, compiled)


@pytest.mark.parametrize("reward, behavior, stepsize", [
    (Outcome(), OnPolicy(), adagrad(.1)), (Process(), OnPolicy(), adaptive()), (Outcome(wrong=-1, baseline="mean"), OnPolicy(), adagrad(.1)),
    (Process(wrong=-1), OnPolicy(), adagrad(.1)), (Process(), "Algorithm 2", adaptive())], ids=["outcome", "process", "mean", "signed", "Algorithm 2"])
def test_runs_are_equal_on_every_route(reward, behavior, stepsize):
    task = gaussian_mixture(d=6, k=6, N=9, n_components=6, rng=0)
    base = LinearPolicy(task.encoder, 2 * task.W)
    if behavior == "Algorithm 2": behavior = StepwiseBestOf(TokenMixture(base), m=3)
    def run():
        result = train(task, base, behavior, reward, stepsize, steps=25, batch_size=16, rng=1)
        return [result.policy.W, result.path_sum, result.ledger.queries, result.history.to_numpy()]
    numpy, python, compiled = by_every_route(run)
    same(numpy, python)
    same(numpy, compiled)
    assert not np.array_equal(numpy[0], base.W)


def test_other_encoders_take_the_plain_way():
    "A loop is for logits that are a sum; for others nothing of it is called."
    encoder = Position(3, 5, N=7)
    def broken(*args): raise AssertionError("no loop is wanted here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "compiled", lambda loop: broken)
        pol = LinearPolicy(encoder, np.random.default_rng(0).normal(size=(encoder.n_features, 5)))
        assert pol.greedy(np.ones((2, 3)), 7).tokens().shape == pol.sample(np.ones((2, 3)), 7, rng=0).shape == (2, 7)


def test_without_numba_nothing_is_compiled(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert core.compiled.__wrapped__(lambda: None) is None


def test_a_numba_that_does_not_work_is_none(monkeypatch, tmp_path):
    "Such as one that refuses the version of numpy."
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1.0 or less')")
    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.syspath_prepend(tmp_path)
    assert core.compiled.__wrapped__(lambda: None) is None


def test_compiled_code_is_kept_nowhere_if_there_is_no_folder_for_it(monkeypatch):
    "A function without a file cannot be cached; it is compiled all the same."
    scope = {}
    exec("def double(x): return 2 * x", scope)
    assert core.compiled.__wrapped__(scope["double"])(21) == 42


@pytest.mark.parametrize("parameter", ["array", "attribute"])
def test_any_encoder_works_on_every_route(parameter):
    "Also those that cannot be hashed, and those that differ in what is not a field."
    @dataclass(frozen=True)
    class Table(LastToken):
        to: np.ndarray = None
        states = Encoder.states
        def advance(self, state, token): return np.asarray(self.to)[token]
    tables = np.arange(4)[::-1], np.array([1, 2, 3, 0])
    class Attribute(LastToken):
        states = Encoder.states
        def advance(self, state, token): return self.to[token]
    encoders = [Table(2, 4, table) if parameter == "array" else Attribute(2, 4) for table in tables]
    if parameter == "attribute":
        for encoder, table in zip(encoders, tables): object.__setattr__(encoder, "to", table)
    W, x = np.random.default_rng(0).normal(size=(6, 4)), np.ones((50, 2))
    draws = [by_every_route(lambda: [LinearPolicy(e, W).sample(x, 9, rng=1), LinearPolicy(e, W).greedy(x, 9).tokens()]) for e in encoders]
    for numpy, python, compiled in draws:
        same(numpy, python)
        same(numpy, compiled)
    assert (draws[0][0][0] != draws[1][0][0]).any()
