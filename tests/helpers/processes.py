"""Processes that tests start: Ctrl-C reaches them, and they end with the test that started them, whether it passes, fails or is interrupted.

Every test that starts a command does so with `start` or `run`. This file is a plugin of pytest, loaded by conftest.py."""
import contextlib
import os
import signal
import subprocess

import psutil
import pytest

_started = []


def pytest_configure():
    """A job in the background of a script ignores SIGINT, and all that it starts inherits that. A signal that is handled here has its default in children.
    SIGTERM, as `timeout` and CI send it, is taken for Ctrl-C: fixtures are torn down, and with them what tests have started."""
    for number in signal.SIGINT, signal.SIGTERM: signal.signal(number, signal.default_int_handler)


def start(*command, **kwargs) -> subprocess.Popen:
    "Start a command in a process group of its own, which ends with the test."
    process = subprocess.Popen([*map(str, command)], start_new_session=True, **kwargs)
    _started.append(process)
    return process


def run(*command, timeout=300, **kwargs) -> subprocess.CompletedProcess:
    "Run a command, and return its code and what it wrote. Nothing of it outlives the call."
    process = start(*command, **dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) | kwargs)
    try: out, err = process.communicate(timeout=timeout)
    finally: end(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def end(process):
    "Kill a process and all that it has started."
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def alive(pid) -> bool:
    try: return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess: return False


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test():
    yield
    while _started: end(_started.pop())
