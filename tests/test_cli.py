"The `pgpost` command, as a user runs it. Covers cli, experiment."
import json
import os
import signal
import sys
import time
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pandas as pd
import pytest
from processes import run, start

pytestmark = pytest.mark.slow
PGPOST = Path(sys.executable).with_name("pgpost")
of_one_figure1 = pytest.mark.xdist_group("figure1")  # one worker makes what they share
FILES = ["centers.csv", "figure1.png", "history.csv", "run.json"]


def pgpost(*args, **kwargs): return run(PGPOST, *args, **kwargs)


@pytest.fixture(scope="module", params=["zero-one", "signed"])
def figure1(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("figure1") / "out"
    result = pgpost("figure1", "--out", out, "--steps", 60, "--rewards", request.param, env={**os.environ, "OPENBLAS_NUM_THREADS": "2"})
    assert result.returncode == 0, result.stderr
    return request.param, out, result


@of_one_figure1
def test_figure1_writes_its_files(figure1):
    rewards, out, result = figure1
    assert sorted(p.name for p in out.iterdir()) == FILES
    assert (out / "figure1.png").read_bytes().startswith(b"\x89PNG")
    history, centers = pd.read_csv(out / "history.csv"), pd.read_csv(out / "centers.csv")
    assert list(history) == ["reward", "step", "queries", "test_error", "off_support_likelihood"]
    assert list(centers) == ["center", "base_log_likelihood", "off_support", "outcome_log_likelihood", "process_log_likelihood"]
    for name, h in history.groupby("reward"):
        assert h.step.iloc[0] == 0 and h.step.iloc[-1] == 60 and h.step.diff().max() <= 50
        assert h.queries.iloc[0] == 0 and (h.queries.diff()[1:] > 0).all()
        last = np.exp(centers.loc[centers.off_support, f"{name}_log_likelihood"]).mean()
        assert h.off_support_likelihood.iloc[-1] == pytest.approx(last, rel=1e-9)
    assert history.query("reward == 'outcome'").queries.iloc[-1] == 60 * 1024
    assert (centers.off_support == (centers.base_log_likelihood < np.log(1e-12))).all() and len(centers) == 32
    assert history.test_error.groupby(history.reward).first().nunique() == 1


@of_one_figure1
def test_figure1_records_what_it_did(figure1):
    rewards, out, result = figure1
    record, history = json.loads((out / "run.json").read_text()), pd.read_csv(out / "history.csv")
    assert record["setting"]["seed"] == 0 and record["setting"]["steps"] == 60 and record["setting"]["rewards"] == rewards
    assert record["setting"]["learning_rate"] == .1 and not record["interrupted"]
    assert {"pgpost", "numpy", "matplotlib", "python"} <= set(record["versions"])
    assert record["wall_seconds"]["total"] >= record["wall_seconds"]["outcome"] > 0
    assert f"{record['summary']['outcome_error']:.4f}" in result.stdout and "off the base model's support" in result.stdout
    assert record["summary"]["process_error"] == history.test_error.iloc[-1]
    assert "base" in result.stderr and "process" in result.stderr and "step/s" in result.stderr


@of_one_figure1
def test_equal_seeds_give_equal_bytes(figure1, tmp_path):
    rewards, out, _ = figure1
    assert pgpost("figure1", "--out", tmp_path, "--steps", 60, "--rewards", rewards, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}).returncode == 0
    for name in "history.csv", "centers.csv": assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_other_seeds_give_other_runs(tmp_path):
    "Seed 20 has no center off the base model's support: the command says so and draws the rest. An earlier result is replaced."
    for seed, steps in (20, 5), (20, 0):
        result = pgpost("figure1", "--out", tmp_path, "--steps", steps, "--seed", seed)
        assert result.returncode == 0 and "No center is off the base model's support" in result.stdout
        history = pd.read_csv(tmp_path / "history.csv")
        assert history.off_support_likelihood.isna().all() and history.step.max() == steps
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES


@pytest.mark.parametrize("args, message", [
    (["figure1", "--out", "{out}", "--steps", "-1"], "'--steps': -1 is not in the range x>=0"),
    (["figure1", "--out", "{out}", "--steps", "many"], "'--steps': 'many' is not a valid integer"),
    (["figure1", "--out", "{out}", "--seed", "-3"], "'--seed': -3 is not in the range x>=0"),
    (["figure1", "--out", "{out}", "--rewards", "one"], "'one' is not one of 'zero-one', 'signed'"),
    (["figure1", "--out", "{out}", "--step", "3"], "No such option '--step'"),
    (["figure1"], "Missing option '--out'"),
    (["figure1", "--out", "{file}"], "is a file, not a folder"),
    (["figure1", "--out", "{other}"], "holds other files (thesis.tex)"),
    (["figure1", "--out", ""], "a folder is wanted, got an empty name"),
    (["figure1", "--out", "{file}/below"], "cannot write to"),
    (["figure1", "--out", "/proc/pgpost"], "cannot write to"),
    (["figure9"], "No such command 'figure9'"),
    ([], "Usage: pgpost [OPTIONS] COMMAND"),
])
def test_bad_requests_are_refused_before_the_work(args, message, tmp_path):
    other, file = tmp_path / "other", tmp_path / "file"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    file.write_text("precious")
    result = pgpost(*[a.format(out=tmp_path / "out", file=file, other=other) for a in args])
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr and result.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "other"] and [p.name for p in other.iterdir()] == ["thesis.tex"]


def test_a_folder_in_the_place_of_a_file_is_seen_before_the_work(tmp_path):
    (tmp_path / "history.csv").mkdir()
    result = pgpost("figure1", "--out", tmp_path)
    assert result.returncode == 2 and "holds other files (history.csv)" in result.stderr


def test_leftovers_of_a_killed_run_do_not_lock_the_folder(tmp_path):
    (tmp_path / ".leftover").mkdir()
    assert pgpost("figure1", "--out", tmp_path, "--steps", 0).returncode == 0


def interrupt_when(word, out, *args, delay=0):
    "Run figure1, press Ctrl-C as soon as its progress shows `word`, and return the exit code and what was said."
    process = start(PGPOST, "figure1", "--out", out, *args, stdout=PIPE, stderr=PIPE)
    said, end = b"", time.time() + 120
    while word not in said and process.poll() is None and time.time() < end: said += os.read(process.stderr.fileno(), 1000)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers as well
    _, rest = process.communicate(timeout=60)
    return process.returncode, (said + rest).decode()


def test_interrupt_keeps_what_is_complete(tmp_path):
    code, said = interrupt_when(b"process:   1%", tmp_path / "out", "--steps", "20000")
    assert code == 130 and "interrupted" in said and "Traceback" not in said
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == FILES
    history, record = pd.read_csv(tmp_path / "out/history.csv"), json.loads((tmp_path / "out/run.json").read_text())
    last = history.groupby("reward").step.max()
    for name in "outcome", "process": assert last[name] == record["summary"][f"{name}_steps"] < 20000
    assert last["process"] >= 100 and record["interrupted"]


@pytest.mark.parametrize("delay", [0, .05, .1, .2, .4])
def test_interrupt_while_the_workers_start(delay, tmp_path):
    "Whatever they have done by then, nobody complains."
    code, said = interrupt_when(b"1000/1000", tmp_path / "out", "--steps", "20000", delay=delay)
    assert code == 130 and "interrupted" in said and "Traceback" not in said and "Error" not in said
    assert not (tmp_path / "out").exists() or sorted(p.name for p in (tmp_path / "out").iterdir()) == FILES


def test_interrupt_before_anything_is_complete_leaves_nothing(tmp_path):
    code, said = interrupt_when(b"base:", tmp_path / "out")
    assert code == 130 and "Traceback" not in said and list(tmp_path.iterdir()) == []


def test_help_and_version():
    import pgpost as package
    assert package.__version__ in pgpost("--version").stdout
    top, sub = pgpost("--help").stdout, pgpost("figure1", "--help").stdout
    assert "figure1" in top and all(word in sub for word in ["--out", "--seed", "--steps", "--rewards", "zero-one", "4000"])
