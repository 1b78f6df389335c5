"Likelihoods of steps, against enumeration, exact limits and simulation. Covers steps."
import json
import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.evallog import read_steps
from pgpost.report import budget_report
from pgpost.steps import FACTOR, solution_length, step_counts, step_likelihood, step_table, steps_of, steps_of_tokens
from scipy.stats import binom, binomtest

GUIDE = Path(__file__).parent.parent / "nbs/guides/evaluation_logs.ipynb"
answers = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=12)
property_test = settings(max_examples=200, deadline=None, derandomize=True)


@property_test
@given(answers)
def test_counts_by_their_definition(verdicts):
    "Of the answers that are right before step i and have it; and the product of the shares is c/n if all are equally long."
    right, reached = step_counts(verdicts)
    for i in range(max(map(len, verdicts))):
        there = [v for v in verdicts if len(v) > i and all(v[:i])]
        assert reached[i] == len(there) and right[i] == sum(v[i] for v in there)
    assert len(right) == max(map(len, verdicts)) and (right <= reached).all()
    if len(set(map(len, verdicts))) == 1: assert np.prod(step_likelihood(verdicts)) == pytest.approx(np.mean([all(v) for v in verdicts]))


def test_step_likelihoods_multiply_to_the_success_rate():
    rng = np.random.default_rng(0)
    verdicts = (rng.random((50, 4)) < [.9, .8, .9, .95]).tolist()
    assert np.prod(step_likelihood(verdicts)) == pytest.approx(np.mean([all(v) for v in verdicts]))
    assert step_likelihood([[1], [1, 1]]).tolist() == [1, 1]  # an answer that ends is not one that fails


@pytest.mark.parametrize("level", [.5, .95, .999])
def test_limits_are_exact(level):
    "Clopper-Pearson, as SciPy's test of one binomial number has them, for all numbers up to twelve and some large ones."
    for r, m in [(r, m) for m in range(1, 13) for r in range(m + 1)] + [(0, 1000), (1, 1000), (999, 1000)]:
        row = step_table([[1]] * r + [[0]] * (m - r), level).iloc[0]
        exact = binomtest(r, m).proportion_ci(level, method="exact")
        assert [row.low, row.high] == pytest.approx([exact.low, exact.high], abs=1e-9) and row.known == (row.high <= FACTOR * row.low)


def test_limits_cover_at_every_likelihood():
    "Exactly, over all numbers right of m: in at least 95% of the cases, for any likelihood."
    for m in (1, 5, 16, 40):
        tables = [step_table([[1]] * r + [[0]] * (m - r)).iloc[0] for r in range(m + 1)]
        for q in np.linspace(.01, .99, 33):
            covered = [row.low <= q <= row.high for row in tables]
            assert binom.pmf(np.arange(m + 1), m, q) @ covered >= .95 - 1e-9


def test_a_step_that_none_reached_has_no_share():
    table = step_table([[1, 0, 1], [0, 1, 1]])
    assert table.reached.tolist() == [2, 1, 0] and math.isnan(table.share[2]) and (table.low[2], table.high[2]) == (0, 1) and not table.known[1:].any()


def test_a_problem_that_was_never_solved_is_unknown_not_impossible():
    "Its shares multiply to 0; what is said is a number of draws that it takes at least."
    rng = np.random.default_rng(0)
    for _ in range(50):
        verdicts = (rng.random((16, 8)) < .5).astype(int)
        row = steps_of(verdicts)
        if not verdicts.all(axis=1).any():
            assert row["unknown"] > 0 and math.isnan(row["draws"]) and math.isnan(row["least_log_likelihood"]) and row["draws_high"] == math.inf
        assert 8 <= row["draws_low"]


@pytest.mark.parametrize("q", [[.9] * 8, [.5, .95, .7], [.99] * 20, [.1, .9]])
def test_limits_of_the_draws_hold(q):
    "In 95% of the problems at least: of 400, fewer than the 0.001 quantile of Bin(400, 0.95) would come once in a thousand times."
    rng = np.random.default_rng(0)
    true = (1 / np.array(q)).sum()
    rows = [steps_of((rng.random((24, len(q))) < q).astype(int)) for _ in range(400)]
    assert sum(row["draws_low"] <= true <= row["draws_high"] for row in rows) >= binom.ppf(.001, 400, .95)
    for row in rows: assert row["unknown"] or row["draws_low"] <= row["draws"] <= row["draws_high"]


def test_draws_are_those_of_building_a_solution():
    "Each step is drawn until it is right: expected draws over all outcomes of a few tries, against the sum of 1/q."
    q = np.array([.5, .8, .25])
    expected = sum(sum(n * qi * (1 - qi)**(n - 1) for n in range(1, 400)) for qi in q)
    assert steps_of_tokens(np.log(q))["draws"] == pytest.approx(expected, rel=1e-9) == 1 / .5 + 1 / .8 + 1 / .25


@property_test
@given(answers)
def test_properties_of_a_problem(verdicts):
    row = steps_of(verdicts)
    assert row["length"] == solution_length(verdicts) <= max(map(len, verdicts)) and 0 <= row["unknown"] <= row["length"]
    assert row["length"] - 1e-9 <= row["draws_low"] <= row["draws_high"]
    if not row["unknown"]:
        assert row["draws"] <= row["length"] / np.exp(row["least_log_likelihood"]) + 1e-9
        assert row["log_likelihood"] <= row["least_log_likelihood"] <= 0


def test_length_is_that_of_right_answers():
    for lengths in product((1, 2, 5), repeat=3):
        right = [[1] * n for n in lengths]
        assert solution_length([*right, [1] * 8 + [0]]) == sorted(lengths)[1]
    assert solution_length([[1, 1, 0], [0]]) == 3


def test_what_the_lines_of_the_guide_write_is_read(tmp_path):
    "Both snippets compile, and a line has the form that they print."
    text = "".join("".join(cell["source"]) for cell in json.loads(GUIDE.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "markdown")
    snippets = re.findall(r"```python\n(import json.*?)```", text, re.DOTALL)
    assert len(snippets) == 2
    for code in snippets:
        compile(code, "guide", "exec")
        assert re.search(r'print\(json.dumps\(\{"logprobs": logprobs(\.tolist\(\))?\}\), file=file\)', code)
    rng = np.random.default_rng(0)
    solutions = [(-rng.exponential(size=n)).astype(np.float32) for n in (3, 40, 7)]
    solutions[0][0] = 0  # a sure token
    with open(tmp_path / "tokens.jsonl", "w") as file:
        for logprobs in solutions: print(json.dumps({"logprobs": logprobs.tolist()}), file=file)
    table = read_steps(tmp_path / "tokens.jsonl")
    assert table.attrs["exact"] and table.length.tolist() == [3, 40, 7] and (table.unknown == 0).all()
    assert table.draws.tolist() == pytest.approx([np.exp(-s.astype(float)).sum() for s in solutions])
    assert table.least_log_likelihood.tolist() == pytest.approx([float(s.min()) for s in solutions])


def test_a_budget_says_what_is_unknown(tmp_path):
    import pandas as pd
    lines = [{"problem": p, "steps": v} for p, of in {"easy": [[1, 1]] * 8, "hard": [[1, 0]] * 15 + [[1, 1]], "never": [[0, 0]] * 8}.items() for v in of]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps = read_steps(tmp_path / "steps.jsonl")
    assert steps.unknown.tolist() == [0, 1, 2]
    counts = pd.DataFrame(dict(problem=["easy", "hard", "never"], n_correct=[8, 1, 0], n_samples=[8, 16, 8]))
    known, unknown = (budget_report(dict(m=counts), eps, .9, steps)["models"]["m"]["process"] for eps in (.7, .3))
    assert known["draws"] == 2 and known["quantile"] == 1 and known["unknown"] == 2
    assert unknown["draws"] == math.inf and math.isnan(unknown["quantile"]) and unknown["draws_low"] > 2
    report = budget_report(dict(m=counts), .3, .9, steps)
    assert "an unknown number of draws, at least" in str(report) and "2 of 3 problems have a step" in str(report)
    assert report.to_dict()["models"]["m"]["process"]["draws"] is None
