"`pgpost quantile` and `pgpost budget`, as a user runs them. Covers cli, report."
import json
import os
import struct
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from pgpost.counts import above_chance, quantile_from_counts
from subprocess import DEVNULL
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from logs import LOGS, write
from pgpost.bounds import leading_queries
from pgpost.groups import best_group, group_table, informative_share, problem_table
from pgpost.cli import main
from pgpost.steps import steps_of
from processes import run

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
    result = run(PGPOST, "quantile", MATH500, "--out", out)
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
    line = [PGPOST, *command, tmp_path / "log.csv"]
    piped = run(*line)
    assert piped.returncode == 0 and piped.stderr == ""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # a bar needs room
    assert run(*line, stdout=DEVNULL, stderr=terminal).returncode == 0
    os.set_blocking(screen, False)
    shown = os.read(screen, 10_000)
    for end in screen, terminal: os.close(end)
    assert b"log.csv: " in shown


def test_files_hold_what_is_printed(real):
    out, _ = real
    assert sorted(p.name for p in out.iterdir()) == ["change.csv", "change.png", "counts.csv", "groups.csv", "pass_at_k.csv", "prompts.csv", "quantile.csv", "quantile.png", "report.png"]
    for figure in "quantile.png", "report.png", "change.png": assert (out / figure).read_bytes().startswith(b"\x89PNG")
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
    beyond, crossing = report["comparison"]["beyond_chance"], report["comparison"]["crossing"]
    assert (len(beyond["gained"]), len(beyond["lost"])) == (313, 23) and 7 < crossing["low"] < crossing["k"] < crossing["high"] < 33 and crossing["ahead"] == "simplerl"
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
    apart = pgpost("quantile", tmp_path / "s0.jsonl", tmp_path / "elsewhere.jsonl")
    assert apart.returncode == 2 and apart.stdout == "" and "s0, elsewhere: no common problem: two models are compared on the problems that both were asked" in apart.stderr


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
    assert result.returncode == 0 and result.stdout.splitlines()[-2].startswith("Assumed:") and "19 samples a prompt (band 5.36 to 421)" in result.stdout
    report = json.loads(pgpost("budget", MATH500, "--eps", .1, "--target-error", .3, "--steps", tmp_path / "tokens.jsonl", "--json").stdout)
    outcome, process = report["models"]["base"]["outcome"], report["models"]["base"]["process"]
    assert process["quantile"] == pytest.approx(np.exp(np.sort(tokens.min(axis=1))[4])) and process["length"] == 10 and not process["estimated"]
    assert process["queries"] == pytest.approx(leading_queries(.1, .3, process["quantile"], 10, price=process["draws"]))
    assert outcome["queries"] == pytest.approx(leading_queries(.1, .3, outcome["quantile"])) and outcome["queries_high"] > outcome["queries"] > outcome["queries_low"]
    assert report["models"]["simplerl"]["outcome"]["queries_high"] is None  # no bound
    assert 1 <= outcome["first_success"] <= outcome["samples"] == 19
    assert process["draws"] == pytest.approx(np.sort(np.exp(-tokens).sum(axis=1))[-5]) == process["draws_low"] and process["unknown"] == 0
    (tmp_path / "steps.jsonl").write_text('{"problem": 1, "steps": [1, 1]}\n{"problem": 1, "steps": [1, 0]}\n' * 8)
    limits = steps_of([[1, 1], [1, 0]] * 8)
    assert f"process rewards, from verdicts: 3 draws (limits {limits['draws_low']:.3g} to {limits['draws_high']:.3g})" in pgpost("budget", MATH500, "--eps", .1, "--steps", tmp_path / "steps.jsonl").stdout


@pytest.mark.parametrize("args, message", [
    (["quantile"], "Missing argument 'LOG...'"),
    (["quantile", "{log}", "--label", "a,b"], "'--label': one name for all logs is wanted, or 1 names, one for each, got 2"),
    (["quantile", "{log}", "--label", "a,,"], "'--label': texts separated by commas are wanted"),
    (["quantile", "{log}", "--eps", "0.1,1.5"], "'--eps': 1.5 is not in the range 0<x<1"),
    (["quantile", "{log}", "--eps", "few"], "'--eps': 'few' is not a valid number"),
    (["quantile", "{log}", "--confidence", "95"], "'--confidence': 95.0 is not in the range 0<x<1"),
    (["quantile", "{log}", "--threshold", "nan"], "'--threshold': 'nan' is not a finite number"),
    (["quantile", "{log}", "--format", "parquet"], "'parquet' is not one of 'auto', 'counts', "),
    (["quantile", "{log}", "--key", "question"], "missing field: 'question' is wanted"),
    (["quantile", "{log}", "--samples", "3", "--threshold", "1"], "--threshold is for verdicts on single answers, --samples for counts of them"),
    (["quantile", "{log}", "--skip"], "No such option '--skip'"),
    (["quantile", "{log}", "{log}"], "duplicated samples"),
    (["quantile", "{semicolons}"], "(is the separator a comma?)"),
    (["quantile", "{empty}"], "empty"),
    (["quantile", "{folder}/none"], "no such file"),
    (["quantile", "{folder}/*.parquet"], "no such file"),
    (["quantile", "{missing}", "--out", "{out}"], "no such file"),
    (["quantile", "{log}", "--out", "{folder}"], "holds other files"),
    (["budget", "{log}"], "Missing option '--eps' or '--group'"),
    (["budget", "{log}", "--group", "1"], "'--group': 1 is not in the range x>=2"),
    (["budget", "{log}", "--group", "8", "--prompts", "0"], "'--prompts': 0 is not in the range x>=1"),
    (["budget", "{log}", "--group", "8", "--seconds-per-answer", "-2"], "'--seconds-per-answer': -2.0 is not in the range x>0"),
    (["budget", "{log}", "--group", "8", "--tokens", "0", "--tokens-per-second", "5"], "'--tokens': 0.0 is not in the range x>0"),
    (["budget", "{log}", "--group", "8", "--tokens", "100"], "one price of an answer is wanted: --seconds-per-answer, or --tokens together with --tokens-per-second"),
    (["budget", "{log}", "--group", "8", "--seconds-per-answer", "1", "--tokens", "9", "--tokens-per-second", "5"], "one price of an answer is wanted"),
    (["budget", "{log}", "--eps", ".2", "--tokens", "9", "--tokens-per-second", "5"], "--tokens needs --group"),
    (["budget", "{log}", "--eps", ".2", "--prompts", "9"], "--prompts needs --group"),
    (["budget", "{log}", "--group", "8", "--steps", "{empty}"], "--steps needs --eps"),
    (["budget", "{log}", "--group", "8", "--target-error", ".3"], "--target-error needs --eps"),
    (["quantile", "{log}", "--group", "1"], "'--group': 1 is not in the range x>=2"),
    (["quantile", "{log}", "--keep", "0.2:0.8"], "--keep needs --out"),
    (["quantile", "{log}", "--keep", "0.8:0.2", "--out", "{out}"], "the lower one first, got '0.8:0.2'"),
    (["quantile", "{log}", "--keep", "0.2-0.8", "--out", "{out}"], "as in 0.2:0.8, got '0.2-0.8'"),
    (["quantile", "{two}", "--keep", "0.2:0.8", "--out", "{out}"], "--keep needs the logs of one model, these are of x, y; --label NAME takes them as one"),
    (["quantile", "{lines}", "--keep", "0.2:0.8", "--out", "{out}"], "a name of two lines"),
    (["quantile", "{log}", "--plan-samples", "1"], "'--plan-samples': 1.0 is not in the range 0<x<1"),
    (["budget", "{log}", "--eps", "0.2", "--target-error", "0.1"], "'--target-error': must be above eps, 0.2"),
    (["budget", "{log}", "--eps", "0.6"], "'--target-error': at most 1 is wanted, got 1.2"),
    (["budget", "{log}", "--eps", "0.2", "--steps", "{empty}"], "empty"),
])
def test_bad_requests(args, message, tmp_path):
    (tmp_path / "log.csv").write_text("problem,n_correct,n_samples\na,1,4\n")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "semicolons.csv").write_text("problem;n_correct;n_samples\na;1;4\n")
    (tmp_path / "two.csv").write_text("model,problem,n_correct,n_samples\nx,a,1,4\ny,a,2,4\n")
    (tmp_path / "lines.csv").write_text('problem,n_correct,n_samples\n"a\nb",2,4\n')
    names = dict(two="two.csv", lines="lines.csv", log="log.csv", semicolons="semicolons.csv", empty="empty.jsonl", folder=".", missing="missing.jsonl", out="out")
    result = pgpost(*[a.format(**{k: tmp_path / v for k, v in names.items()}) for a in args])
    assert result.returncode == 2 and message in result.stderr and result.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.jsonl", "lines.csv", "log.csv", "semicolons.csv", "two.csv"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_log(tmp_path):
    "40 MB of JSON lines add less than 25 MB to the peak of 4 MB; what 2 GB take is measured by `python tests/helpers/memory_evallog.py`."
    import memory_evallog
    small, large = (memory_evallog.peak(tmp_path / f"{size}.jsonl", size) for size in (4, 40))
    assert large < small + 25


def counts(path, rows):
    "Write a csv of (problem, n_correct, n_samples)."
    path.write_text("problem,n_correct,n_samples\n" + "".join(f"{p},{c},{n}\n" for p, c, n in rows))
    return path


def models(*args): return json.loads(pgpost(*args, "--json").stdout)["models"]


def test_warnings_are_in_text_and_json(tmp_path):
    "Those of the counts, and those that came with the log."
    filtered = counts(tmp_path / "dapo.csv", [(i, 1 + i % 7, 8) for i in range(60)])
    stopped = counts(tmp_path / "best.csv", [(i, 1, 1 + i % 5) for i in range(40)])
    plain = counts(tmp_path / "plain.csv", [(i, i % 9, 8) for i in range(60)])
    for command in (["quantile"], ["budget", "--eps", "0.1"]):
        for path, said in [(filtered, "none of 60 problems has only right or only wrong answers"), (stopped, "sampling seems to have stopped at 1 correct")]:
            text = pgpost(*command, path).stdout
            (warning,) = models(*command, path)[path.stem]["warnings"]
            assert warning.startswith(said) and f"  warning: {warning}\n" in text
        assert "warning" not in pgpost(*command, plain).stdout and models(*command, plain)["plain"]["warnings"] == []


def test_warnings_of_the_log_come_first_and_once(monkeypatch, tmp_path):
    import pgpost.cli as cli
    path, read = counts(tmp_path / "best.csv", [(i, 1, 1 + i % 5) for i in range(40)]), cli.read_logs
    def with_warning(*args, **kwargs):
        tables = read(*args, **kwargs)
        for table in tables.values(): table.attrs["warnings"] = ["8 answers a record, 1 verdict: \x1b[2J", *table.attrs.get("warnings", [])]
        return tables
    monkeypatch.setattr(cli, "read_logs", with_warning)
    for command in (["quantile"], ["budget", "--eps", "0.1"]):
        text = [line for line in pgpost(*command, path).stdout.splitlines() if "warning" in line]
        assert text[0] == r"  warning: 8 answers a record, 1 verdict: \x1b[2J" and "stopped at 1 correct" in text[1] and len(text) == 2
        assert models(*command, path)["best"]["warnings"][0] == "8 answers a record, 1 verdict: \x1b[2J"


def test_of_one_sample_nothing_is_predicted(tmp_path):
    one, two = counts(tmp_path / "one.csv", [(i, i % 2, 1) for i in range(50)]), counts(tmp_path / "two.csv", [(i, i % 3, 2) for i in range(60)])
    text, row = pgpost("quantile", one).stdout, models("quantile", one)["one"]
    assert "pass@2 from 0.50 to 0.75" in text and "  predicted  nothing: one sample a problem tells pass@1 only\n" in text
    assert row["predicted_pass_at_k"] == {"2": None, "4": None, "8": None, "16": None} and row["pass_at_k"] == {"1": .5}
    assert all(q["below_resolution"] for q in row["quantile"]) and text.count("< 1*") == 6 and len(row["warnings"]) == 1
    text, row = pgpost("quantile", two).stdout, models("quantile", two)["two"]
    assert "2 samples a problem tell 2 moments of the likelihood" in text and None not in row["predicted_pass_at_k"].values()
    assert "samples a problem tell" in models("budget", two, "--eps", ".1")["two"]["warnings"][0]


def test_budget_marks_what_is_below_the_resolution(tmp_path):
    "As `quantile` does: lower bounds, those of the resolution, in the text; numbers and a mark in JSON."
    path = counts(tmp_path / "log.csv", [(i, c, 16) for i, c in enumerate([0, 0, 3, 9, 15, 16])])
    text, outcome = pgpost("budget", path, "--eps", ".1").stdout, models("budget", path, "--eps", ".1")["log"]["outcome"]
    result = quantile_from_counts([0, 0, 3, 9, 15, 16], 16)
    assert outcome["below_resolution"] and outcome["quantile"] < outcome["resolution"] == 1 / 16 and outcome["samples"] > 16
    bound = outcome["at_resolution"]
    assert bound == dict(samples=16, first_success=pytest.approx(result.first_success(16)), queries=pytest.approx(leading_queries(.1, .2, 1 / 16)))
    assert bound["first_success"] < outcome["first_success"] and bound["queries"] < outcome["queries"]
    assert "likelihood quantile < 0.0625*, > 16 samples a prompt (band" in text and "  * below 0.0625, one success in 16 samples" in text
    assert f"up to the first success: > {bound['first_success']:.3g} samples" in text and f"queries to the target error: > {bound['queries']:.3g} /" in text
    above = models("budget", path, "--eps", ".45")["log"]["outcome"]
    assert not above["below_resolution"] and above["at_resolution"] is None and "*" not in pgpost("budget", path, "--eps", ".45").stdout


def test_guessing(tmp_path):
    "Four choices: 20 problems guessed, of which 8 answers each are never all wrong, and 20 known."
    rng = np.random.default_rng(0)
    c = np.append(rng.binomial(8, .25, size=20), rng.binomial(8, .95, size=20))
    path = counts(tmp_path / "quiz.csv", [(f"q{i}", k, 8) for i, k in enumerate(c)])
    result, above = quantile_from_counts(c, 8), above_chance(c, 8, .25)
    assert 20 <= above.sum() <= 24 and (c > 0).sum() > 30
    text, row = pgpost("quantile", path, "--chance", ".25", "--eps", ".1,.9").stdout, models("quantile", path, "--chance", ".25", "--eps", ".1,.9")["quiz"]
    guessing = row["guessing"]
    assert guessing["chance"] == .25 and guessing["above"] == above.sum() and guessing["not_above"] == [f"q{i}" for i in np.flatnonzero(~above)]
    assert (guessing["low"], guessing["high"]) == pytest.approx(result.cdf_interval(.25)) and guessing["share"] == pytest.approx(result.cdf(.25))
    assert [q["at_chance"] for q in row["quantile"]] == [True, False] and row["quantile"][0]["quantile"] == pytest.approx(result.quantiles(.1))
    assert f"8 samples each; {above.sum()} above chance\n" in text and f"  not above chance: {(~above).sum()} (q0, " in text and "never solved" not in text
    assert "  guessing   1: 0.2500  2: 0.4375  4: 0.6836  8: 0.8999\n" in text and text.split("\n")[3].split()[1].endswith("+")
    assert "  + at or below chance, 0.25: a first success is a lucky guess there" in text
    priced, bought = pgpost("budget", path, "--chance", ".25", "--eps", ".1").stdout, models("budget", path, "--chance", ".25", "--eps", ".1")["quiz"]
    assert bought["outcome"]["at_chance"] and bought["guessing"] == guessing and "+, " in priced and "  + at or below chance" in priced
    without = models("quantile", path, "--eps", ".1,.9")["quiz"]
    assert without["guessing"] is None and not any(q["at_chance"] for q in without["quantile"]) and without["pass_at_k"] == row["pass_at_k"]
    for wrong in "0", "1", "a quarter":
        assert "'--chance': " in pgpost("quantile", path, "--chance", wrong).stderr


def test_gained_and_lost_are_not_luck(tmp_path):
    first, second = (counts(tmp_path / f"{name}.csv", [("a", 0, 8), ("b", 1, 8), ("c", k, 8)]) for name, k in (("first", 2), ("second", 8)))
    report = json.loads(pgpost("quantile", first, second, "--chance", ".25", "--json").stdout)["comparison"]
    assert report["gained"] == ["c"] and report["lost"] == []
    assert json.loads(pgpost("quantile", first, second, "--json").stdout)["comparison"]["gained"] == []  # solved once is solved
    assert "not above chance before, above it now" in pgpost("quantile", first, second, "--chance", ".25").stdout


ESCAPE = "\x1b[31m$red$\x07"


@pytest.mark.parametrize("command", [["quantile"], ["quantile", "--chance", "0.25"], ["budget", "--eps", "0.2"]], ids=" ".join)
def test_names_reach_the_terminal_escaped(command, tmp_path):
    "Of models and problems, in all texts; in JSON and csv they are data."
    rows = [dict(model=m, problem=f"{ESCAPE}{i}", n_correct=c * k, n_samples=8) for m, k in ((ESCAPE, 0), ("other\x9b2J", 1)) for i, c in enumerate([0, 3, 8])]
    pd.DataFrame(rows).to_csv(tmp_path / "log.csv", index=False)
    text = pgpost(*command, tmp_path / "log.csv").stdout
    assert text.replace("\n", "").isprintable() and r"\x1b[31m$red$\x07: " in text and r"other\x9b2J" in text
    report = json.loads(pgpost(*command, tmp_path / "log.csv", "--json").stdout)
    assert list(report["models"]) == [ESCAPE, "other\x9b2J"]
    if command[0] == "budget": return
    assert rf"{ESCAPE}0".encode("unicode_escape").decode() in text
    if len(command) == 1: assert report["models"][ESCAPE]["never_solved"][0]["problem"] == f"{ESCAPE}0"
    assert pgpost(*command, tmp_path / "log.csv", "--out", tmp_path / "out").returncode == 0  # a figure, though $red$ is no formula
    assert set(pd.read_csv(tmp_path / "out/counts.csv").problem) == {f"{ESCAPE}{i}" for i in range(3)}


def test_errors_escape_names(tmp_path):
    (tmp_path / "log.csv").write_text(f"model,problem,n_correct,n_samples\n{ESCAPE},a,1,2\nother,a,1,2\n")
    result = pgpost("quantile", tmp_path / "log.csv", "--label", "one")
    assert result.returncode == 2 and r"models \x1b[31m$red$\x07, other itself" in result.stderr and result.stderr.replace("\n", "").isprintable()
    missing = pgpost("quantile", tmp_path / ESCAPE)
    assert missing.returncode == 2 and r"\x1b[31m$red$\x07: no such file" in missing.stderr and "\x1b" not in missing.stderr


@pytest.mark.parametrize("args", [["quantile", MATH500], ["budget", MATH500, "--eps", ".1"], ["quantile", MATH500, "--json"], ["sweep", "--help"], ["--version"]],
                         ids=lambda args: " ".join(map(str, args[:1] + args[2:])))
def test_a_closed_pipe_ends_the_command_quietly(args):
    "As under `pgpost ... | head -1`: no message, and the exit code that shells give to what SIGPIPE has ended."
    reader, writer = os.pipe()
    os.close(reader)
    result = run(PGPOST, *args, stdout=writer, env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"})
    os.close(writer)
    assert result.returncode == 141 and result.stderr == ""


def test_a_closed_pipe_of_the_other_commands(tmp_path):
    (tmp_path / "sweep.toml").write_text('run = "figure2"\n[grid]\nseed = [0]\n[setting]\nphases = 0\n')
    for args in ["figure2", "--out", tmp_path / "out", "--phases", "0"], ["sweep", tmp_path / "sweep.toml", "--store", tmp_path / "results.db"]:
        reader, writer = os.pipe()
        os.close(reader)
        result = run(PGPOST, *args, stdout=writer)
        os.close(writer)
        assert result.returncode == 141 and "Error" not in result.stderr and "error" not in result.stderr
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"figure2.png", "run.json"} and (tmp_path / "results.db").exists()  # the work is kept


def test_help_is_quick_and_light():
    "Neither the command nor the reader of logs loads the libraries that only results need."
    code = "import sys, pgpost.cli; print([m for m in ('scipy', 'pandas', 'matplotlib', 'seaborn', 'pyarrow') if m in sys.modules])"
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"
    for command in "quantile", "budget":
        assert "a csv with the columns problem, n_correct, n_samples, and model where it holds several" in " ".join(pgpost(command, "--help").stdout.split())
    assert "--skip-invalid" in pgpost("quantile", "--help").stdout and "--target-error" in pgpost("budget", "--help").stdout


def test_folders_globs_and_one_label(tmp_path):
    for seed in range(3): (tmp_path / f"s{seed}.jsonl").write_text("".join(json.dumps(dict(idx=i, question=f"q{i}", score=[i == seed])) + "\n" for i in range(3)))
    (tmp_path / "README.md").write_text("# Seeds")
    def models(*args): return json.loads(pgpost("quantile", *args, "--json").stdout)["models"]
    assert list(models(tmp_path / "*.jsonl")) == ["s0", "s1", "s2"] and list(models(tmp_path)) == [tmp_path.name]
    for args in [tmp_path], [tmp_path / "s*.jsonl"], [tmp_path / f"s{seed}.jsonl" for seed in range(3)]:
        (row,) = models(*args, "--label", "m").values()
        assert row["n_samples"] == [3, 3] and row["correct"] == 3


def test_samples_that_ended_in_an_error(tmp_path):
    samples = [dict(id="a", epoch=1, scores=dict(match=dict(value="C"))), dict(id="a", epoch=2, error=dict(message="RuntimeError"), scores={})]
    (tmp_path / "log.json").write_text(json.dumps(dict(samples=samples)))
    strict = pgpost("quantile", tmp_path / "log.json")
    assert strict.returncode == 2 and "--skip-invalid leaves such samples out, --errors-wrong counts them as wrong" in strict.stderr
    for option, answers in ("--skip-invalid", 1), ("--errors-wrong", 2):
        (row,) = json.loads(pgpost("quantile", tmp_path / "log.json", option, "--json").stdout)["models"].values()
        assert (row["correct"], row["answers"]) == (1, answers)


def test_what_matters_comes_first(real):
    "Solved, the quantile, groups, warnings; then the rest."
    _, result = real
    order = [result.stdout.index(said) for said in ("481 solved at least once", "   eps ", "groups with both right and wrong answers", "pass@k", "never solved: 19")]
    assert order == sorted(order)


def test_groups_in_text_json_and_files(tmp_path):
    path = counts(tmp_path / "log.csv", [(f"p{i}", c, 16) for i, c in enumerate([0, 0, 3, 9, 15, 16, 8, 4])])
    out = tmp_path / "out"
    text = pgpost("quantile", path, "--group", "12", "--out", out).stdout
    row = models("quantile", path, "--group", "12")["log"]
    expected = group_table(quantile_from_counts([0, 0, 3, 9, 15, 16, 8, 4], 16), [2, 4, 8, 12, 16, 32, 64])
    for found in pd.DataFrame(row["groups"]), pd.read_csv(out / "groups.csv").drop(columns="model"): pd.testing.assert_frame_equal(found, expected)
    assert row["classes"] == dict(never=2, sometimes=5, always=1) and row["best_group"] == best_group(expected)
    share = expected.informative[3]
    assert f"     12       {100 * share:.3g}%" in text and "     32     ~ " in text and "beyond the 16 samples that every problem has" in text
    prompts = pd.read_csv(out / "prompts.csv")
    pd.testing.assert_frame_equal(prompts.drop(columns="model"), problem_table(quantile_from_counts([0, 0, 3, 9, 15, 16, 8, 4], 16), 12, [f"p{i}" for i in range(8)]))


def test_prompts_to_keep_and_to_ask_again(tmp_path):
    path = counts(tmp_path / "log.csv", [(f"p{i}", c, 16) for i, c in enumerate([0, 0, 3, 9, 15, 16, 8, 4])])
    out, args = tmp_path / "out", ["quantile", path, "--out", tmp_path / "out"]
    text = pgpost(*args, "--keep", "0.35:0.7", "--plan-samples", ".02").stdout
    prompts = pd.read_csv(out / "prompts.csv")
    assert (out / "keep.txt").read_text().split() == prompts.problem[prompts.likelihood.between(.35, .7)].tolist() == ["p3", "p6"]
    plan = pd.read_csv(out / "plan.csv")
    assert plan.problem.tolist() == ["p0", "p1", "p5"] and set(plan.more) == {149 - 16}
    assert "to settle 2 problems that were never solved (likelihood below 0.02): 133 more answers each, 266 in all" in text and "always solved (above 0.98): 133 more" in text
    assert models("quantile", path, "--plan-samples", ".02")["log"]["plan"]["never"]["more"] == 266
    assert models("quantile", path, "--plan-samples")["log"]["plan"]["bound"] == .01 and models("quantile", path)["log"]["plan"] is None
    pgpost(*args)
    assert not (out / "keep.txt").exists() and not (out / "plan.csv").exists()  # they would be of another report


def test_budget_of_groups(tmp_path):
    path = counts(tmp_path / "log.csv", [(f"p{i}", c, 16) for i, c in enumerate([0, 0, 3, 9, 15, 16, 8, 4])])
    share = informative_share([0, 0, 3, 9, 15, 16, 8, 4], 16, 8).mean()
    groups = models("budget", path, "--group", 8, "--prompts", 5000, "--tokens", 3000, "--tokens-per-second", 1500)["log"]["groups"]
    assert (groups["answers"], groups["hours"]) == (40_000, pytest.approx(40_000 * 2 / 3600)) and groups["informative"] == pytest.approx(share)
    assert groups["dynamic"] == pytest.approx(40_000 / share) and groups["dynamic_hours"] == pytest.approx(80_000 / share / 3600)
    assert groups["dynamic_low"] < groups["dynamic"] < groups["dynamic_high"]
    for size in groups["sizes"]:
        assert size["prompts"] == 40_000 / size["group"] and size["informative_groups"] == pytest.approx(size["prompts"] * size["informative"])
    text = pgpost("budget", path, "--group", 8, "--prompts", 5000, "--seconds-per-answer", 2).stdout
    assert "groups of 8: 5,000 prompts are 40,000 answers, 22.2 GPU hours" in text and "gamma" not in text and "Assumed: prompts to come" in text
    assert f"{5000 * share:,.0f} groups with a right and a wrong answer" in text and "outcome rewards" not in text
    both = pgpost("budget", path, "--group", 8, "--eps", ".4").stdout
    assert "groups of 8: 8 prompts are 64 answers\n" in both and "outcome rewards: likelihood quantile" in both and both.count("Assumed:") == 2
    alone = models("budget", path, "--eps", ".4")["log"]
    assert alone["groups"] is None and alone["outcome"] is not None


def test_nothing_solved_has_a_budget_without_bounds(tmp_path):
    path = counts(tmp_path / "log.csv", [(i, 0, 8) for i in range(30)])
    groups = models("budget", path, "--group", 8)["log"]["groups"]
    assert groups["informative"] == 0 and groups["dynamic"] is None and groups["best"] is None
    text = pgpost("budget", path, "--group", 8, "--seconds-per-answer", 1).stdout
    assert "no bound answers" not in text and "none of the groups is informative" in text
