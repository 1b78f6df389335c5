"Logs in every shape, whole and damaged."
import json
import sys
from collections import Counter

import numpy as np
import pytest
from fuzz_evallog import mutations, outcome
from hypothesis import given, settings, strategies as st
from logs import LOGS, inspect_eval, inspect_samples, lm_eval, write
from pgpost import evallog
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
    with pytest.raises(LogError, match="line 3: duplicated sample.* for one filter"): read_log(path)
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
    ("a.jsonl", LINE + b'{"idx": 1, "a": "' + b"x" * (evallog.LINE_LIMIT + 5) + b'"}\n', "line 2: line too long"),
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
    "verl": dict(input="a", output="x", score=1.), "trl": dict(step=1, prompt="a", completion="x", reward=1.)}


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
    path.write_bytes(LINE + b"{\n\xff\n" + b"x" * (evallog.LINE_LIMIT + 1) + b'\n{"idx": 1, "score": [2]}\n{"idx": 2, "score": [1]}\n' + LINE)
    assert read_log(path, skipped=skipped).values.tolist() == [["0", 1, 2], ["2", 1, 1]]
    assert skipped == {"broken JSON": 1, "not UTF-8": 1, "line too long": 1, "not a verdict": 1, "duplicated sample": 1}
    path.write_bytes(b"{\n{\n")
    with pytest.raises(LogError, match="no record"): read_log(path, skipped=Counter())


def test_logs_of_one_model_are_added_up(tmp_path):
    for seed, verdicts in enumerate([[1, 0], [1, 1]]): (tmp_path / f"seed{seed}.jsonl").write_text(json.dumps(dict(idx="a", score=verdicts)) + "\n" + json.dumps(dict(idx=seed, score=[0])))
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


@pytest.mark.parametrize("module, name, extra", [("pyarrow.parquet", "completions_00010.parquet", "parquet"), ("zipfile_zstd", "inspect.eval", "inspect")])
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
    from pathlib import Path
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
    assert read_logs([path], **options)["base"].attrs == dict(format="csv", warnings=[])
