"Runs of the sweep tests, in a module of their own that worker processes can import."
import gc
import os
import signal
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def walk(setting):
    "Two rows of a random walk; fails at 13 steps."
    if setting["steps"] == 13: raise ArithmeticError("no luck")
    steps = np.random.default_rng(setting["seed"]).normal(size=setting["steps"])
    return [dict(half=half, end=part.sum(), missing=float("nan")) for half, part in enumerate(np.array_split(steps, 2))]


def logged(setting):
    "Takes some milliseconds, and writes a line when it starts and one when it is done: each in one piece, whoever else writes."
    for word in "start", "done":
        with open(setting["log"], "a") as file: file.write(f"{word} {setting['i']} {os.getpid()}\n")
        if word == "start": time.sleep(setting["seconds"])
    return [dict(third=setting["i"] / 3)]


def deadly(setting):
    "Kills the worker that it runs in, once."
    victim = Path(setting["victim"])
    if setting["i"] == 10 and not victim.exists():
        victim.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(.01)
    return [dict(root=setting["i"] ** .5)]


def large(setting):
    "A row of about 1 kB, with the memory that Python has allocated so far; of garbage it gets rid first, where a test looks."
    if setting["i"] in (1999, 9998): gc.collect()
    return [dict(values=[setting["i"] / 7] * 50, memory=tracemalloc.get_traced_memory()[0])]


def echo(setting): return [dict(y=setting["x"])]


@dataclass(frozen=True)
class Typed:
    steps: int
    scale: float = .5

    def __post_init__(self):
        if self.steps < 0: raise ValueError(f"steps must be at least 0, got {self.steps}")


def typed(setting: Typed): return [dict(end=setting.steps * setting.scale, kind=type(setting).__name__)]
