"Logs in every shape, whole and damaged. Covers records, verdict, evallog."
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzz_evallog import mutations, outcome
from hypothesis import given, settings, strategies as st
from logs import LOGS, inspect_eval, inspect_samples, lm_eval, write
from pgpost import evallog, records, verdict
from pgpost.counts import count_warnings
from pgpost.evallog import LogError, read_log, read_logs, read_steps
from processes import run


@pytest.fixture(scope="module")
def logs(tmp_path_factory): return {path.name: (path, options, content) for path, options, content in write(tmp_path_factory.mktemp("logs"))}


@pytest.mark.parametrize("name", LOGS)
def test_every_shape_is_read(name, logs):
    path, options, content = logs[name]
    assert read_log(path, **options).values.tolist() == content


@pytest.mark.parametrize("name", LOGS)
def test_a_format_may_be_named(name, logs):
    "Naming the right format changes nothing, naming a wrong one is an error of the first record."
    path, options, content = logs[name]
    if "key" in options: return
    table = read_log(path, **options)
    right = next(f for f, form in evallog.FORMATS.items() if form.tool == table.attrs["format"])
    assert read_log(path, format=right, **options).values.tolist() == content
    wrong = "livecodebench" if right != "livecodebench" else "humaneval"
    with pytest.raises(LogError, match="missing field|mixed formats"): read_log(path, format=wrong)


def test_inspect_logs_without_zstd(tmp_path):
    inspect_eval(tmp_path / "old.eval", zstd=False)
    assert read_log(tmp_path / "old.eval").values.tolist() == [["a/0", 2, 3], ["a/1", 0, 3]]


def test_evalplus_base_and_extended_tests(logs):
    path = logs["evalplus_eval_results.json"][0]
    assert read_log(path, correct="plus_status").values.tolist() == [["a/0", 1, 3], ["a/1", 0, 3]]


def test_lm_eval_filters(tmp_path, logs):
    path = logs["samples_gsm8k_2025-01-01.jsonl"][0]
    assert read_log(path, correct="exact_match,flexible-extract").values.tolist() == [["0", 1, 1], ["1", 1, 1]]
    with pytest.raises(LogError, match="one filter is wanted, chosen with --correct exact_match,FILTER; there are 'strict-match', 'flexible-extract'"): read_log(path)
    with pytest.raises(LogError, match="no record has the filter 'strict_match'; there are 'strict-match', 'flexible-extract'"): read_log(path, correct="exact_match,strict_match")
    with pytest.raises(LogError, match="line 1: missing field: the metric 'exact_mach' is wanted, there are 'exact_match'"): read_log(path, correct="exact_mach,strict-match")
    with pytest.raises(LogError, match="one filter is wanted"): read_log(path, key="doc_id")
    other = tmp_path / "samples_gsm8k_2025-01-02.jsonl"
    other.write_text(lm_eval().replace('"resps": [["4"]]', '"resps": [["5"]]'))
    assert read_logs([path, other], ["m", "m"], correct="exact_match,strict-match")["m"].values.tolist() == [["0", 2, 2], ["1", 0, 2]]
    one = dict(doc_id=0, filtered_resps=["4"], filter="none", metrics=["acc", "acc_norm"], acc=1., acc_norm=0.)
    other.write_text(json.dumps(one))
    with pytest.raises(LogError, match="one metric is wanted"): read_log(other)
    assert read_log(other, correct="acc_norm").values.tolist() == [["0", 0, 1]]


def test_inspect_scores(tmp_path):
    "Letters, partial credit, several scorers, a score with parts, a sample that failed, an epoch twice."
    def read(scores, **options):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(dict(version=2, eval={}, samples=[dict(id="a", epoch=i, scores=s) for i, s in enumerate(scores)])))
        return read_log(path, **options).values.tolist()
    def score(value, name="match"): return {name: dict(value=value)}
    assert read([score(v) for v in ("C", "I", "N", 1, True, 0.)]) == [["a", 3, 6]]
    with pytest.raises(LogError, match="not a verdict.*got 'P'"): read([score("P")])
    assert read([score("P"), score("C")], threshold=.5) == [["a", 2, 2]] and read([score("P"), score("C")], threshold=.75) == [["a", 1, 2]]
    both = score("C") | score("I", "model.graded")
    with pytest.raises(LogError, match="one scorer is wanted"): read([both])
    assert read([both], correct="match") == [["a", 1, 1]] and read([both], correct="model.graded") == [["a", 0, 1]]
    assert read([score(dict(easy=1, hard=0), "parts")], correct="parts.hard") == [["a", 0, 1]]
    with pytest.raises(LogError, match="sample 1: no score"): read([score("C"), {}])
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(dict(samples=[inspect_samples()[0]] * 2)))
    with pytest.raises(LogError, match="sample 1: duplicated sample.*each epoch"): read_log(path)


LINE = b'{"idx": 0, "score": [true, false]}\n'


@pytest.mark.parametrize("name, content, message", [
    ("a.jsonl", LINE + b'{"idx": 1, "score": [tr', "line 2: broken JSON"),
    ("a.jsonl", LINE + b'{"idx": 1}', "line 2: missing field: 'score' is wanted, there are 'idx'"),
    ("a.jsonl", LINE + b'\n\n{"idx": 1, "score": [0.5]}', "line 4: not a verdict: 0, 1 or a boolean is wanted, or a number together with --threshold, got 0.5"),
    ("a.jsonl", LINE + b'{"idx": 1, "score": [NaN]}', "line 2: not a verdict.*got nan"),
    ("a.jsonl", LINE + b'{"idx": 1, "score": ["1"]}', "line 2: not a verdict.*got '1'"),
    ("a.jsonl", LINE + b'{"idx": 1, "score": [null]}', "line 2: not a verdict.*got None"),
    ("a.jsonl", LINE + b'{"idx": 1, "score": []}', "line 2: not a verdict.*an empty one"),
    ("a.jsonl", LINE + b'{"idx": 1, "score": [' + b"9" * 4000 + b"]}", "line 2: not a verdict"),
    ("a.jsonl", LINE + b'{"idx": 1.5, "score": [1]}', "line 2: not a problem.*got 1.5"),
    ("a.jsonl", LINE + b'{"idx": "", "score": [1]}', "line 2: not a problem"),
    ("a.jsonl", LINE + LINE, "line 2: duplicated sample"),
    ("a.jsonl", LINE + b"\xff\xfe\n", "line 2: not UTF-8: text in UTF-8 is wanted, byte 1 is 0xff"),
    ("a.jsonl", LINE + b"[1, 2]\n", "line 2: not a record.*got a list"),
    ("a.jsonl", LINE + b"[" * 200_000, "line 2: (nested too deeply|broken JSON)"),
    ("a.jsonl", LINE + b'{"idx": 1, "a": "' + b"x" * (records.LINE_LIMIT + 5) + b'"}\n', "line 2: line too long"),
    ("a.jsonl", LINE + b'{"task_id": "a", "passed": true}\n', "line 2: mixed formats: Qwen2.5-Math records are wanted, this one looks like HumanEval"),
    ("a.jsonl", b'{"id": 0, "good": true}\n', "line 1: format not recognized: its fields are 'id', 'good'"),
    ("a.jsonl", b'{"task_id": 0, "passed": true, "idx": 1, "score": 1}\n', "line 1: format not recognized: it may be humaneval or qwen-math"),
    ("a.jsonl", b"", "empty"),
    ("a.jsonl", b"\n \n", "empty"),
    ("a.json", b"[]", "no record"),
    ("a.json", b'{"a": ', "broken JSON"),
    ("a.json", b"[" * 200_000, "too deep|broken JSON"),
    ("a.json", b"[\xff]", "not UTF-8"),
    ("a.csv", b"problem,n_correct,n_samples\na,3,2\n", "line 2: impossible counts.*got '3' of '2'"),
    ("a.csv", b"problem,n_correct,n_samples\na,1,2\na,1,2\n", "line 3: duplicated sample"),
    ("a.csv", b"problem,n_correct,n_samples\na,1.5,2\n", "line 2: impossible counts"),
    ("a.csv", b"problem,n_correct,n_samples\na,nan,2\n", "line 2: impossible counts"),
    ("a.csv", b"problem,n_correct,n_samples\na,0,0\n", "line 2: impossible counts"),
    ("a.csv", b"problem,n_correct,n_samples\na,-1,4\n", "line 2: impossible counts"),
    ("a.csv", b"problem,n_correct,n_samples\na,1," + b"9" * 400 + b"\n", "line 2: impossible counts"),
    ("a.csv", b"problem,n_correct,n_samples\na,1\n", "line 2: broken line: 3 values are wanted, got 2"),
    ("a.csv", b"problem,n_correct,n_samples\n\xff,1,2\n", "line 2: not UTF-8"),
    ("a.csv", b"problem,n_correct,n_correct\na,1,2\n", "broken header"),
    ("a.csv", b"problem,n_correct,n_samples\n", "no record"),
    ("a.csv", "problem,n_correct,n_samples\na,1,2\n".encode("utf-16"), "not UTF-8"),
    ("a.csv", b"model;problem;n_correct;n_samples\nm;a;1;2\n", r"line 2: format not recognized: .*\(is the separator a comma\?\).*problem, n_correct, n_samples, and model"),
    ("a.csv", b"problem\tn_correct\tn_samples\na\t1\t2\n", r"line 2: format not recognized: .*is the separator a comma\?"),
    ("a.jsonl", b'{"problem": "a", "n_correct": 1.5, "n_samples": 2}\n', "line 1: impossible counts.*got 1.5 of 2"),
    ("a.jsonl", b'{"problem": "a", "n_correct": 1, "n_samples": Infinity}\n', "line 1: impossible counts.*got 1 of inf"),
    ("a.jsonl", b'{"problem": "a", "n_correct": 1, "n_samples": 2, "model": ["m"]}\n', "line 1: not a model: .*got a list"),
    ("a.jsonl", b'{"problem": "a", "n_correct": 1, "n_samples": 2, "model": "\\ud800"}\n', "line 1: not a model"),
    ("a.jsonl", b'{"id": "a", "epoch": 1, "scores": {"match": 1}}\n', "line 1: missing field: 'value' is wanted, got 1"),
    ("a.eval", b"PK\x03\x04 and no more", "damaged"),
    ("a.parquet", b"PAR1 and no more", "damaged"),
])
def test_what_is_wrong_is_said_with_its_place(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=message) as error: read_log(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name)) and len(str(error.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("missing", ["problem", "n_correct", "n_samples"])
def test_counts_without_a_column(missing, tmp_path):
    "The message names the column, and all that are wanted."
    columns = [f"{name}s" if name == missing else name for name in ("problem", "n_correct", "n_samples")]
    (tmp_path / "badcol.csv").write_text(",".join(columns) + "\na,1,4\n")
    with pytest.raises(LogError) as error: read_log(tmp_path / "badcol.csv", format="counts")
    assert str(error.value) == (f"{tmp_path / 'badcol.csv'}, line 2: missing field: '{missing}' is wanted, there are {', '.join(map(repr, columns))}; "
                                "a csv of counts needs the columns problem, n_correct, n_samples, and model where it holds several")


RECORDS = {
    "counts": dict(model="m", problem="a", n_correct=1, n_samples=2), "humaneval": dict(task_id="a", passed=True),
    "evalplus": dict(task_id="a", base_status="pass"), "bigcodebench": dict(task_id="a", status="pass", solution="x"),
    "livecodebench": dict(question_id="a", graded_list=[True]), "lm-eval": dict(doc_id=1, filtered_resps=["4"], metrics=["acc"], acc=1.),
    "inspect": dict(id="a", epoch=1, scores=dict(match=dict(value="C"))), "qwen-math": dict(idx=1, score=[True]),
    "verl": dict(input="a", output="x", score=1.), "verifiers": dict(example_id=1, prompt="a", completion="x", reward=1.), "trl": dict(step=1, prompt="a", completion="x", reward=1.),
    "verifiers-traces": dict(env={}, task=dict(key="a"), traces=[dict(rewards=dict(correct=dict(score=1.)))]), "nemo-skills": dict(id="a", generation="x", symbolic_correct=True),
    "lighteval": dict(doc=dict(id="a"), model_response={}, metric=dict(em=1)), "evalscope": dict(index=1, sample_score=dict(group_id=1, score=dict(value=dict(acc=1.)))),
    "opencompass": dict(example_abbr="a", correct=[True]), "matharena": dict(idx=1, answers=["4"], correct=[True], gold_answer="4"),
    "helm": dict(instance_id="a", train_trial_index=0, stats=[dict(name=dict(name="exact_match"), mean=1.)]),
    "promptfoo": dict(testIdx=1, success=True, promptIdx=0, vars={}), "swe-bench": dict(instance_id="a", resolved=True)}


@pytest.mark.parametrize("name", evallog.FORMATS)
def test_records_that_lack_a_field_or_hold_something_odd(name, tmp_path):
    "Whatever stands in the place of a field of a named format, the record is read or a `LogError` names the file."
    path, correct = tmp_path / "log.jsonl", "reward" if name == "trl" else None
    def read(record):
        path.write_text(json.dumps(record) + "\n")
        return read_log(path, format=name, correct=correct)
    assert read(RECORDS[name]).values.tolist()[0][-2] == 1
    odd = [None, True, 1.5, -1, float("inf"), float("nan"), 10**400, "", "x", "\ud800", [], [[]], [{}], {}, {"x": 1}, {"x": ["value"]}]
    for field in RECORDS[name]:
        without = {k: v for k, v in RECORDS[name].items() if k != field}
        for record in [without, *(without | {field: value} for value in odd)]:
            try: table = read(record)
            except LogError as error: assert str(error).startswith(str(path))
            else: assert table.n_samples.tolist()[0] >= 1


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_what_is_not_a_file(name, tmp_path):
    with pytest.raises(LogError, match="no such file|a folder"): read_log(tmp_path / name)


def test_skipping_goes_on_and_counts(tmp_path):
    "Everything around the invalid records is kept, also after a line that is too long."
    path, skipped = tmp_path / "a.jsonl", Counter()
    path.write_bytes(LINE + b"{\n\xff\n" + b"x" * (records.LINE_LIMIT + 1) + b'\n{"idx": 1, "score": [2]}\n{"idx": 2, "score": [1]}\n' + LINE)
    assert read_log(path, skipped=skipped).values.tolist() == [["0", 1, 2], ["2", 1, 1]]
    assert skipped == {"broken JSON": 1, "not UTF-8": 1, "line too long": 1, "not a verdict": 1, "duplicated sample": 1}
    path.write_bytes(b"{\n{\n")
    with pytest.raises(LogError, match="no record"): read_log(path, skipped=Counter())


def test_logs_of_one_model_are_added_up(tmp_path):
    for seed, verdicts in enumerate([[1, 0], [1, 1]]):
        records = dict(idx="a", score=verdicts), dict(idx=seed, score=[0])
        (tmp_path / f"seed{seed}.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "counts.csv").write_text("problem,n_correct,n_samples\na,1,2\n")
    (tmp_path / "models.csv").write_text("model,problem,n_correct,n_samples\nm,a,1,2\nn,a,2,2\n")
    (tmp_path / "more.csv").write_text("model,problem,n_correct,n_samples\nm,a,4,4\n")
    seeds = [tmp_path / "seed0.jsonl", tmp_path / "seed1.jsonl"]
    assert read_logs(seeds, ["m", "m"])["m"].values.tolist() == [["a", 3, 4], ["0", 0, 1], ["1", 0, 1]]
    assert list(read_logs(seeds)) == ["seed0", "seed1"]
    merged = read_logs([tmp_path / "models.csv", tmp_path / "more.csv"])
    assert {name: t.values.tolist() for name, t in merged.items()} == {"m": [["a", 5, 6]], "n": [["a", 2, 2]]}
    with pytest.raises(LogError, match="mixed formats"): read_logs([seeds[0], tmp_path / "counts.csv"], ["m", "m"])
    with pytest.raises(LogError, match="duplicated samples.*equals"): read_logs([seeds[0], seeds[1], seeds[0]], ["m", "m", "n"])
    with pytest.raises(LogError, match="leave out its label"): read_logs([tmp_path / "models.csv"], ["x"])
    assert list(read_logs([tmp_path / "more.csv"], ["x"])) == ["x"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/counts.csv").write_text("problem,n_correct,n_samples\na,2,2\n")
    assert list(read_logs([tmp_path / "counts.csv", tmp_path / "other/counts.csv"])) == [str(tmp_path / "counts.csv"), str(tmp_path / "other/counts.csv")]


@pytest.mark.parametrize("module, name, extra", [("pyarrow.parquet", "completions_00010.parquet", "parquet"), ("backports.zstd", "inspect.eval", "inspect")])
def test_missing_extras_are_named(module, name, extra, logs):
    path, options, _ = logs[name]
    code = f"import sys; sys.modules[{module!r}] = None\nfrom pgpost.evallog import read_log\nread_log({str(path)!r}, **{options!r})"
    result = run(sys.executable, "-c", code)
    if extra == "inspect" and sys.version_info >= (3, 14): assert result.returncode == 0
    else: assert f"pip install 'pgpost[{extra}]'" in result.stderr and "LogError" in result.stderr


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), st.lists(st.booleans(), min_size=1, max_size=5), min_size=1))
def test_any_names_and_verdicts_survive_the_way_through_a_file(verdicts):
    import tempfile
    expected = sorted([p, sum(v), len(v)] for p, v in verdicts.items())
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp, "log")
        path.write_text("".join(json.dumps(dict(idx=p, score=v), ensure_ascii=False) + "\n" for p, v in verdicts.items()), encoding="utf-8", newline="")
        assert sorted(read_log(path).values.tolist()) == expected
        path.write_text(json.dumps([dict(idx=p, score=v) for p, v in verdicts.items()], indent=1), encoding="utf-8")
        assert sorted(read_log(path).values.tolist()) == expected
        path.with_suffix(".jsonl").write_text("".join(json.dumps(dict(task_id=p, passed=v)) + "\n" for p, vs in verdicts.items() for v in vs), encoding="utf-8")
        assert sorted(read_log(path.with_suffix(".jsonl")).values.tolist()) == expected


@pytest.mark.parametrize("content, message", [
    (b"[-1, 0.5]\n", "line 1: not log-probabilities"), (b"[]\n", "line 1: not log-probabilities"), (b"[-1]\n[NaN]\n", "line 2: not log-probabilities"),
    (b"[true]\n", "not log-probabilities"), (b'{"problem": "a", "steps": [1, 0.5]}\n', "line 1: not verdicts"), (b'{"steps": [1]}\n', "missing field: 'problem'"),
    (b'[-1]\n{"problem": "a", "steps": [1]}\n', "line 2: mixed formats"), (b"3\n", "line 1: not a record"), (b"", "empty"), (b'{"a": 1}\n', "missing field"),
])
def test_steps_that_are_wrong(content, message, tmp_path):
    (tmp_path / "steps.jsonl").write_bytes(content)
    with pytest.raises(LogError, match=message): read_steps(tmp_path / "steps.jsonl")


def test_damaged_logs_give_clean_errors(logs, tmp_path):
    "A small version of `python tests/helpers/fuzz_evallog.py`: whatever happens to the bytes, a table of possible counts or a `LogError` comes out."
    seen = Counter(outcome(path, options, tmp_path / f"x{path.suffix}", content) for path, options, _ in logs.values()
                   for content in mutations(path.read_bytes(), 15, np.random.default_rng(0)))
    assert seen["table"] > 0 and seen["error"] > 0 and set(seen) == {"table", "error"}


def test_records_without_a_model_among_others_with_one_are_not_lost(tmp_path):
    path = tmp_path / "counts.jsonl"
    path.write_text('{"model": "m", "problem": "a", "n_correct": 1, "n_samples": 2}\n{"problem": "b", "n_correct": 2, "n_samples": 2}\n')
    with pytest.raises(LogError, match="counts.*: model missing: 1 of 2 problems have none"): read_logs([path])


def test_tables_carry_their_warnings(logs):
    path, options, _ = logs["counts.csv"]
    assert read_log(path, **options).attrs["warnings"] == []
    table = read_logs([path], **options)["base"]
    assert table.attrs == dict(format="csv", warnings=count_warnings(table.n_correct, table.n_samples)) and "samples a problem tell" in table.attrs["warnings"][0]


def dumped(path, records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def lm_eval_record(resps, **fields):
    "A document of lm-evaluation-harness, with answers as a list for each request."
    return dict(doc_id=0, doc=dict(question="..."), target="4", resps=resps, filtered_resps=["4"], filter="none", metrics=[f for f in fields if f != "metrics"]) | fields


# 30 problems, eight times, under 240 names
X8 = [dict(idx=i, question=f"What is {i % 30}?", gt=str(i % 30), pred=["4"], score=[i % 3 == 0]) for i in range(240)]


def test_a_data_set_that_was_repeated_is_put_together(tmp_path):
    path = dumped(tmp_path / "test_aime24x8.jsonl", X8)
    table = read_log(path)
    assert (len(table), set(table.n_samples), table.n_correct.sum(), list(table.problem[:2])) == (30, {8}, 80, ["0", "1"])
    (said,) = table.attrs["warnings"]
    assert "240 values of 'idx' hold 30 different values of 'question'" in said and "--key idx,question keeps them apart" in said
    assert len(read_log(path, key="idx,question")) == 240 and read_log(path, key="idx,question").attrs["warnings"] == []
    by_question = read_log(path, key="question")
    assert set(by_question.n_samples) == {8} and by_question.n_correct.tolist() == table.n_correct.tolist()
    with pytest.raises(LogError, match="repeated problems: 240 values of 'idx' hold 30 .* --key question takes .*, --key idx,question keeps"): read_log(path, key="idx")


@pytest.mark.parametrize("text", ["question", "problem", "prompt", "input"])
def test_other_records_with_the_text_of_a_repeated_problem_are_refused(text, tmp_path):
    path = dumped(tmp_path / "own.jsonl", [{"id": r["idx"], text: r["question"], "good": r["score"][0]} for r in X8])
    with pytest.raises(LogError, match=f"repeated problems.*--key {text}"): read_log(path, key="id", correct="good")
    assert read_log(path, key=text, correct="good").n_samples.tolist() == [8] * 30
    assert read_log(path, key=f"id,{text}", correct="good").n_samples.tolist() == [1] * 240


def test_equal_texts_that_are_no_repetition(tmp_path):
    "A text that all records share is no problem's; equal texts with different right answers are different problems; a few equal ones are said."
    constant = dumped(tmp_path / "constant.jsonl", [r | dict(question="You are helpful.") for r in X8])
    assert len(read_log(constant)) == 240 and read_log(constant).attrs["warnings"] == []
    answers = dumped(tmp_path / "answers.jsonl", [r | dict(gt=str(r["idx"])) for r in X8])
    assert len(read_log(answers)) == 240
    few = dumped(tmp_path / "few.jsonl", X8[:32])
    assert len(read_log(few)) == 32 and "32 values of 'idx' hold 30 different values" in read_log(few).attrs["warnings"][0]
    templates = dumped(tmp_path / "templates.jsonl", [dict(id=i, prompt=f"Subject {i % 7}", good=1) for i in range(100)])
    assert len(read_log(templates, key="id", correct="good")) == 100 and "hold 7 different values of 'prompt'" in read_log(templates, key="id", correct="good").attrs["warnings"][0]


def test_a_key_makes_samples_of_several_records(tmp_path):
    records = [dict(idx=i, question=f"q{i // 2}", score=[i % 2]) for i in range(8)]
    path = dumped(tmp_path / "log.jsonl", [dict(idx=0, score=[1]), dict(idx=0, score=[0])])
    with pytest.raises(LogError, match="duplicated sample.*--key idx takes several records"): read_log(path)
    assert read_log(path, key="idx").values.tolist() == [["0", 1, 2]]
    assert read_log(dumped(path, records), key="question").values.tolist() == [[f"q{i}", 1, 2] for i in range(4)]


def test_inspect_samples_of_equal_input(tmp_path):
    samples = [dict(id=i, epoch=1, input=f"q{i % 5}", target="4", scores=dict(match=dict(value="C"))) for i in range(20)]
    (tmp_path / "log.json").write_text(json.dumps(dict(samples=samples)))
    assert read_log(tmp_path / "log.json").n_samples.tolist() == [4] * 5


def test_several_answers_with_one_verdict(tmp_path):
    path = tmp_path / "samples.jsonl"
    answers = [["a", "b", "c", "d"]]
    one = read_log(dumped(path, [lm_eval_record(answers, exact_match=1.)]))
    assert one.values.tolist() == [["0", 1, 1]] and one.attrs["warnings"][0].startswith("4 answers a record, but 1 verdict:")
    both = dumped(path, [lm_eval_record(answers, exact_match=1, exact_matches=[1, 0, 0, 1])])
    assert read_log(both).values.tolist() == [["0", 2, 4]] and read_log(both).attrs["warnings"] == []
    assert read_log(both, correct="exact_match").values.tolist() == [["0", 1, 1]] and "4 answers" in read_log(both, correct="exact_match").attrs["warnings"][0]
    qwen = dumped(path, [dict(idx=0, pred=["1", "2"], score=[True])])
    assert "2 answers a record" in read_log(qwen).attrs["warnings"][0]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_gives_the_count_or_is_refused(drawn):
    "The estimate as HumanEval's script computes it gives back c, unless another c gives the same."
    n, c, k = drawn
    def estimate(c): return 1. if n - c < k else float(1 - np.prod(1 - k / np.arange(n - c + 1, n + 1)))
    same = [other for other in range(n + 1) if abs(estimate(other) - estimate(c)) < 1e-9]
    if len(same) == 1: assert verdict.correct_from_pass_at(estimate(c), k, n) == c
    else:
        with pytest.raises(LogError, match="does not tell how many"): verdict.correct_from_pass_at(estimate(c), k, n)


def test_fractions_of_a_known_number_of_answers(tmp_path):
    path, answers = tmp_path / "samples.jsonl", [["a"] * 10]
    def read(record, **options): return read_log(dumped(path, [record]), **options).values.tolist()
    assert read(lm_eval_record(answers, **{"pass@1": .3})) == [["0", 3, 10]] and read(lm_eval_record(answers, **{"pass@1": 1.})) == [["0", 10, 10]]
    assert read(lm_eval_record(answers, **{"pass@8": 1 - 9 / 45, "pass@2": 1 - 36 / 45})) == [["0", 1, 10]]
    with pytest.raises(LogError, match="line 1: not a verdict: pass@1 of 10 answers is wanted, no number of correct ones gives 0.35"): read(lm_eval_record(answers, **{"pass@1": .35}))
    with pytest.raises(LogError, match=r"pass@2 = 1 of 10 answers does not tell how many are correct, 9 or more"): read(lm_eval_record(answers, **{"pass@2": 1.}))
    for value in float("nan"), float("inf"), 10**400, -1, 2:
        with pytest.raises(LogError, match="no number of correct ones gives"): read(lm_eval_record(answers, **{"pass@1": value}))
    with pytest.raises(LogError, match="not a verdict"): read(lm_eval_record(answers, **{f"pass@{'9' * 5000}": .5}))
    with pytest.raises(LogError, match="k = 20"): read(lm_eval_record(answers, **{"pass@20": 1.}))
    assert read(dict(doc=dict(id=3), metric={"pass@k:k=1&n=16": .25}), key="doc.id", correct="metric.pass@k:k=1&n=16") == [["3", 4, 16]]
    assert read(lm_eval_record(answers, **{"pass@1": .3}), threshold=.2) == [["0", 1, 1]]


def test_lm_eval_metrics_that_are_null_unnamed_or_of_choices(tmp_path):
    path, records = tmp_path / "samples.jsonl", [lm_eval_record([["4"]], acc=v) | dict(doc_id=i) for i, v in enumerate([1., None])]
    with pytest.raises(LogError, match="line 2: not a verdict.*got None; --skip-invalid leaves"): read_log(dumped(path, records))
    skipped = Counter()
    assert len(read_log(path, skipped=skipped)) == 1 and skipped == {"not a verdict": 1}
    old = [{k: v for k, v in lm_eval_record([["4"]]).items() if k != "metrics"} | dict(doc_id=i, target_hash="0", exact_match=i) for i in (0, 1)]
    assert read_log(dumped(path, old)).values.tolist() == [["0", 0, 1], ["1", 1, 1]]
    with pytest.raises(LogError, match="one metric is wanted, chosen with --correct, there are 'exact_match', 'f1'"): read_log(dumped(path, [old[0] | dict(f1=.5)]))
    choices = dumped(path, [lm_eval_record([[["-1", "False"]]] * 4, acc=1.)])
    assert "multiple choice (4 choices)" in read_log(choices).attrs["warnings"][0] and "--chance 0.25" in read_log(choices).attrs["warnings"][0]
    assert read_log(dumped(path, [lm_eval_record([[["-1", "True"]]], acc=1.)])).attrs["warnings"] == []


def inspect_log(path, samples):
    path.write_text(json.dumps(dict(version=2, status="success", plan={}, eval={}, samples=samples)))
    return path


def test_inspect_samples_without_a_score(tmp_path):
    path, scored = tmp_path / "log.json", dict(id="a", epoch=1, messages=[], scores=dict(match=dict(value="C")))
    failed = dict(id="a", epoch=2, messages=[], error=dict(message="RuntimeError: out of tokens", traceback="..."), scores={})
    limited = dict(id="a", epoch=3, messages=[], limit=dict(type="token", limit=100))
    for sample, message in (failed, "sample 1: ended in an error: .*'RuntimeError: out of tokens'.*--skip-invalid.*--errors-wrong"), (limited, "sample 1: ended at a limit: .*'token'"):
        with pytest.raises(LogError, match=message): read_log(inspect_log(path, [scored, sample]))
    inspect_log(path, [scored, failed, limited])
    skipped = Counter()
    assert read_log(path, skipped=skipped).values.tolist() == [["a", 1, 1]] and skipped == {"ended in an error": 1, "ended at a limit": 1}
    wrong = read_log(path, errors_wrong=True)
    assert wrong.values.tolist() == [["a", 1, 3]] and wrong.attrs["warnings"] == ["2 samples that ended in an error or at a limit count as wrong"]
    assert read_log(inspect_log(path, [failed | scored])).values.tolist() == [["a", 1, 1]]
    with pytest.raises(LogError, match="sample 0: no score: .*inspect score"): read_log(inspect_log(path, [dict(id="a", epoch=1, messages=[])]), errors_wrong=True)
    with pytest.raises(LogError, match="no samples: .*status is 'success'"): read_log(inspect_log(path, []))


def test_inspect_parts_choices_and_grades(tmp_path):
    def read(*values, name="s", options=None, **fields):
        samples = [dict(id="a", epoch=i, scores={name: dict(value=v)}) | fields for i, v in enumerate(values)]
        return read_log(inspect_log(tmp_path / "log.json", samples), **(options or {}))
    parts = dict(easy=1, hard=0)
    with pytest.raises(LogError, match="one part of a score is wanted, chosen with --correct, there are 's.easy', 's.hard'"): read(parts)
    assert read(parts, options=dict(correct="s.hard")).values.tolist() == [["a", 0, 1]]
    assert read(parts, name="v1.2", options=dict(correct="v1.2.easy")).values.tolist() == [["a", 1, 1]]
    with pytest.raises(LogError, match="'s.nothing'|'nothing' is wanted, there are 'easy', 'hard'"): read(parts, options=dict(correct="s.nothing"))
    with pytest.raises(LogError, match="not a verdict.*got a list"): read([1, 0])
    assert "multiple choice: likelihoods include guessing" in read("C", name="choice").attrs["warnings"][0]
    assert "(4 choices)" in read("C", choices=list("ABCD")).attrs["warnings"][0] and read("C", choices=None).attrs["warnings"] == []
    assert "scores of s are decimal numbers" in read(0., 1.).attrs["warnings"][0] and read(0, 1).attrs["warnings"] == [] and read(0., options=dict(threshold=.5)).attrs["warnings"] == []


def test_rewards_that_do_not_apply_are_left_out(tmp_path):
    path = dumped(tmp_path / "completions.jsonl", [dict(step=1, prompt="a", completion="x", accuracy=v) for v in (1., None, 0.)])
    table = read_log(path, correct="accuracy")
    assert table.values.tolist() == [["1 / a", 1, 2]] and table.attrs["warnings"] == ["1 records, in which accuracy does not apply (None), are left out"]


def test_verifiers_results(tmp_path):
    path = dumped(tmp_path / "results.jsonl", [dict(id=0, prompt=[dict(role="user", content="q")], completion=[], answer="4", reward=r) for r in (1., 0.)])
    assert read_log(path).values.tolist() == [["0", 1, 2]] and read_log(path).attrs["format"] == "verifiers"


@pytest.mark.parametrize("name, content, message", [
    ("a.jsonl", LINE + b'{"idx": 1}\n', "line 2: missing field.*; --skip-invalid leaves such records out"),
    ("a.jsonl", LINE + b'{"passed": 0.9}\n', "line 2: missing field.*; --skip-invalid leaves such records out"),
    ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a.parquet: a Git LFS pointer: .*git lfs pull"),
    ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
    ("a.jsonl", b'{"task_id": "a", "completion": "x"}\n', "have these answers been judged"),
    ("a.jsonl", b'{"id": "a", "symbolic_correct": true}\n', "perhaps --key id --correct symbolic_correct"),
    ("a.json", b'[["return 1"]]', "entry 0: not a record: .*judged"),
])
def test_messages_that_say_what_to_do(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=message): read_log(tmp_path / name)


def test_a_message_names_skipping_only_where_it_helps(tmp_path):
    for lines in b'{"idx": 1}\n', LINE + b'{"idx": 1, "score": [0.5]}\n', LINE + LINE:
        (tmp_path / "a.jsonl").write_bytes(lines)
        with pytest.raises(LogError) as error: read_log(tmp_path / "a.jsonl", format="qwen-math")
        assert "--skip-invalid" not in str(error.value)


def test_a_zip_of_something_else(tmp_path):
    import zipfile
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file: file.writestr("outputs/a.jsonl", "{}")
    with pytest.raises(LogError, match="a zip, but not an Inspect log: unzip it"): read_log(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as file: file.writestr("header.json", '{"status": "error"}')
    with pytest.raises(LogError, match="no samples: .*status is 'error'"): read_log(tmp_path / "a.eval")


def test_evalplus_before_version_0_2(tmp_path):
    tasks = {"a": dict(nfiles=2, base=[["success", []], ["failed", []]], plus=[["failed", []], ["failed", []]]), "b": dict(nfiles=1, base=[["timed out", []]], plus=None)}
    (tmp_path / "a_eval_results.json").write_text(json.dumps(dict(date="2023", hash="0", eval=tasks)))
    assert read_log(tmp_path / "a_eval_results.json").values.tolist() == [["a", 1, 2], ["b", 0, 1]]
    tasks["b"]["plus"] = [["success", []]]
    (tmp_path / "a_eval_results.json").write_text(json.dumps(dict(date="2023", hash="0", eval=tasks)))
    assert read_log(tmp_path / "a_eval_results.json", correct="plus_status").values.tolist() == [["a", 0, 2], ["b", 0, 1]]


def packers():
    import bz2
    import gzip
    zstd = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    return {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd.compress}


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
def test_compressed_logs(ending, logs, tmp_path):
    "By content, not by name; a damaged or cut one is an error with its place, also when invalid records are skipped."
    pack = packers()[ending]
    for name, (path, options, content) in logs.items():
        if path.suffix in (".eval", ".parquet", ".gz"): continue
        for packed in tmp_path / f"{name}{ending}", tmp_path / name:
            packed.write_bytes(pack(path.read_bytes()))
            assert read_log(packed, **options).values.tolist() == content
    lines = b"".join(json.dumps(dict(idx=i, pred=[str(np.random.default_rng(i).random())], score=[1])).encode() + b"\n" for i in range(5_000))
    whole = pack(lines)
    half = len(whole) // 2
    for damaged in whole[:-2], whole[:half], whole[:half] + bytes(100) + whole[half + 100:]:
        packed.write_bytes(damaged)
        with pytest.raises(LogError, match=r"from line \d+ on: damaged: a complete file is wanted"): read_log(packed, skipped=Counter(), format="qwen-math")
        with pytest.raises(LogError, match=r"line \d+"): read_log(packed, format="qwen-math")
    for name in "inspect.eval", "packed_results.jsonl.gz":
        packed.write_bytes(pack(logs[name][0].read_bytes()))
        with pytest.raises(LogError, match="packed twice"): read_log(packed)


def said_of_records(table):
    "The warnings of a table, but for those that its counts give."
    return [sentence for sentence in table.attrs["warnings"] if sentence not in count_warnings(table.n_correct, table.n_samples)]


def test_folders(tmp_path):
    "All logs in the order of their numbers; one model if they are on the same problems; what is no log is left out, and that is said."
    folder = tmp_path / "base"
    folder.mkdir()
    for seed in (10, 2, 1): dumped(folder / f"output-rs{seed}.jsonl", [dict(idx=i, question=f"q{i}", score=[seed == 2], pred=[seed]) for i in (0, 1)])
    (folder / "README.md").write_text("# Results")
    (folder / "summary.json").write_text('{"accuracy": 0.33}')
    (folder / "plot.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.jsonl").write_text("no log")
    models = read_logs([folder])
    assert list(models) == ["base"] and models["base"].values.tolist() == [["0", 1, 3], ["1", 1, 3]]
    one, left = said_of_records(models["base"])
    assert "the 3 logs in" in one and "one model" in one and left == f"left out, since they are no logs or cannot be read: {folder / 'README.md'}, {folder / 'plot.png'}, {folder / 'summary.json'}"
    assert list(read_logs([folder], "m")) == ["m"] and said_of_records(read_logs([folder], "m")["m"]) == [left]
    dumped(folder / "output-rs3.jsonl", [dict(idx=0, question="another", score=[1]), dict(idx=1, question="q1", score=[1])])
    apart = read_logs([folder])
    assert list(apart) == [f"output-rs{i}" for i in (1, 2, 3, 10)] and "each taken as a model" in said_of_records(apart["output-rs1"])[0]
    assert read_logs([folder], ["m"])["m"].n_samples.tolist() == [4, 4]
    dumped(folder / "output-rs4.jsonl", [dict(idx=0, score=[1]), dict(idx=1)])
    with pytest.raises(LogError, match="output-rs4.jsonl, line 2: missing field"): read_logs([folder])
    with pytest.raises(LogError, match="output-rs1.jsonl, line 1: missing field: 'id' is wanted"): read_logs([folder], key="id", correct="score")
    (folder / "output-rs4.jsonl").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(LogError, match="a Git LFS pointer: .*; --skip-invalid leaves such files out"): read_logs([folder], "m")
    skipped = Counter()
    assert read_logs([folder], "m", skipped=skipped)["m"].n_samples.tolist() == [4, 4] and skipped == {"a Git LFS pointer": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match="empty: no log: a folder with logs is wanted"): read_logs([tmp_path / "empty"])


def test_folders_of_folders_and_of_steps(tmp_path):
    for model in "a", "b":
        (tmp_path / model).mkdir()
        for seed in (0, 1): dumped(tmp_path / model / f"s{seed}.jsonl", [dict(idx=0, question="q", score=[model == "b"])] + [dict(idx=1, question="r", score=[seed])])
    assert {name: t.values.tolist() for name, t in read_logs([tmp_path]).items()} == {"a": [["0", 0, 2], ["1", 1, 2]], "b": [["0", 2, 2], ["1", 1, 2]]}
    for model in "a", "b":
        for name in "README.md", "settings.json": (tmp_path / model / name).write_text('{"temperature": 1}')  # equal files that are no logs are no matter
    assert list(read_logs([tmp_path / "a", tmp_path / "b"], ["x", "y"])) == ["x", "y"]
    steps = tmp_path / "rollouts"
    steps.mkdir()
    for step in (2, 10): dumped(steps / f"{step}.jsonl", [dict(input="q", output="x", gts="4", score=1., step=step)])
    assert list(read_logs([steps])) == ["2", "10"]
    for name in "m", "n": inspect_log(steps / f"{name}.json", [dict(id=1, epoch=1, output=dict(model=name), scores=dict(s=dict(value="C")))])
    assert list(read_logs([steps])) == ["2", "10", "m", "n"]


def test_one_label_for_all_logs_and_logs_given_twice(tmp_path):
    import gzip
    paths = [dumped(tmp_path / f"{i}.jsonl", [dict(idx=0, score=[i, 1])]) for i in (0, 1)]
    assert read_logs(paths, "m")["m"].values.tolist() == [["0", 3, 4]] and list(read_logs(paths, ["m"])) == ["m"]
    with pytest.raises(ValueError, match="one label for all, or one for each of 2 logs, is wanted, got 3"): read_logs(paths, ["a", "b", "c"])
    packed = tmp_path / "0.jsonl.gz"
    packed.write_bytes(gzip.compress(paths[0].read_bytes()))
    assert list(read_logs([packed])) == ["0"]
    with pytest.raises(LogError, match="duplicated samples"): read_logs([paths[0], packed])
    with pytest.raises(LogError, match="duplicated samples"): read_logs([tmp_path, paths[1]], "m")


# logs of further tools, and paths into any others


def test_paths_into_lists_and_objects(tmp_path):
    nested = dict(id="a", runs=[dict(seeds=[dict(ok=1), dict(ok=0)]), dict(seeds=[dict(ok=1)])], verdicts={"0": True, "1": False}, lists=[[1, 0], [1]])
    path = dumped(tmp_path / "log.jsonl", [nested])
    def read(correct, **options): return read_log(path, key="id", correct=correct, **options).values.tolist()
    assert read("runs[].seeds[].ok") == read("runs.*.seeds.*.ok") == read("lists[][]") == [["a", 2, 3]]
    assert read("verdicts.*") == [["a", 1, 2]] and read("runs.0.seeds[].ok") == [["a", 1, 2]]
    for correct, message in [("runs[].seeds[].verdict", "missing field: 'runs..*verdict' is wanted, there are 'id', 'runs'"), ("id[].x", "missing field"),
                             ("verdicts", "got a dict; `.*` at the end of its name takes all of its entries"), ("lists", "got a list")]:
        with pytest.raises(LogError, match=message): read(correct)
    dumped(path, [nested | {"runs": []}])
    with pytest.raises(LogError, match="an empty one"): read("runs[].ok")


@pytest.mark.parametrize("n", [1, 3, 7, 16, 64, 1000])
@pytest.mark.parametrize("digits", [None, 4, 3])
def test_shares_give_back_the_counts(n, digits, tmp_path):
    "Exact ones, and rounded ones as long as the digits tell."
    counts = range(n + 1)
    shares = [c / n if digits is None else round(c / n, digits) for c in counts]
    path = dumped(tmp_path / "log.jsonl", [dict(id=c, rate=r) for c, r in enumerate(shares)])
    assert read_log(path, key="id", correct="pass@1|rate", samples=n).n_correct.tolist() == list(counts)


def test_counts_in_named_fields(tmp_path):
    path = tmp_path / "log.jsonl"
    def read(records, **options): return read_log(dumped(path, records), key="id", **options)
    records = [dict(id="a", right=3, tries=16), dict(id="b", right=0, tries=8), dict(id="a", right=1., tries=4)]
    assert read(records, correct="right", samples="tries").values.tolist() == [["a", 4, 20], ["b", 0, 8]]
    ones = read([dict(id="a", right=1), dict(id="b", right=0)], correct="right", samples="16")
    assert ones.values.tolist() == [["a", 1, 16], ["b", 0, 16]] and "all counts are 0 or 1" in ones.attrs["warnings"][0] and "'pass@1|right'" in ones.attrs["warnings"][0]
    assert read([dict(id="a", right=1), dict(id="b", right=.25)], correct="pass@1|right", samples=16).n_correct.tolist() == [16, 4]  # 1 is all of them
    for record, samples, message in [(dict(right=.25), 16, "a number of correct answers is wanted in 'right', got 0.25; if it is the share of them: --correct 'pass@1|right'"),
                                     (dict(right=17), 16, "impossible counts.*got 17 of 16"), (dict(right=True), 16, "impossible counts"), (dict(right=[1]), 16, "impossible counts"),
                                     (dict(right=1, tries=0), "tries", "a number of answers from 1 to 1,000,000 is wanted in 'tries', got 0"),
                                     (dict(right=1, tries="many"), "tries", "got 'many'"), (dict(right=1), "tries", "missing field: 'tries' is wanted")]:
        with pytest.raises(LogError, match=message) as error: read([dict(id="a", **record)], correct="right", samples=samples)
        assert "line 1" in str(error.value)
    (tmp_path / "log.csv").write_text("task,solved,runs\na,3,16\nb,0,16\n")
    assert read_log(tmp_path / "log.csv", key="task", correct="solved", samples="runs").values.tolist() == [["a", 3, 16], ["b", 0, 16]]


def test_a_folder_of_one_file_a_problem(tmp_path):
    from logs import matharena
    for i in (1, 2, 10): (tmp_path / f"{i}.json").write_text(matharena().replace('"idx": 7', f'"idx": {i}').replace('"problem": "..."', f'"problem": "p{i}"'))
    models = read_logs([tmp_path])
    assert {name: t.values.tolist() for name, t in models.items()} == {tmp_path.name: [["1", 2, 3], ["2", 2, 3], ["10", 2, 3]]}
    assert "the 3 logs in" in said_of_records(models[tmp_path.name])[0] and "each on one problem" in said_of_records(models[tmp_path.name])[0]


def test_errors_of_the_run_are_no_answers(tmp_path):
    "Of promptfoo, SWE-bench and verifiers: refused, left out or counted as wrong, as the user says."
    from logs import promptfoo, swe_bench
    foo = json.loads(promptfoo())
    foo["results"]["results"][0].update(success=False, failureReason=2, error="API error: 429")
    swe = json.loads(swe_bench()) | dict(error_ids=["a/3"])
    rollout = dict(example_id=0, prompt="q", completion="x", reward=0., error="InfraError()")
    episodes = [dict(env={}, task=dict(key="a"), traces=[dict(rewards=rewards)], errors=[dict(type="ModelError")]) for rewards in ({"ok": dict(score=1.)}, {})]
    for name, content, left, wrong in [("a.json", json.dumps(foo), (1, 5), (1, 6)), ("b.json", json.dumps(swe), (1, 2), (1, 3)),
                                       ("c.jsonl", "\n".join(map(json.dumps, [rollout | dict(reward=1., error=None), rollout])), (1, 1), (1, 2)),
                                       ("d.jsonl", "\n".join(map(json.dumps, episodes)), (1, 1), (1, 2))]:
        (tmp_path / name).write_text(content)
        with pytest.raises(LogError, match="ended in an error: .*--skip-invalid leaves such answers out, --errors-wrong counts them as wrong"): read_log(tmp_path / name)
        for options, expected in (dict(skipped=Counter()), left), (dict(errors_wrong=True), wrong):
            table = read_log(tmp_path / name, **options)
            assert (table.n_correct.sum(), table.n_samples.sum()) == expected


def test_measures_to_choose_from(tmp_path):
    "Of HELM, EvalScope, lighteval, NeMo-Skills and verifiers: the only one, or the one that is named, or a message with all that there are."
    def helm(trial, **extra): return dict(instance_id="a", train_trial_index=trial, stats={"num_prompt_tokens": 3., "exact_match": 1., "quasi_exact_match": 0.}, **extra)
    for name, record, correct, message in [
            ("helm", helm(0), "quasi_exact_match", "there are 'exact_match', 'quasi_exact_match'"),
            ("evalscope", dict(index=1, sample_score=dict(group_id=1, score=dict(value=dict(strict=1., loose=0.)))), "loose", "there are 'strict', 'loose'"),
            ("lighteval", dict(doc=dict(id="1"), model_response={}, metric=dict(em=1, f1=0)), "f1", "there are 'em', 'f1'"),
            ("nemo", dict(id=1, generation="x", symbolic_correct=True, judge_correct=False), "judge_correct", "there are 'symbolic_correct', 'judge_correct'"),
            ("traces", dict(env={}, task=dict(key="a"), traces=[dict(rewards=dict(ok=dict(score=1.), style=dict(score=0.)))]), "style", "there are 'ok', 'style'")]:
        path = dumped(tmp_path / f"{name}.jsonl", [record])
        with pytest.raises(LogError, match=f"one measure is wanted, chosen with --correct, {message}"): read_log(path)
        with pytest.raises(LogError, match="missing field: the measure 'nothing' is wanted"): read_log(path, correct="nothing")
        assert read_log(path, correct=correct)[["n_correct", "n_samples"]].values.tolist() == [[0, 1]]
    path = dumped(tmp_path / "log.jsonl", [helm(0), helm(1), helm(0, perturbation=dict(name="robustness"))])
    with pytest.raises(LogError, match="one perturbation.name is wanted, chosen with --correct .*; there are 'None', 'robustness'"): read_log(path, correct="exact_match")
    assert read_log(path, correct="exact_match,None").values.tolist() == [["a", 2, 2]]


def test_the_table_of_formats():
    "A row for each, in which nothing is missing, and no field of a verdict that is not looked for."
    table = verdict.known_formats()
    assert list(table.index) == list(verdict.FORMATS) and list(table) == ["tool", "file", "problem", "verdict", "watch for"]
    assert table[["tool", "file", "problem", "verdict"]].map(bool).all(axis=None) and table.tool.is_unique


# real logs, which are beside the checkout where there are any: problems, samples and correct ones, counted with json and pandas; or what is said of the file
NEMO, GSM8K, IFEVAL = dict(key="id", correct="symbolic_correct"), dict(key="index", correct="sample_score.score.value.acc"), dict(key="index", correct="sample_score.score.value.prompt_level_strict")
REAL = [
    ("bigcode/humaneval_eval_gens.json", {}, "entry 0: not a record: .*have not been judged"),
    ("evalplus/burak_samples_eval_results.json", {}, (164, 164, 0)),
    ("evalplus/julien_rd_gene_1_1samples_eval_results.json", {}, (164, 164, 98)),
    ("evalscope/qwen-plus_gsm8k_main.jsonl", {}, (10, 10, 10)),
    ("evalscope/qwen3-max_ifeval_default.jsonl", {}, (10, 10, 8)),
    ("evalscope/qwen3-max_ifeval_default.jsonl", dict(correct="inst_level_strict", threshold=1), (10, 10, 8)),
    ("evalscope/qwen-plus_gsm8k_main.jsonl", GSM8K, (10, 10, 10)),
    ("evalscope/qwen3-max_gsm8k_main.jsonl", GSM8K, (10, 10, 10)),
    ("evalscope/qwen-plus_ifeval_default.jsonl", IFEVAL, (10, 10, 9)),
    ("evalscope/qwen3-max_ifeval_default.jsonl", IFEVAL, (10, 10, 8)),
    ("humaneval/claire_before_samples2.jsonl_results.jsonl", {}, (50, 50, 32)),
    ("humaneval/claire_pair2_samples_pair.results.jsonl", {}, (8, 8, 0)),
    ("humaneval/claire_samples_multi.jsonl_results.jsonl", {}, (164, 166, 89)),
    ("humaneval/cursor_claude_claude-v1.3.jsonl", {}, "have these answers been judged"),
    ("humaneval/cursor_gpt4_results-314.jsonl", {}, "have these answers been judged"),
    ("humaneval/cursor_data_HumanEval.jsonl.gz", {}, "line 1: format not recognized: its fields are 'task_id', 'prompt'"),
    ("humaneval/cursor_data_example_samples.jsonl_results.jsonl", {}, (1, 6, 3)),
    ("humaneval/poe_codegemma_7b_results.jsonl", {}, (164, 164, 47)),
    ("humaneval/poe_codegemma_7b_summary.csv", {}, (164, 164, 47)),
    ("humaneval/poe_qwen2.5-coder_7b_results.jsonl", {}, (164, 164, 120)),
    ("humaneval/poe_qwen2.5-coder_7b_summary.csv", {}, (164, 164, 120)),
    ("inspect/2024-08-29T15-11-17+00-00_popularity_5EAmX6wjMFqea6WY7XHzZp.json", {}, "no samples: .*status is 'success'"),
    ("inspect/2024-11-05T13-31-45-05-00_input-task_8zXjbRzCWrL9GXiXo2vus9.json", {}, (1, 1, 1)),
    ("inspect/2024-11-05T13-32-37-05-00_input-task_hxs4q9azL3ySGkjJirypKZ.eval", {}, (1, 1, 1)),
    ("inspect/2025-02-11T15-17-00-05-00_popularity_dPiJifoWeEQBrfWsAopzWr.eval", {}, "samples/5_epoch_1.json: no score"),
    ("inspect/2025-02-11T15-18-04-05-00_popularity_mj7khqpMM4GBCfVQozKgzB.eval", {}, (10, 10, 8)),
    ("inspect/2025-05-12T20-28-13-04-00_no-samples.json", {}, "no samples: .*status is 'cancelled'"),
    ("inspect/2025-05-12T20-28-13-04-00_popularity.json", {}, (3, 3, 2)),
    ("inspect/2025-05-12T20-28-26-04-00_security-guide.json", {}, (3, 3, 3)),
    ("inspect/log_formats.eval", {}, (1, 1, 0)),
    ("inspect/log_formats.json", {}, (1, 1, 0)),
    ("inspect/log_images.json", {}, (1, 1, 0)),
    ("inspect/log_message_deduplication.eval", {}, (1, 1, 0)),
    ("inspect/log_read_sample.eval", {}, (1, 1, 1)),
    ("inspect/log_read_sample.json", {}, (1, 1, 1)),
    ("inspect/log_streaming.eval", {}, (2, 4, 3)),
    ("inspect/log_tool_call_error.json", {}, "sample 0: no score"),
    ("inspect/mmlu-no-summary-choices.eval", {}, (1, 1, 0)),
    ("inspect/mmlu-summary-choices.eval", {}, (1, 1, 0)),
    ("lfs/lighteval_details_gsm8k.parquet", {}, "a Git LFS pointer: .*git lfs pull"),
    ("nemo/output-rs0.jsonl", {}, (5, 5, 4)),
    ("nemo/output-rs2.jsonl", {}, (5, 5, 5)),
    ("nemo/output-rs0.jsonl", NEMO, (5, 5, 4)),
    ("nemo/output-rs1.jsonl", NEMO, (5, 5, 4)),
    ("nemo/output-rs2.jsonl", NEMO, (5, 5, 5)),
    ("verifiers/arc-agi-3--gpt-4.1-mini_7a5fcb34_results.jsonl", {}, (1, 1, 0)),
    ("verifiers/math-python--gpt-4.1-mini_578769a7_results.jsonl", {}, (5, 15, 14)),
    ("verifiers/math-python--gpt-5-nano_cb7a1799_results.jsonl", {}, (5, 15, 15)),
    ("verifiers/mcp-env--gpt-4.1-mini_468ee950_results.jsonl", {}, (1, 3, 3)),
    ("verifiers/wordle--gpt-5-mini_b5161fc3_results.jsonl", {}, "a Git LFS pointer"),
]


@pytest.mark.parametrize("name, options, outcome", REAL, ids=[name for name, _, _ in REAL])
def test_real_logs(name, options, outcome):
    path = Path(__file__).parents[2] / "shared/logs" / name
    if not path.exists(): pytest.skip("real logs are not beside the checkout")
    if isinstance(outcome, str):
        with pytest.raises(LogError, match=outcome): read_log(path, **options)
    else:
        table = read_log(path, **options)
        assert (len(table), table.n_samples.sum(), table.n_correct.sum()) == outcome
