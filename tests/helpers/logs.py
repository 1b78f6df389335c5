"Evaluation logs in the shapes of the tools that write them. `write(folder)` makes one of each; they all say the same."
import gzip
import json
import sys
from pathlib import Path

VERDICTS = {"a/0": [1, 0, 1], "a/1": [0, 0, 0]}  # problem and its sampled answers, in all logs but where a tool keeps one answer a file


def dump(records): return "".join(json.dumps(r) + "\n" for r in records)


def samples(): return [(problem, i, bool(v)) for problem, verdicts in VERDICTS.items() for i, v in enumerate(verdicts)]


def humaneval(): return dump(dict(task_id=p, completion=f"    return {i}\n", result="passed" if v else "failed: AssertionError", passed=v) for p, i, v in samples())


def evalplus():
    entries = {p: [dict(task_id=p, solution=f"def f(): return {i}", base_status="pass" if v else "fail", plus_status="pass" if v and i else "timeout",
                        base_fail_tests=[], plus_fail_tests=[]) for i, v in enumerate(vs)] for p, vs in VERDICTS.items()}
    return json.dumps(dict(date="2024-05-01 10:00", hash="fe585eb4df8c88d844eeb463ea4d0302", eval=entries, pass_at_k={"base": {"pass@1": .33}}))


def evalplus_0_1():
    statuses = {p: [["success" if v else "failed", [v]] for v in vs] for p, vs in VERDICTS.items()}
    return json.dumps(dict(date="2023-10-17 15:24", hash="8b495caa4e85fcb23a2936e37aedebbc", eval={p: dict(nfiles=len(s), base=s, plus=s) for p, s in statuses.items()}))


def bigcodebench():
    entries = {p: [dict(task_id=p, solution=f"def f(): return {i}", status="pass" if v else "fail", details={} if v else {"test_1": "AssertionError"})
                   for i, v in enumerate(vs)] for p, vs in VERDICTS.items()}
    return json.dumps(dict(date="2024-07-01 10:00", eval=entries), indent=2)


def livecodebench():
    return json.dumps([{"question_title": "t", "question_id": p, "contest_date": "2024-01-06T00:00:00", "difficulty": "easy", "output_list": ["..."] * 3,
                        "code_list": ["..."] * 3, "graded_list": [bool(v) for v in vs], "pass@1": sum(vs) / 3, "metadata": ["{}"] * 3} for p, vs in VERDICTS.items()], indent=4)


def lm_eval():
    "One answer for each document, and a line for each of two filters, of which the strict one finds less."
    return dump(dict(doc_id=d, doc=dict(question="..."), target="4", arguments={"gen_args_0": {"arg_0": "...", "arg_1": {"until": ["Q:"]}}}, resps=[["4"]], filtered_resps=["4"],
                     filter=f, metrics=["exact_match"], doc_hash="0" * 64, prompt_hash="0" * 64, target_hash="0" * 64, exact_match=float(f == "flexible-extract" or d == 0))
                for f in ("strict-match", "flexible-extract") for d in (0, 1))


def inspect_samples():
    return [dict(id=p, epoch=i + 1, input="...", target="4", messages=[], output=dict(model="m", choices=[], completion="4"),
                 scores={"match": dict(value="C" if v else "I", answer="4", explanation="4", history=[])}, metadata={}, store={}, events=[], uuid=f"{p}{i}") for p, i, v in samples()]


def inspect_json():
    return json.dumps(dict(version=2, status="success", eval=dict(task="math", model="m", dataset={}, config=dict(epochs=3)), plan={}, results={}, stats={}, samples=inspect_samples()), indent=2)


def inspect_eval(path, zstd=True):
    "A zip with a member for each sample, compressed with zstd as recent versions do."
    if zstd and sys.version_info < (3, 14): from backports.zstd import zipfile
    else: import zipfile
    with zipfile.ZipFile(path, "w", zipfile.ZIP_ZSTANDARD if zstd else zipfile.ZIP_DEFLATED) as file:
        file.writestr("_journal/start.json", json.dumps(dict(version=2, eval={}, plan={})))
        for s in inspect_samples(): file.writestr(f"samples/{s['id'].replace('/', '_')}_epoch_{s['epoch']}.json", json.dumps(s))
        file.writestr("header.json", json.dumps(dict(version=2, status="success", eval={})))


def qwen_math(): return dump(dict(idx=p, question="...", gt="4", code=["..."] * 3, pred=["4"] * 3, report=[None] * 3, score=[bool(v) for v in vs]) for p, vs in VERDICTS.items())


def verl(): return dump(dict(input=p, output=f"... {i}", gts="4", score=1. if v else -.5, step=10, acc=v) for p, i, v in samples())


def verl_uid(): return dump(dict(uid=p, input="the same prompt", output=f"... {i}", gts="4", score=.9 if v else .1, step=10) for p, i, v in samples())


def verifiers():
    return dump({"id": p, "prompt": [dict(content="...", role="user")], "completion": [dict(content=f"... {i}", role="assistant")], "task": "default", "generation_ms": 14311.1,
                 "info": {}, "answer": "4", "reward": float(v), "total_tool_calls": 2.0} for p, i, v in samples())


def packed(path): path.write_bytes(gzip.compress(humaneval().encode()))


def trl(path):
    import pyarrow
    import pyarrow.parquet
    rows = [dict(step=10, prompt=p, completion=f"... {i}", accuracy_reward=float(v), format_reward=.5, advantage=.1) for p, i, v in samples()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def counts(): return "model,problem,n_correct,n_samples\n" + "".join(f"base,{p},{sum(v)},{len(v)}\n" for p, v in VERDICTS.items())


def answers_csv(): return 'problem,"the answer",correct\n' + "".join(f'{p},"line {i}\nand ""another""",{v}\n' for p, i, v in samples())


# file, how it is written, what has to be said to read it, what is in it
STANDARD = [["a/0", 2, 3], ["a/1", 0, 3]]
LOGS = {
    "humaneval_results.jsonl": (humaneval, {}, STANDARD),
    "evalplus_eval_results.json": (evalplus, {}, STANDARD),
    "samples_eval_results.json": (evalplus_0_1, {}, STANDARD),
    "bigcodebench_eval_results.json": (bigcodebench, {}, STANDARD),
    "livecodebench_eval_all.json": (livecodebench, {}, STANDARD),
    "samples_gsm8k_2025-01-01.jsonl": (lm_eval, dict(correct="exact_match,strict-match"), [["0", 1, 1], ["1", 0, 1]]),
    "inspect.json": (inspect_json, {}, STANDARD),
    "inspect.eval": (inspect_eval, {}, STANDARD),
    "test_cot_seed0.jsonl": (qwen_math, {}, STANDARD),
    "10.jsonl": (verl, {}, STANDARD),
    "11.jsonl": (verl_uid, dict(threshold=.5), STANDARD),
    "results.jsonl": (verifiers, {}, STANDARD),
    "packed_results.jsonl.gz": (packed, {}, STANDARD),
    "completions_00010.parquet": (trl, dict(correct="accuracy_reward"), [["10 / a/0", 2, 3], ["10 / a/1", 0, 3]]),
    "counts.csv": (counts, {}, [["base", "a/0", 2, 3], ["base", "a/1", 0, 3]]),
    "answers.csv": (answers_csv, dict(key="problem", correct="correct"), STANDARD),
}


def write(folder):
    "Write all logs, and return for each its path, the options to read it, and what is in it."
    for name, (make, _, _) in LOGS.items():
        path = Path(folder, name)
        if make in (trl, inspect_eval, packed): make(path)
        else: path.write_text(make(), encoding="utf-8")
    return [(Path(folder, name), options, content) for name, (_, options, content) in LOGS.items()]
