"""Time and memory of a step against N, k and batch size.

`python tests/bench/growth.py FILE.csv` takes about a minute and writes the table that the page on speed shows."""
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
from pgpost.behavior import OnPolicy
from pgpost.policy import LinearPolicy
from pgpost.reward import Process
from pgpost.stepsize import adagrad
from pgpost.task import gaussian_mixture
from pgpost.train import Run, _step, train

STANDARD = dict(N=128, k=32, batch=1024)
GRID = dict(N=[128, 512, 2048, 8192], k=[8, 32, 64, 128, 256], batch=[128, 512, 2048, 8192])
KINDS = {"0/1 rewards": Process(), "−1/1 rewards": Process(wrong=-1)}


def measure(reward, N, k, batch):
    "Processor time of a process step in ms, the least of five runs, and the peak of the memory that its arrays take, in MB."
    task = gaussian_mixture(d=32, k=k, N=N, rng=0)
    policy, steps = LinearPolicy(task.encoder, .5 * task.W), 20 if reward.sparse else 2
    def run(steps):
        train(task, policy, OnPolicy(), reward, adagrad(.1), steps, batch, every=100, evaluate=lambda policy: {}, rng=0)
    times = []
    for _ in range(5):
        start = time.process_time()
        run(steps)
        times.append((time.process_time() - start) / steps)
    tracemalloc.start()
    x = task.contexts(batch, np.random.default_rng(0))
    path = task.path(x)
    tracemalloc.reset_peak()
    _step(Run(policy, adagrad(.1).init(policy.W)), x, path, OnPolicy(), reward, adagrad(.1), *np.random.default_rng(0).spawn(2))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return dict(milliseconds=1e3 * min(times), megabytes=peak)


if __name__ == "__main__":
    rows = [dict(axis=axis, value=value, rewards=kind, **measure(reward, **{**STANDARD, axis: value}))
            for axis, values in GRID.items() for value in values for kind, reward in KINDS.items()]
    pd.DataFrame(rows).round(3).to_csv(sys.argv[1], index=False)
