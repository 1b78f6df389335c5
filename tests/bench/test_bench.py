"How fast it is. `pip install -e '.[bench]' && pytest tests/bench` takes some minutes; no clock decides whether a test passes."
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from pgpost.behavior import OnPolicy
from pgpost.experiment import CONVENTIONS, Figure1
from pgpost.features import LastToken
from pgpost.policy import LinearPolicy
from pgpost.reward import Process
from pgpost.stepsize import adagrad, adaptive
from pgpost.task import Task
from pgpost.train import post_train, train

for needed in "torch", "numba", "pytest_benchmark":
    pytest.importorskip(needed, reason=f"the benchmark needs {needed}: pip install 'pgpost[bench]'")
import peer
import torch

PGPOST = Path(sys.executable).with_name("pgpost")
both = pytest.mark.parametrize("name", ["outcome", "process"])


@pytest.fixture(scope="module")
def figure(): return Figure1(steps=0).run()


def ours(figure, name, rewards="zero-one", N=128, steps=100):
    "A function that takes so many policy-gradient steps from the base policy, and the number of steps."
    task = Task(figure.setting.task.contexts, figure.setting.task.truth, N)
    return lambda: post_train(task, figure.base.policy, CONVENTIONS[rewards][name], steps=steps, batch_size=1024,
                              stepsize=adagrad(.1), evaluate=lambda policy: {}, rng=0), steps


def in_numpy(call, steps):
    "The same without compiled loops."
    def run():
        with patch("pgpost.core.compiled", lambda loop: None): call()
    return run, steps


def theirs(figure, name, rewards="zero-one"):
    "The same for PyTorch: one step."
    parts = [[W[:32].astype(np.float32), W[32:].astype(np.float32)] for W in (figure.base.policy.W, figure.setting.task.W)]
    policy, truth = (peer.Chain(*weights) for weights in parts)
    optimizer = torch.optim.Adagrad(policy.parameters(), lr=.1)
    return lambda: peer.step(policy, truth, optimizer, 1024, 128, process=name == "process", signed=rewards == "signed"), 1


def side_by_side(*calls, rounds=9):
    "Median seconds of a step of each of some (function, steps), timed in turns."
    for call, _ in calls: call()
    times = np.empty((rounds, len(calls)))
    for r, c in np.ndindex(times.shape):
        call, steps = calls[c]
        start = time.perf_counter()
        call()
        times[r, c] = (time.perf_counter() - start) / steps
    return np.median(times, axis=0)


@both
@pytest.mark.parametrize("signed", [False, True], ids=["zero-one", "signed"])
def test_peer_has_the_same_gradient(figure, name, signed):
    "On the same contexts and responses, in double precision."
    rng, policy, reward = np.random.default_rng(0), figure.base.policy, CONVENTIONS["signed" if signed else "zero-one"][name]
    x = figure.setting.task.contexts(256, rng)
    path, y = figure.setting.task.path(x), policy.sample(x, 128, rng)
    g = policy.score(x, y, reward.advantages(path.agreement(y), 128)) / 256
    chain, tokens, right = peer.Chain(policy.W[:32], policy.W[32:]), torch.as_tensor(y), torch.as_tensor(path.tokens())
    peer.loss(chain, torch.as_tensor(x), tokens, peer.advantages(tokens, right, name == "process", signed).double()).backward()
    assert np.vstack([-chain.W1.grad, -chain.W2.grad]) == pytest.approx(g, rel=1e-6, abs=1e-6 if signed else 1e-12)
    assert abs(g).max() > .01


@both
def test_step_against_pytorch(figure, name, benchmark, report):
    fast, plain, slow = side_by_side(ours(figure, name), in_numpy(*ours(figure, name)), theirs(figure, name))
    report(f"PyTorch / pgpost, {name} 0/1, {torch.get_num_threads()} threads of PyTorch", slow / fast, ">= 100")
    report(f"PyTorch / pgpost without numba, {name} 0/1", slow / plain, "")
    report(f"milliseconds a step, {name} 0/1", 1e3 * fast, "")
    benchmark.pedantic(ours(figure, name)[0], rounds=3)


@both
def test_signed_step_against_pytorch(figure, name, benchmark, report):
    signed = ours(figure, name, "signed", steps=10)
    fast, plain, slow = side_by_side(signed, in_numpy(*signed), theirs(figure, name, "signed"))
    report(f"PyTorch / pgpost, {name} -1/1", slow / fast, ">= 20")
    report(f"PyTorch / pgpost without numba, {name} -1/1", slow / plain, "")
    report(f"milliseconds a step, {name} -1/1", 1e3 * fast, "")
    benchmark.pedantic(signed[0], rounds=3)


@both
def test_step_is_flat_in_the_length(figure, name, benchmark, report):
    short, long = side_by_side(ours(figure, name), ours(figure, name, N=4096))
    report(f"step at N = 4096 / at N = 128, {name} 0/1", long / short, "<= 1.5")
    benchmark.pedantic(ours(figure, name, N=4096)[0], rounds=3)


def floor(figure):
    "What cannot be left out of a step: the contexts, an exponential for each place and token, and the matrix products."
    rng = np.random.default_rng(0)
    x = figure.setting.task.contexts(1024, rng)
    row, W = figure.setting.task.path(x).row, figure.setting.task.W[:32]
    z = rng.normal(size=(len(row), 32))
    def pieces():
        figure.setting.task.contexts(1024, rng)
        np.exp(z)
        x @ W  # for the correct responses
        x @ W  # for the policy
        np.take(x, row, axis=0).T @ z  # for the gradient
    return lambda: [pieces() for _ in range(100)], 100


@both
def test_step_against_the_floor(figure, name, benchmark, report):
    step, least = side_by_side(ours(figure, name), floor(figure))
    report(f"step / irreducible pieces, {name} 0/1", step / least, "<= 3")
    benchmark.pedantic(floor(figure)[0], rounds=3)


def lockstep(R, seed=0, steps=40):
    "Single-sample process updates of R policies in lockstep, adaptive step, d = k = N = 16: updates a second."
    encoder = LastToken(16, 16)
    truth = LinearPolicy(encoder, np.random.default_rng(0).normal(size=(32, 16)))
    task = Task(lambda n, rng: (2. * rng.integers(2, size=(n, 16)) - 1) / 4, truth, 16)
    start, policy = time.perf_counter(), LinearPolicy(encoder).replicated(R)
    train(task, policy, OnPolicy(), Process(), adaptive(), steps, every=steps, evaluate=lambda policy: {}, rng=seed)
    return R * steps / (time.perf_counter() - start)


def test_lockstep(benchmark, report):
    one = np.median([lockstep(1024) for _ in range(7)])
    with ProcessPoolExecutor(2) as pool:
        both = np.median([sum(pool.map(lockstep, [1024, 1024], [0, 1])) for _ in range(7)])
    report("lockstep, updates a second, one process", one, ">= 300,000 in all")
    report("lockstep, updates a second, two processes", both, ">= 300,000 in all")
    benchmark.pedantic(lambda: lockstep(1024), rounds=3)


MEASURED = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


@pytest.mark.parametrize("installed", ["as it is", "with numba"])
def test_figure1(installed, benchmark, report, tmp_path):
    "Measured by a small process: a child's peak memory begins with that of its parent. Without the extra there is no numba to import."
    (tmp_path / "numba.py").write_text("raise ModuleNotFoundError")
    path = [os.environ.get("PYTHONPATH", "")] + [str(tmp_path)] * (installed == "as it is")
    command = [sys.executable, "-c", MEASURED, PGPOST, "figure1", "--out", tmp_path / "out"]
    run = lambda: subprocess.check_output(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))})
    seconds, megabytes = map(float, benchmark.pedantic(run, rounds=1).split())
    report(f"pgpost figure1, installed {installed}, seconds", seconds, "<= 15")
    report(f"pgpost figure1, installed {installed}, peak memory in MB", megabytes, "<= 250")


@pytest.mark.parametrize("code", ["import pgpost", "import pgpost.train", "pgpost --help"])
def test_start(code, benchmark, report):
    command = [PGPOST, "--help"] if code == "pgpost --help" else [sys.executable, "-c", code]
    seconds, = side_by_side((lambda: subprocess.run(command, check=True, capture_output=True), 1))
    report(f"{code}, seconds", seconds, "<= 0.4")
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=1)
