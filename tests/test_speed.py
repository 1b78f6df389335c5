"What is fast is equal to what is plain. Covers policy, task, experiment."
import os
import signal
import threading
import time
from dataclasses import FrozenInstanceError, replace
from functools import partial

import numpy as np
import pytest
from pgpost.experiment import ExperimentFailed, Figure1
from pgpost.features import ContextOnly, Encoder, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.train import RunInterrupted
from stopping import failing, telling

ENCODERS = [LastToken(3, 5), ContextOnly(3, 5), Position(3, 5, N=30)]


def plain_sample(policy, x, N, rng, explore):
    "Token by token from the definition: the first token whose cumulative probability exceeds a uniform number."
    encoder, rows = policy.encoder, np.arange(len(x))
    state, y = np.full(len(x), encoder.start), []
    for _ in range(N):
        z = Encoder.logits(encoder, policy.W, x)(rows, state)
        cdf = np.exp(z - z.max(axis=1, keepdims=True)).cumsum(axis=1)
        token = (cdf / cdf[:, -1:] > rng.random((len(x), 1))).argmax(axis=1)
        if explore: token = np.where(rng.random(len(x)) < explore, rng.integers(encoder.k, size=len(x)), token)
        state = encoder.advance(state, token)
        y.append(token)
    return np.stack(y, axis=1)


@pytest.mark.parametrize("explore", [0, .3])
@pytest.mark.parametrize("replicates", [None, 4])
@pytest.mark.parametrize("scale", [0, 1, 30])
@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_samples_are_those_of_the_plain_loop(encoder, scale, replicates, explore):
    "For equal random numbers: uniform, mixed and nearly deterministic policies, alone and in a stack."
    rng = np.random.default_rng(0)
    shape = (encoder.n_features, 5) if replicates is None else (replicates, encoder.n_features, 5)
    policy, x = LinearPolicy(encoder, scale * rng.normal(size=shape)), rng.normal(size=(200, 3))
    y = policy.sample(x, 30, rng=1, explore=explore)
    assert (y == plain_sample(policy, x, 30, np.random.default_rng(1), explore)).all()
    assert len(np.unique(y)) > 2


@pytest.mark.parametrize("N", [1, 7, 300])
def test_a_walk_of_any_cycle_is_the_greedy_response(N):
    "Every map on four tokens: the compressed walk against following the map."
    for code in range(4**4):
        follow = np.array([code // 4**j % 4 for j in range(4)])
        W = np.vstack([np.eye(4)[[2]], 9 * np.eye(4)[follow]])
        path, token, expected = LinearPolicy(LastToken(1, 4), W).greedy([[1.]], N), 2, []
        for _ in range(N): expected, token = [*expected, token], follow[token]
        assert path.tokens().tolist() == [expected] and path.count().sum() == N


SMALL = dict(seed=2, d=8, k=8, N=32, n_components=8, base_steps=40, base_batch_size=64, batch_size=64, off_support=1e-5)


def test_figure1_in_two_processes_is_the_same():
    one, two = Figure1(steps=70, **SMALL).run(), Figure1(steps=70, **SMALL).run(parallel=True)
    for name in "outcome", "process": np.testing.assert_array_equal(one.runs[name].policy.W, two.runs[name].policy.W)
    for table in "history", "trajectories", "centers": assert getattr(one, table)().to_csv() == getattr(two, table)().to_csv()
    assert one.complete and two.complete


def test_a_setting_does_not_change_and_gives_the_same_result_again():
    setting = Figure1(steps=5, **SMALL)
    with pytest.raises(FrozenInstanceError): setting.steps = 6
    first = setting.run()
    assert setting == Figure1(steps=5, **SMALL) and first.setting == setting
    assert setting.run(parallel=True).centers().to_csv() == first.centers().to_csv()
    assert {run.steps for run in replace(setting, steps=6).run(parallel=True).runs.values()} == {6}


@pytest.mark.slow
@pytest.mark.parametrize("slow, fast", [("outcome", "process"), ("process", "outcome")])
def test_an_interrupted_run_is_known_as_such_whichever_is_through(slow, fast, tmp_path):
    "Ctrl-C when one of two runs is complete: it is kept whole, the other as far as it got, and the interruption is raised."
    def interrupt():
        while not (tmp_path / fast).exists(): time.sleep(.01)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(RunInterrupted) as stop: Figure1(steps=2000, **SMALL).run(progress=partial(telling, tmp_path, slow=[slow]), parallel=True)
    result = stop.value.result
    assert result.runs[fast].steps == 2000 > result.runs[slow].steps and not result.complete
    assert len(result.history()) == sum(len(run.rows) for run in result.runs.values())


@pytest.mark.parametrize("parallel", [False, True])
def test_an_error_in_a_run_is_raised_and_what_is_there_is_kept(parallel):
    with pytest.raises(ExperimentFailed, match="ValueError: no third step") as failure: Figure1(steps=200, **SMALL).run(progress=failing, parallel=parallel)
    assert list(failure.value.result.runs) == ["outcome"] and failure.value.result.base.steps == 40
    assert isinstance(failure.value.__cause__, ValueError)
