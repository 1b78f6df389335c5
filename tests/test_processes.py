"The helper by which tests start commands. Covers no notebook, but helpers/processes.py."
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from processes import alive, run, start

INNER = '''
import os, signal, subprocess, sys, time
from pathlib import Path
from processes import start

SLEEP = "import time; time.sleep(600)"
PARENT = f"import os, subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(os.getpid(), c.pid, flush=True); time.sleep(600)"


def family():
    process = start(sys.executable, "-c", PARENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with Path("pids").open("a") as file: file.write(process.stdout.readline())
    return process


def test_passes():
    family()


def test_fails():
    family()
    assert False


def test_hears_ctrl_c():
    process = family()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT


def test_is_stopped():
    family()
    Path("ready").touch()
    time.sleep(600)
'''
PYTEST = f"{sys.executable} -m pytest -q -p processes -p no:cacheprovider inner.py"


@pytest.fixture
def inner(tmp_path):
    (tmp_path / "inner.py").write_text(INNER)
    return dict(cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent / "helpers")})


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("test_*.py")), ids=lambda path: path.stem)
def test_tests_start_commands_by_the_helper_alone(path):
    if path.name != Path(__file__).name: assert not re.search(r"^import subprocess|subprocess\.(run|Popen|check_|call)|os\.system", path.read_text(encoding="utf-8"), re.M)


def left(folder) -> list:
    "The processes that inner tests started and that still run."
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    assert pids
    return [pid for pid in pids if alive(pid)]


@pytest.mark.parametrize("background", ["", " & wait $!"], ids=["foreground", "background"])
def test_commands_hear_ctrl_c_and_end_with_their_test(background, inner, tmp_path):
    "Also in the background of a script, which ignores SIGINT, and also if the test fails."
    result = run("sh", "-c", f"{PYTEST} -k 'not stopped'{background}", **inner)
    assert result.returncode == 1 and "1 failed, 2 passed" in result.stdout and "FAILED inner.py::test_fails" in result.stdout, result.stdout
    assert left(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_commands_end_if_the_tests_are_stopped(number, inner, tmp_path):
    process = start(*PYTEST.split(), "-k", "stopped", **inner)
    while not (tmp_path / "ready").exists(): assert process.poll() is None
    os.kill(process.pid, number)
    assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    assert left(tmp_path) == []
