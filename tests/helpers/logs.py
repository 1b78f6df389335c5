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
    about = dict(task="math", model="m", dataset={}, config=dict(epochs=3))
    return json.dumps(dict(version=2, status="success", eval=about, plan={}, results={}, stats={}, samples=inspect_samples()), indent=2)


def inspect_eval(path, zstd=True):
    "A zip with a member for each sample, compressed with zstd as recent versions do."
    if zstd and sys.version_info < (3, 14): from backports.zstd import zipfile
    else: import zipfile
    with zipfile.ZipFile(path, "w", zipfile.ZIP_ZSTANDARD if zstd else zipfile.ZIP_DEFLATED) as file:
        file.writestr("_journal/start.json", json.dumps(dict(version=2, eval={}, plan={})))
        for s in inspect_samples(): file.writestr(f"samples/{s['id'].replace('/', '_')}_epoch_{s['epoch']}.json", json.dumps(s))
        file.writestr("header.json", json.dumps(dict(version=2, status="success", eval={})))


def qwen_math():
    same = dict(question="...", gt="4", code=["..."] * 3, pred=["4"] * 3, report=[None] * 3)
    return dump(dict(idx=p, **same, score=[bool(v) for v in vs]) for p, vs in VERDICTS.items())


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


def first_answers(): return [(problem, bool(verdicts[0])) for problem, verdicts in VERDICTS.items()]


def nemo_skills(): return dump(dict(id=p, problem=f"... {p}", expected_answer="4", generation="...", predicted_answer="4", symbolic_correct=v) for p, v in first_answers())


def lighteval(path):
    import pyarrow
    import pyarrow.parquet
    rows = [dict(doc=dict(query=f"... {p}", choices=["4"], gold_index=0, id=p, num_samples=3), model_response=dict(text=["4"] * 3, logprobs=[], input=None),
                 metric={"pass@k:k=1&n=3": sum(vs) / 3, "pass@k:k=3&n=3": float(any(vs))}) for p, vs in VERDICTS.items()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def evalscope():
    "Repeats have an index of their own, and a common group."
    return dump(dict(index=n, target="4", messages=[dict(role="user", content="...")], trajectory=[],
                     sample_score=dict(score=dict(value=dict(acc=float(v)), prediction="4", main_score_name=None), sample_id=n, group_id=p, sample_metadata={}))
                for n, (p, i, v) in enumerate(samples()))


def opencompass():
    details = [dict(example_abbr=p, pred=["4"] * 3, answer=["4"] * 3, correct=[bool(v) for v in vs]) for p, vs in VERDICTS.items()]
    return json.dumps({"accuracy (3 runs average)": 33.3, "G-Pass@2_1.0": 16.7, "details": details}, indent=4)


def opencompass_by_number():
    details = {str(i): dict(prompt="...", origin_prediction="...", predictions="4", references="4", correct=v) for i, (_, v) in enumerate(first_answers())}
    return json.dumps(dict(accuracy=50., type="GEN", details=dict(type="GEN", **details)), indent=4)


def matharena():
    verdicts = [bool(v) for v in VERDICTS["a/0"]]
    return json.dumps(dict(idx=7, problem="...", gold_answer="4", source="None", types=[], N=3, cost={}, pass_at_1=2 / 3, answers=["4"] * 3, correct=verdicts, warnings=[0] * 3,
                           messages=[[]] * 3, history=[None] * 3, detailed_costs=[{}] * 3), indent=4)


def helm():
    "Each trial has examples of its own."
    def stat(name, value):
        same = dict.fromkeys(["sum", "sum_squared", "min", "max", "mean"], value)
        return dict(name=dict(name=name, split="test"), count=1, **same, variance=0., stddev=0.)
    return json.dumps([dict(instance_id=p, train_trial_index=i, stats=[stat("num_prompt_tokens", 312.), stat("exact_match", float(v))]) for p, i, v in samples()], indent=2)


def promptfoo():
    "Each repeat of a test has a number of its own."
    def result(number, p, v):
        return dict(success=v, score=float(v), failureReason=int(not v), error=None if v else "Expected output to contain", gradingResult={"pass": v}, id=str(number), promptIdx=0, promptId="e3b0",
                    testIdx=number, vars=dict(question=p), testCase={"vars": dict(question=p), "assert": []}, provider=dict(id="echo", label=""), response=dict(output="4"))
    repeats = sorted(samples(), key=lambda sample: sample[1])
    return json.dumps(dict(evalId="eval-1", results=dict(version=3, results=[result(n, p, v) for n, (p, _, v) in enumerate(repeats)], stats={}), config={}))


def swe_bench():
    return json.dumps(dict(total_instances=3, submitted_instances=2, completed_ids=["a/0", "a/1"], incomplete_ids=["a/2"], empty_patch_ids=[], submitted_ids=["a/0", "a/1"],
                           resolved_ids=["a/0"], unresolved_ids=["a/1"], error_ids=[], schema_version=2), indent=4)


def verifiers_traces():
    def task(p): return dict(type="Toy", data=dict(idx=0, prompt=p, answer="4"), key=p)
    return dump(dict(id=f"{p}{i}", env=dict(id="toy"), task=task(p), ok=True, is_timeout=False, errors=[],
                     traces=[dict(version=1, task=task(p), rewards=dict(correct=dict(score=float(v), weight=1.)), metrics={}, ok=True, errors=[])])
                for p, i, v in samples())


def rollouts():
    def entry(p, vs): return dict(id=p, n_correct=sum(vs), n_rollouts=3, solve_rate=round(sum(vs) / 3, 3), rollouts=[dict(text="...", correct=bool(v)) for v in vs])
    return dump(entry(p, vs) for p, vs in VERDICTS.items())


def responses(): return json.dumps({p: dict(responses={str(i): dict(content="...", correctness=bool(v)) for i, v in enumerate(vs)}) for p, vs in VERDICTS.items()})


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
    "output-rs0.jsonl": (nemo_skills, {}, [["a/0", 1, 1], ["a/1", 0, 1]]),
    "details_aime25.parquet": (lighteval, {}, STANDARD),
    "aime25_default.jsonl": (evalscope, {}, STANDARD),
    "aime2025.json": (opencompass, {}, STANDARD),
    "gsm8k.json": (opencompass_by_number, {}, [["0", 1, 1], ["1", 0, 1]]),
    "7.json": (matharena, {}, [["7", 2, 3]]),
    "per_instance_stats.json": (helm, {}, STANDARD),
    "promptfoo.json": (promptfoo, {}, [["echo", "0", 2, 3], ["echo", "1", 0, 3]]),
    "model.run.json": (swe_bench, {}, [["a/0", 1, 1], ["a/1", 0, 1]]),
    "traces.jsonl": (verifiers_traces, {}, STANDARD),
    "rollouts.jsonl": (rollouts, dict(key="id", correct="rollouts[].correct"), STANDARD),
    "solved.jsonl": (rollouts, dict(key="id", correct="n_correct", samples="n_rollouts"), STANDARD),
    "rates.jsonl": (rollouts, dict(key="id", correct="pass@1|solve_rate", samples=3), STANDARD),
    "responses.json": (responses, dict(key="*", correct="responses.*.correctness"), STANDARD),
    "counts.csv": (counts, {}, [["base", "a/0", 2, 3], ["base", "a/1", 0, 3]]),
    "answers.csv": (answers_csv, dict(key="problem", correct="correct"), STANDARD),
}


def write(folder):
    "Write all logs, and return for each its path, the options to read it, and what is in it."
    for name, (make, _, _) in LOGS.items():
        path = Path(folder, name)
        if make in (trl, lighteval, inspect_eval, packed): make(path)
        else: path.write_text(make(), encoding="utf-8")
    return [(Path(folder, name), options, content) for name, (_, options, content) in LOGS.items()]
