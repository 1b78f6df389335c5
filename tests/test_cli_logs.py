"`pgpost quantile` and `pgpost budget`, as a user runs them."
import json
import os
import struct
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from logs import LOGS, write
from pgpost.bounds import leading_queries
from pgpost.quantile import quantile_from_counts
from pgpost.cli import main

PGPOST = Path(sys.executable).with_name("pgpost")
MATH500 = Path(__file__).parent.parent / "nbs/guides/math500_counts.csv"


def pgpost(*args):
    "Run a command line in this process, which saves loading the libraries each time."
    out, err, code = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try: main([str(a) for a in args])
        except SystemExit as stop: code = stop.code
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    out = tmp_path_factory.mktemp("quantile") / "out"
    result = subprocess.run([PGPOST, "quantile", MATH500, "--out", out], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return out, result


def test_known_totals_are_printed(real):
    _, result = real
    for said in ["39291 of 64000 answers correct (61.4%)", "49877 of 64000 answers correct (77.9%)", "481 solved at least once",
                 "465 solved at least once", "128: 0.9620", "128: 0.9300", "never solved: 19 ", "never solved: 35 ", "gained 3 (64, 80, 242), lost 19 "]:
        assert said in result.stdout
    assert "): never solved before, solved now, and the reverse; exact paired test: p = 0.000855" in result.stdout
    assert result.stdout.count("no bound") > 4 and "counts cannot tell likelihoods apart" in result.stdout and "Traceback" not in result.stderr


def test_estimates_below_the_resolution_are_bounds_in_the_text_and_numbers_elsewhere(tmp_path):
    (tmp_path / "log.csv").write_text("problem,n_correct,n_samples\n" + "".join(f"{i},{c},16\n" for i, c in enumerate([0, 0, 3, 9, 15, 16])))
    printed = pgpost("quantile", tmp_path / "log.csv", "--eps", "0.1,0.5", "--out", tmp_path / "out").stdout.splitlines()
    assert "  43 of 96 answers correct (44.8%)" in printed
    low, high = printed[3:5]
    assert low.split()[:2] == ["0.1", "<"] and low.split()[2] == "0.0625*" and "> 16 (" in low
    assert high.split()[0] == "0.5" and "<" not in high and ">" not in high
    q = json.loads(pgpost("quantile", tmp_path / "log.csv", "--eps", "0.1,0.5", "--json").stdout)["models"]["log"]["quantile"]
    assert 0 < q[0]["quantile"] < 1 / 16 < q[1]["quantile"] and q[0]["samples"] == pytest.approx(1 / q[0]["quantile"])
    assert pd.read_csv(tmp_path / "out/quantile.csv")["quantile"][10] == pytest.approx(q[0]["quantile"])


@pytest.mark.slow
@pytest.mark.parametrize("command", [["quantile"], ["budget", "--eps", "0.2"]], ids=lambda c: c[0])
def test_progress_is_shown_on_a_terminal_only(command, tmp_path):
    pty, fcntl, termios = (pytest.importorskip(name, reason="needs pseudo-terminals") for name in ("pty", "fcntl", "termios"))
    (tmp_path / "log.csv").write_text("problem,n_correct,n_samples\na,1,4\n")
    run = [PGPOST, *command, tmp_path / "log.csv"]
    assert subprocess.run(run, capture_output=True, check=True).stderr == b""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # a bar needs room
    subprocess.run(run, stdout=subprocess.DEVNULL, stderr=terminal, check=True)
    os.set_blocking(screen, False)
    shown = os.read(screen, 10_000)
    for end in screen, terminal: os.close(end)
    assert b"log.csv: " in shown


def test_files_hold_what_is_printed(real):
    out, _ = real
    assert sorted(p.name for p in out.iterdir()) == ["counts.csv", "quantile.csv", "quantile.png"]
    assert (out / "quantile.png").read_bytes().startswith(b"\x89PNG")
    pd.testing.assert_frame_equal(pd.read_csv(out / "counts.csv"), pd.read_csv(MATH500))
    curves = pd.read_csv(out / "quantile.csv")
    assert list(curves) == ["model", "eps", "quantile", "low", "high", "samples", "samples_low", "samples_high"] and len(curves) == 200
    assert ((curves.low <= curves.high)).all()
    assert pgpost("quantile", out / "counts.csv", "--out", out).returncode == 0  # replaced, and readable as a log


def test_json_is_the_same_for_programs():
    result = pgpost("quantile", MATH500, "--json", "--eps", "0.1,0.5", "--confidence", "0.9")
    report = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    t = pd.read_csv(MATH500).query("model == 'base'")
    expected, row = quantile_from_counts(t.n_correct, t.n_samples, .9).table([.1, .5]), report["models"]["base"]
    for q, (_, e) in zip(row["quantile"], expected.iterrows(), strict=True):
        assert q["eps"] == e.eps and q["quantile"] == pytest.approx(e["quantile"]) and q["low"] == pytest.approx(e.low) and q["high"] == pytest.approx(e.high)
    assert row["pass_at_k"]["128"] == pytest.approx(.962) and len(row["never_solved"]) == 19 and list(row["predicted_pass_at_k"]) == ["256", "512", "1024", "2048"]
    assert row["never_solved"][0]["upper_bound"] == pytest.approx(1 - .1**(1 / 128))
    assert len(report["comparison"]["lost"]) == 19 and report["skipped"] == {}


@pytest.mark.parametrize("name", LOGS)
def test_every_shape_on_the_command_line(name, tmp_path):
    path, options, content = next(log for log in write(tmp_path) if log[0].name == name)
    args = [f"--{key}={value}" for key, value in options.items()]
    report = json.loads(pgpost("quantile", path, "--json", *args).stdout)
    (row,) = report["models"].values()
    assert (row["correct"], row["answers"]) == (sum(c[-2] for c in content), sum(c[-1] for c in content))


def test_two_logs_seeds_and_labels(tmp_path):
    def log(name, verdicts): (tmp_path / name).write_text("".join(json.dumps(dict(idx=p, score=v)) + "\n" for p, v in verdicts.items()))
    log("s0.jsonl", dict(a=[0, 0], b=[1, 0], c=[1, 1]))
    log("s1.jsonl", dict(a=[0, 0], b=[0, 0], d=[0, 1]))
    log("rl.jsonl", dict(a=[1, 0, 0, 1], b=[0, 0, 0, 0], c=[1, 1]))
    result = pgpost("quantile", *[tmp_path / f"{name}.jsonl" for name in ("s0", "s1", "rl")], "--label", "base,base,rl")
    assert "base: 4 problems, 2 to 4 samples each; 3 solved" in result.stdout
    assert "rl against base, on 3 problems of both (1 are in one log only)\n  gained 1 (a), lost 1 (b)" in result.stdout
    assert "s0 against" not in result.stdout and list(tmp_path.glob("*.png")) == []
    log("elsewhere.jsonl", dict(z=[1]))
    assert "on 0 problems of both" in pgpost("quantile", tmp_path / "s0.jsonl", tmp_path / "elsewhere.jsonl").stdout


def test_skipping_is_reported(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'{"idx": 0, "score": [1, 0]}\n{"idx": 1\n{"idx": 2, "score": [NaN]}\n')
    strict = pgpost("quantile", tmp_path / "log.jsonl")
    assert strict.returncode == 2 and "log.jsonl, line 2: broken JSON" in strict.stderr and strict.stdout == ""
    skipping = pgpost("quantile", tmp_path / "log.jsonl", "--skip-invalid")
    assert skipping.returncode == 0 and "left out as invalid: 1 of the kind 'broken JSON', 1 of the kind 'not a verdict'" in skipping.stdout


def test_budget_for_both_rewards(tmp_path):
    rng = np.random.default_rng(0)
    tokens = -rng.exponential(size=(40, 10))
    (tmp_path / "tokens.jsonl").write_text("".join(json.dumps(row.tolist()) + "\n" for row in tokens))
    result = pgpost("budget", MATH500, "--eps", .1, "--target-error", .3, "--steps", tmp_path / "tokens.jsonl")
    assert result.returncode == 0 and result.stdout.splitlines()[-2].startswith("Assumed:") and "18 samples a prompt (band 4.31 to 10,064)" in result.stdout
    report = json.loads(pgpost("budget", MATH500, "--eps", .1, "--target-error", .3, "--steps", tmp_path / "tokens.jsonl", "--json").stdout)
    outcome, process = report["models"]["base"]["outcome"], report["models"]["base"]["process"]
    assert process["quantile"] == pytest.approx(np.exp(np.sort(tokens.min(axis=1))[4])) and process["length"] == 10 and not process["estimated"]
    assert process["queries"] == pytest.approx(leading_queries(.1, .3, process["quantile"], 10))
    assert outcome["queries"] == pytest.approx(leading_queries(.1, .3, outcome["quantile"])) and outcome["queries_high"] > outcome["queries"] > outcome["queries_low"]
    assert report["models"]["simplerl"]["outcome"]["queries_high"] is None  # no bound
    assert 1 <= outcome["first_success"] <= outcome["samples"] == 18
    (tmp_path / "steps.jsonl").write_text('{"problem": 1, "steps": [1, 1]}\n{"problem": 1, "steps": [1, 0]}\n')
    assert "token-level quantile 0.5 estimated by counting verdicts" in pgpost("budget", MATH500, "--eps", .1, "--steps", tmp_path / "steps.jsonl").stdout


@pytest.mark.parametrize("args, message", [
    (["quantile"], "required: LOG"),
    (["quantile", "{log}", "--label", "a,b"], "--label: 1 names are wanted, one for each log, got 2"),
    (["quantile", "{log}", "--label", "a,,"], "--label: names separated by commas are wanted"),
    (["quantile", "{log}", "--eps", "0.1,1.5"], "--eps: must lie strictly between 0 and 1, got 1.5"),
    (["quantile", "{log}", "--eps", "few"], "--eps: a number is wanted, got 'few'"),
    (["quantile", "{log}", "--confidence", "95"], "--confidence: must lie strictly between 0 and 1"),
    (["quantile", "{log}", "--threshold", "nan"], "--threshold: a number is wanted, got 'nan'"),
    (["quantile", "{log}", "--format", "parquet"], "invalid choice: 'parquet'"),
    (["quantile", "{log}", "--key", "question"], "missing field: 'question' is wanted"),
    (["quantile", "{log}", "--skip"], "unrecognized arguments: --skip"),
    (["quantile", "{log}", "{log}"], "duplicated samples"),
    (["quantile", "{semicolons}"], "(is the separator a comma?)"),
    (["quantile", "{empty}"], "empty"),
    (["quantile", "{folder}"], "a folder"),
    (["quantile", "{missing}", "--out", "{out}"], "no such file"),
    (["quantile", "{log}", "--out", "{folder}"], "holds other files"),
    (["budget", "{log}"], "required: --eps"),
    (["budget", "{log}", "--eps", "0.2", "--target-error", "0.1"], "--target-error: must be above --eps, 0.2"),
    (["budget", "{log}", "--eps", "0.6"], "--target-error: at most 1 is wanted, got 1.2"),
    (["budget", "{log}", "--eps", "0.2", "--steps", "{empty}"], "empty"),
])
def test_bad_requests(args, message, tmp_path):
    (tmp_path / "log.csv").write_text("problem,n_correct,n_samples\na,1,4\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "semicolons.csv").write_text("problem;n_correct;n_samples\na;1;4\n")
    names = dict(log="log.csv", semicolons="semicolons.csv", empty="empty.jsonl", folder=".", missing="missing.jsonl", out="out")
    result = pgpost(*[a.format(**{k: tmp_path / v for k, v in names.items()}) for a in args])
    assert result.returncode == 2 and message in result.stderr and result.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.jsonl", "log.csv", "semicolons.csv"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_log(tmp_path):
    "40 MB of JSON lines add less than 25 MB to the peak of 4 MB; what 2 GB take is measured by `python tests/helpers/memory_evallog.py`."
    import memory_evallog
    small, large = (memory_evallog.peak(tmp_path / f"{size}.jsonl", size) for size in (4, 40))
    assert large < small + 25


def test_help_is_quick_and_light():
    "Neither the command nor the reader of logs loads the libraries that only results need."
    code = "import sys, pgpost.cli; print([m for m in ('scipy', 'pandas', 'matplotlib', 'seaborn', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)).stdout.strip() == "[]"
    for command in "quantile", "budget":
        assert "a csv with the columns problem, n_correct, n_samples, and model where it holds several" in " ".join(pgpost(command, "--help").stdout.split())
    assert "--skip-invalid" in pgpost("quantile", "--help").stdout and "--target-error" in pgpost("budget", "--help").stdout
