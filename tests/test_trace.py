"Rollouts and evaluations along training: steps, shares, quantiles and lost support. Covers trace, cli."
import json
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.counts import quantile_from_counts
from pgpost.evallog import LogError
from pgpost.trace import TraceReport, join_steps, problem_table, read_trace, step_of_name, step_tables, trace_report, trailing_p
from test_cli_logs import pgpost


def dumped(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def verl(folder, counts, size, **extra):
    "`rollout_data_dir` or `validation_data_dir` of verl: a file a step, a record an answer, with what the reward function adds. `counts`: by step, by problem."
    rng = np.random.default_rng(0)
    for step, by_problem in counts.items():
        dumped(folder / f"{step}.jsonl", [dict(input=f"user\n{problem}\nassistant\n", output=f"... {i}", gts="4", score=1. if i < c else 0., step=step, uid=str(rng.integers(2**60))) | extra
                                          for problem, c in by_problem.items() for i in range(size)])


def trl(folder, counts, size):
    "`completions` of TRL: a parquet file a step, with a column for each reward, of which one does not apply to all."
    import pyarrow
    import pyarrow.parquet
    folder.mkdir(parents=True, exist_ok=True)
    for step, by_problem in counts.items():
        rows = [dict(step=step, prompt=[dict(content=problem, role="user")], completion=[dict(content="...", role="assistant")],
                     accuracy_reward=float(i < c), format_reward=.5, advantage=.1)
                for problem, c in by_problem.items() for i in range(size)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"completions_{step:05d}.parquet")


def read(*args, **options): return {step: {p: (c, n) for p, c, n in t[["problem", "n_correct", "n_samples"]].values.tolist()} for step, t in read_trace(*args, **options).items()}


COUNTS = {1: dict(a=3, b=0, c=8), 5: dict(a=1, b=2, d=8), 10: dict(a=0, b=1, c=7)}


def test_rollouts_of_verl(tmp_path):
    "Problems are known by their text, since `uid` is another at each step."
    verl(tmp_path, COUNTS, size=8)
    named = {step: {f"user\n{p}\nassistant\n": (c, 8) for p, c in by.items()} for step, by in COUNTS.items()}
    assert read([tmp_path]) == named and list(read_trace([tmp_path])) == [1, 5, 10]
    verl(tmp_path / "shaped", {2: dict(a=4)}, size=8, acc=True)
    verl(tmp_path / "shaped", {3: dict(a=4)}, size=8, acc=False)
    assert [list(by.values()) for by in read([tmp_path / "shaped"]).values()] == [[(8, 8)], [(0, 8)]]  # acc before score
    (merged,) = [dumped(tmp_path / "all.jsonl", [json.loads(line) for step in COUNTS for line in (tmp_path / f"{step}.jsonl").read_text().splitlines()])]
    assert read([merged]) == named


def test_completions_of_trl(tmp_path):
    trl(tmp_path, COUNTS, size=8)
    assert {step: list(by.values()) for step, by in read([tmp_path], correct="accuracy_reward").items()} == {step: [(c, 8) for c in by.values()] for step, by in COUNTS.items()}
    assert len({problem for by in read([tmp_path], correct="accuracy_reward").values() for problem in by}) == 4
    with pytest.raises(LogError, match=r"completions_00001.parquet, row 0: verdict not named: .*--correct; there are 'accuracy_reward', 'format_reward', 'advantage'"): read([tmp_path])


def test_episodes_of_prime_rl(tmp_path):
    "The step is that at which the episode was dispatched."
    def episode(step, problem, ok):
        return dict(env={}, task=dict(key=problem), traces=[dict(rewards=dict(correct=dict(score=float(ok))))],
                    run=dict(type="train", id="r", work=dict(type="train", step=step)))
    path = dumped(tmp_path / "traces.jsonl", [episode(step, p, ok) for step in (0, 7) for p in "ab" for ok in (step > 0, p == "a")])
    assert read([path]) == {0: dict(a=(1, 2), b=(0, 2)), 7: dict(a=(2, 2), b=(1, 2))}


def qwen(path, verdicts): return dumped(path, [dict(idx=i, question=f"q{i}", score=v) for i, v in enumerate(verdicts)])


def test_steps_in_names_given_and_by_pattern(tmp_path):
    for step in (0, 50, 200):
        for seed in (0, 1): qwen(tmp_path / f"runs/global_step_{step}/seed{seed}.jsonl", [[step > 0], [seed]])
    expected = {step: {"0": (2 * (step > 0), 2), "1": (1, 2)} for step in (0, 50, 200)}
    assert read([tmp_path / "runs"]) == expected
    assert "global_step_200/seed0.jsonl: duplicated samples: different logs are wanted, this one equals" in read_trace([tmp_path / "runs"])[0].attrs["warnings"][0]
    qwen(tmp_path / "runs/global_step_0/seed2.jsonl", [[False], [0]])
    with pytest.raises(LogError, match="seed2.jsonl: duplicated samples: different logs are wanted, this one equals .*seed0.jsonl"): read([tmp_path / "runs"])
    (tmp_path / "runs/global_step_0/seed2.jsonl").unlink()
    paths = [qwen(tmp_path / name, [[1], [0]]) for name in ("base.jsonl", "after-3k.jsonl")]
    assert list(read(paths, steps=[0, 3000])) == [0, 3000] and read([*paths, tmp_path / "runs/global_step_50"], steps=[0, 3000, 7])[7] == expected[50]
    qwen(tmp_path / "after-12k.jsonl", [[1], [1]])
    assert list(read([tmp_path / "after-3k.jsonl", tmp_path / "after-12k.jsonl"], pattern=r"after-(\d+)k")) == [3, 12]
    verl(tmp_path / "verl", {1: dict(a=1), 2: dict(a=1)}, size=2)
    assert list(read([tmp_path / "verl/1.jsonl", tmp_path / "verl/2.jsonl"], steps=[10, 20])) == [10, 20]
    for name, step in {"a/step-12/x.json": 12, "a/iter_7.jsonl": 7, "step1/checkpoint-20/results.json": 20, "Global_Step_9.csv": 9, "1000.jsonl.gz": 1000, "samples_7b.jsonl": None}.items():
        assert step_of_name(name) == step


@pytest.mark.parametrize("make, message", [
    (lambda d: qwen(d / "5.jsonl", [[1]]), "5.jsonl: one step only: logs of two steps of training or more are wanted, all are of step 5"),
    (lambda d: [qwen(d / "5.jsonl", [[1]]), qwen(d / "last.jsonl", [[0]])], "last.jsonl: no step: a step of training is wanted in the records, or in the name, as in step_100 or 100.jsonl; --step"),
    (lambda d: verl(d, {"one": dict(a=1), "two": dict(a=1)}, 2), "one.jsonl: not a step: an integer from 0 on is wanted, got 'one'; --pattern"),
    (lambda d: dumped(d / "a.jsonl", [dict(input="q", output="x", score=1., step=s) for s in (1, 2, -3)]), "a.jsonl: not a step: .* got '?-3"),
    (lambda d: dumped(d / "a.jsonl", [dict(input=q, output="x", score=1.) | s for q, s in [("q", dict(step=1)), ("r", {})]]), "a.jsonl: no step: a step in all records is wanted, or in none"),
    (lambda d: [qwen(d / "1.jsonl", [[1]]), dumped(d / "2.jsonl", [dict(idx=0, question="another", score=[1])])], "2.jsonl: other problems: logs on the same problems are wanted, problem '0' has another text in .*1.jsonl"),
    (lambda d: [qwen(d / "1.jsonl", [[1]]), dumped(d / "2.jsonl", [dict(idx=0, question="q0", score=[1]), dict(idx=1)])], "2.jsonl, line 2: missing field"),
    (lambda d: (d / "notes.txt").write_text("nothing"), "no log: a folder with logs is wanted"),
    (lambda d: None, "no log: a folder with logs is wanted"),
])
def test_what_is_wrong_is_said_with_the_file(make, message, tmp_path):
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    with pytest.raises(LogError, match=message) as error: read_trace([tmp_path / "in"])
    result = pgpost("trace", tmp_path / "in", "--out", tmp_path / "out")
    assert result.returncode == 2 and str(error.value) in result.stderr and result.stdout == "" and not (tmp_path / "out").exists()


def test_problems_that_never_come_back(tmp_path):
    "Shares and quantiles are there, what was lost is not, and both logs are named."
    verl(tmp_path, {1: dict(a=1, b=2), 2: dict(c=0, d=2)}, size=2)
    report = trace_report(read_trace([tmp_path]))
    assert f"no problem is asked at two steps in {tmp_path / '1.jsonl'} and {tmp_path / '2.jsonl'}" in report["warnings"][0] and "never since" not in str(report)
    assert report.steps.pass_at_1.tolist() == [.75, .5] and report["at_two_steps"] == 0 and set(report.problems.verdict) == {"solved", "never"}


def table(counts): return pd.DataFrame([dict(problem=p, n_correct=c, n_samples=n) for p, (c, n) in counts.items()])


def test_shares_and_quantiles_are_those_of_each_step():
    rng = np.random.default_rng(3)
    tables = {step: table({f"p{j}": (int(rng.binomial(8, .5)), 8) for j in range(50)}) for step in (0, 10)}
    steps, quantiles = step_tables(tables, eps=(.2, .6), group=4)
    for row, t in zip(steps.itertuples(), tables.values(), strict=True):
        def mixed(c): return Fraction(sum(0 < sum(group) < 4 for group in combinations([1] * c + [0] * (8 - c), 4)), comb(8, 4))
        assert row.informative == pytest.approx(float(sum(map(mixed, t.n_correct)) / 50)) and row.informative_low < row.informative < row.informative_high
        assert row.pass_at_1 == pytest.approx(t.n_correct.mean() / 8) and row.solved == (t.n_correct > 0).sum() and (row.group, row.too_few) == (4, 0)
        expected = quantile_from_counts(t.n_correct, t.n_samples).table([.2, .6])
        np.testing.assert_array_equal(quantiles[quantiles.step == row.step][["quantile", "low", "high"]], expected[["quantile", "low", "high"]])


def test_groups_of_different_sizes():
    "The share is of one size, what has fewer answers is left out of it and counted; where all have one answer there is none."
    tables = {1: table({f"p{j}": (j % 9, 8) for j in range(20)}), 2: table({f"p{j}": (1, 8 if j else 5) for j in range(20)})}
    report = trace_report(tables)
    assert report.steps.group.tolist() == [8, 8] and report.steps.too_few.tolist() == [0, 1] and report.steps.informative[1] == 1
    assert "1 groups with fewer answers than 8 are not among these" in str(report) and "5 to 8" in str(report)
    assert trace_report(tables, group=5).steps.too_few.tolist() == [0, 0]
    single = trace_report({s: table({f"p{j}": (j % 2, 1) for j in range(40)}) for s in (1, 2)})
    assert single.steps.informative.isna().all() and single.to_dict()["steps"][0]["informative"] is None
    large = trace_report(tables, group=16)
    assert large.steps.informative.isna().all() and large.steps.too_few.tolist() == [20, 20]


def test_steps_taken_together(tmp_path):
    tables = {step: table({f"p{step}-{j}": (1, 4) for j in range(5)} | dict(a=(step % 2, 4))) for step in range(1, 9)}
    joined = join_steps(tables, 4)
    assert {step: len(t) for step, t in joined.items()} == {0: 16, 4: 21, 8: 6} and joined[4].set_index("problem").loc["a"].tolist() == [2, 16]
    report = trace_report(tables, every=4)
    assert report.steps.step.tolist() == [0, 4, 8] and "4 steps are taken together" in str(report) and report.problems.set_index("problem").steps["a"] == 8
    assert "8 of 8 steps have fewer than 30 problems, of which little follows: --every N" in trace_report(tables)["warnings"][-1]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)).map(sorted), min_size=1, max_size=6))
def test_lost_support_against_the_definition(steps):
    "Counts, last success and what came since by hand; the p-value by the share of orders of the answers with no right one at the end, which are sets of places of the right ones."
    tables = {10 * s: table(dict(a=tuple(cn))) for s, cn in enumerate(steps)}
    (row,) = problem_table(tables).to_dict("records")
    right, answers = (sum(column) for column in zip(*steps))
    solved = [s for s, (c, _) in enumerate(steps) if c]
    since = steps[solved[-1] + 1:] if solved else []
    t = sum(n for _, n in since)
    assert (row["n_correct"], row["n_samples"], row["answers_since"], row["steps_since"]) == (right, answers, t, len(since))
    assert row["solved_last"] == 10 * solved[-1] if solved else pd.isna(row["solved_last"])
    places = list(combinations(range(answers), right)) if comb(answers, right) < 5000 else None
    exact = Fraction(comb(answers - t, right), comb(answers, right))
    if places: assert exact == Fraction(sum(not p or p[-1] < answers - t for p in places), len(places))
    assert row["p_value"] == pytest.approx(float(exact), rel=1e-9)


def test_the_p_value_holds_whenever_the_last_success_was():
    "Without any change the chance that p is at most u is at most u, exactly: over all orders of 3 right answers among 12, in blocks of 4."
    orders = list(combinations(range(12), 3))
    since = [4 * (3 - 1 - max(places) // 4) for places in orders]
    p = trailing_p(3, 12, since)
    for u in np.unique(p): assert (p <= u + 1e-12).mean() <= u + 1e-12
    assert len(np.unique(p)) == 3


def test_lost_problems_are_found_and_few_others():
    """Of 300 problems 30 are forgotten after the fourth of eight steps. Those of them with a likelihood of at least 0.4 had some 13 right answers of 32, which all come before 32 wrong ones
    in one of 10^5 orders, so they are found; of others at most 5 are called lost (of 35, at a false discovery rate of 5%, more than that in fewer than 1 in 100 runs)."""
    rng = np.random.default_rng(5)
    likelihood = rng.beta(.8, .8, 300)
    tables = {}
    for step in range(8):
        a = np.where((np.arange(300) < 30) & (step >= 4), 0, likelihood)
        tables[step] = pd.DataFrame(dict(problem=[f"p{j}" for j in range(300)], n_correct=rng.binomial(8, a), n_samples=8))
    report = trace_report(tables)
    lost = set(report.problems.problem[report.problems.verdict == "lost"])
    forgotten = {f"p{j}" for j in range(30)}
    assert {f"p{j}" for j in range(30) if likelihood[j] >= .4} <= lost and len(lost - forgotten) <= 5
    assert report.steps.lost.is_monotonic_increasing and report.steps.lost.iloc[-1] == len(lost)
    assert (report.steps.lost[0], report.steps.lost[4]) == (0, len(lost))
    assert len(report["lost"]) == len(lost) and f"{len(lost)} lost (false discovery rate 5%)" in str(report)
    assert trace_report(tables, rate=1e-6).problems.verdict.eq("lost").sum() < len(lost)


def test_the_report_is_a_report(tmp_path):
    verl(tmp_path, COUNTS, size=8)
    report = trace_report(read_trace([tmp_path]), eps=(.5,), skipped={"broken JSON": 2})
    assert isinstance(report, TraceReport) and isinstance(report, dict) and str(report) == report.text == repr(report)
    assert report.text.splitlines()[0] == "3 steps, from 1 to 10: 4 problems, 3 of them at two steps or more, 2 at every step: steps differ by their problems as well; 72 answers"
    assert report.text.endswith("left out as invalid: 2 of the kind 'broken JSON'") and "<table" in report._repr_html_()
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [row["step"] for row in data["steps"]] == [1, 5, 10] and [q["eps"] for q in data["quantiles"]] == [.5] * 3 and data["number_of_problems"] == 4
    assert data["within_chance"] == [dict(problem="user\na\nassistant\n", steps=3, first=1, last=10, n_correct=4, n_samples=24, solved_last=5, answers_since=8, steps_since=1,
                                         p_value=pytest.approx(comb(16, 4) / comb(24, 4)), adjusted=pytest.approx(3 * comb(16, 4) / comb(24, 4)))]


def test_the_command(tmp_path):
    counts = {step: {f"p{j}": (j + step) % 9 if j or step < 20 else 0 for j in range(40)} for step in (0, 10, 20, 30)}
    verl(tmp_path / "rollouts", counts, size=8)
    (tmp_path / "rollouts/README.md").write_text("rollouts")
    result = pgpost("trace", tmp_path / "rollouts", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("4 steps, from 0 to 30: the same 40 problems at every step; 1,280 answers\n  warning: left out, since they are no logs")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["curves.csv", "problems.csv", "quantiles.csv", "steps.csv", "trace.png"]
    assert (tmp_path / "out/trace.png").read_bytes().startswith(b"\x89PNG")
    steps, problems = (pd.read_csv(tmp_path / f"out/{name}.csv") for name in ("steps", "problems"))
    assert steps.step.tolist() == [0, 10, 20, 30] and steps.answers.tolist() == [320] * 4 and len(problems) == 40
    assert problems.n_correct.sum() == sum(sum(by.values()) for by in counts.values())
    data = json.loads(pgpost("trace", tmp_path / "rollouts", "--json", "--eps", "0.2", "--group", 4, "--every", 20).stdout)
    assert [row["step"] for row in data["steps"]] == [0, 20] and data["steps"][0]["group"] == 4 and {q["eps"] for q in data["quantiles"]} == {.2}
    assert pgpost("trace", tmp_path / "rollouts", "--out", tmp_path / "out", "--key", "input", "--correct", "score").returncode == 0  # replaced
    (tmp_path / "rollouts/40.jsonl").write_text((tmp_path / "rollouts/30.jsonl").read_text().replace('"step": 30', '"step": 40') + "{\n")
    assert "left out as invalid: 1 of the kind 'broken JSON'" in pgpost("trace", tmp_path / "rollouts", "--skip-invalid").stdout


def test_help_and_bad_requests(tmp_path):
    path = qwen(tmp_path / "1.jsonl", [[1, 0]])
    other = qwen(tmp_path / "2.jsonl", [[1, 1]])
    help = pgpost("trace", "--help").stdout
    for said in "--step", "--pattern", "--every", "--group", "--eps", "--out", "DIR is a folder with a log for each step": assert said in help
    for args, message in [([], "Missing argument"), ([path, "--stp", "1"], "No such option '--stp'"), ([path, other, "--step", "1"], "'--step': a step for each of 2 logs is wanted, got 1"),
                          ([path, other, "--step", "1,1"], "one step only"), ([path, other, "--step", "1,-2"], "'--step': -2 is not in the range x>=0"),
                          ([path, other, "--pattern", "(a)(b)"], "'--pattern': a regular expression with one group"), ([path, other, "--pattern", "x(1"], "'--pattern'"),
                          ([path, other, "--pattern", "run-([0-9]+)"], "no step"), ([path, other, "--pattern", r"(j)son"], "1.jsonl: not a step: an integer from 0 on is wanted, got 'j'"),
                          ([path, other, "--group", "1"], "'--group': 1 is not in the range x>=2"), ([path, other, "--every", "0"], "'--every': 0 is not in the range x>=1"),
                          ([path, other, "--eps", "0"], "'--eps': 0.0 is not in the range"), ([path, path, "--step", "1,2"], "duplicated samples"), ([tmp_path / "nothing"], "no such file"),
                          ([path, other, "--samples", "2", "--threshold", "1"], "one of both is wanted"), ([path, other, "--out", tmp_path], "holds other files")]:
        result = pgpost("trace", *args)
        assert result.returncode == 2 and message in result.stderr and result.stdout == "", (args, result.stderr)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.jsonl", "2.jsonl"]
