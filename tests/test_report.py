"The report as an object: from what it is made, its tables, words, HTML and figure. Covers report, plot."
import json
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pgpost.change import change_between
from pgpost.cli import main
from pgpost.counts import quantile_from_counts
from pgpost.estimate import backtest
from pgpost.evallog import LogError, read_logs
from pgpost.groups import group_table, plan_samples, problem_table
from pgpost.plot import draw_report
from pgpost.report import as_counts, budget_report, log_report, seconds_of

MATH500 = Path(__file__).parent.parent / "nbs/guides/math500_counts.csv"
VERDICTS = np.random.default_rng(0).random((40, 12)) < np.random.default_rng(1).beta(.6, .6, size=(40, 1))


@pytest.fixture(scope="module")
def report(): return log_report(read_logs([MATH500]), eps=[.1, .5])


def test_every_kind_of_answers_gives_the_same_counts():
    c = VERDICTS.sum(axis=1)
    answers = pd.DataFrame(dict(problem=np.repeat(np.arange(40), 12), correct=VERDICTS.ravel())).sample(frac=1, random_state=0)
    kinds = [VERDICTS, VERDICTS.astype(int), VERDICTS.astype(float).tolist(), pd.DataFrame(VERDICTS), answers, (c, 12),
             (c.tolist(), [12] * 40), pd.DataFrame(dict(n_correct=c, n_samples=12))]
    for kind in kinds:
        counts = as_counts(kind).sort_values("problem", ignore_index=True)
        assert counts.problem.tolist() == list(range(40)) and counts.n_correct.tolist() == c.tolist() and set(counts.n_samples) == {12}
    texts = {str(log_report(kind)) for kind in kinds if kind is not answers}
    assert len(texts) == 1 and texts.pop().startswith("model: 40 problems, 12 samples each")


def test_missing_answers_and_models_in_a_table():
    holes = VERDICTS.astype(float)
    holes[:, -1] = np.nan
    holes[3, 5] = np.nan
    counts = as_counts(holes)
    assert counts.n_samples.tolist() == [11 - (i == 3) for i in range(40)] and counts.n_correct[3] == np.nansum(holes[3])
    both = pd.concat([pd.DataFrame(dict(problem=np.repeat(np.arange(40), 12), correct=VERDICTS.ravel(), model=m)) for m in ("x", "y")])
    assert list(log_report(both).counts) == ["x", "y"] and log_report(both)["comparison"]["gained"] == []


def test_every_report_has_a_back_test(report):
    c, n = (pd.read_csv(MATH500).query("model == 'base'")[column].to_numpy() for column in ("n_correct", "n_samples"))
    test = backtest(c, n)
    assert report["models"]["base"]["backtest"] == dict(part=8, few=16, n=128, predicted=test.predicted, spread=test.spread, measured=pytest.approx(.962))
    assert f"from an eighth of your samples (16 of 128) it would have predicted {test.predicted:.3f} ± {test.spread:.3f}, measured 0.962" in str(report)
    for samples, said in ((8, "from a fourth of your samples (2 of 8)"), (5, "from half of your samples (2 of 5)"), (3, "back-test  none: it takes 4 samples of every problem")):
        assert said in str(log_report((np.arange(samples + 1), samples)))


def test_two_models_have_a_change(report):
    change = change_between(*report.counts.values(), names=("base", "simplerl"))
    pd.testing.assert_frame_equal(report.change.problems, change.problems)
    assert report["comparison"]["beyond_chance"] == {kind: change.named(kind) for kind in ("gained", "lost")}
    assert str(change.crossing) in str(report) and "more than chance, problem by problem: gained 313 (242, " in str(report)
    assert log_report(report.counts["base"]).change is None


@pytest.mark.parametrize("answers, message", [
    ([[0, 2]], "verdicts of 0 and 1 are wanted, NaN where an answer is missing, got 2"),
    ([0, 1], r"must have shape \(problems, samples\), got \(2,\)"),
    ([[0, 1], [np.nan, np.nan]], "every problem needs an answer, 1 has none"),
    (pd.DataFrame(dict(problem=["a"], correct=[.5])), "verdicts of 0 and 1 are wanted"),
    (pd.DataFrame(dict(problem=["a", "b", "a"], n_correct=1, n_samples=2)), "a row for each problem is wanted, 'a' has two"),
    (([3], [2]), "0 <= n_correct <= n_samples"),
])
def test_bad_answers(answers, message):
    with pytest.raises(ValueError, match=message): log_report(answers)


def test_models_without_a_common_problem():
    a, b = (pd.DataFrame(dict(problem=[name], n_correct=[1], n_samples=[2])) for name in "ab")
    with pytest.raises(LogError, match="x, y: no common problem"): log_report(dict(x=a, y=b))
    assert log_report(dict(x=a))["comparison"] is None


def test_tables_are_the_numbers_of_the_library(report):
    counts = pd.read_csv(MATH500).query("model == 'base'").reset_index(drop=True)
    result = quantile_from_counts(counts.n_correct.to_numpy(), counts.n_samples.to_numpy())
    def of_base(table): return table[table.model == "base"].drop(columns="model").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_base(report.groups), group_table(result))
    pd.testing.assert_frame_equal(of_base(report.problems), problem_table(result, problem=counts.problem.astype(str)))
    pd.testing.assert_frame_equal(of_base(report.plan(.005)), plan_samples(result, .005, counts.problem.astype(str)))
    pd.testing.assert_frame_equal(of_base(report.curves), result.table(np.arange(100) / 100))
    pd.testing.assert_frame_equal(of_base(report.quantiles)[["eps", "quantile", "low", "high"]], result.table([.1, .5])[["eps", "quantile", "low", "high"]])
    assert report.summary.loc["base", ["problems", "answers", "correct", "solved", "never", "sometimes", "always"]].tolist() == [500, 64000, 39291, 481, 19, 474, 7]
    assert report.summary.pass_at_1.tolist() == pytest.approx([.613921875, .779328125])
    measured = report.pass_at_k.query("model == 'simplerl' and measured")
    assert measured.k.tolist() == [2**i for i in range(8)] and measured.pass_at_k.iloc[-1] == pytest.approx(.93)


def test_the_command_prints_the_report(report, capsys):
    main(["quantile", str(MATH500), "--eps", "0.1,0.5"])
    assert capsys.readouterr().out == str(report) + "\n"
    main(["quantile", str(MATH500), "--eps", "0.1,0.5", "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(report.to_dict(), allow_nan=False))
    main(["budget", str(MATH500), "--group", "8"])
    assert capsys.readouterr().out == str(budget_report(read_logs([MATH500]), group=8)) + "\n"


class Seen(HTMLParser):
    "Tags and texts of a page, which have to be balanced."
    def __init__(self):
        super().__init__()
        self.open, self.counts, self.texts = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag): assert self.open.pop() == tag
    def handle_data(self, data): self.texts.append(data)


def test_html_has_the_same_words_and_escapes_names():
    name = "<b>x</b> & \x1b[31m"
    report = log_report({name: (np.arange(13), 12)})
    seen = Seen()
    seen.feed(report._repr_html_())
    assert seen.open == [] and seen.counts["table"] == 2 and seen.counts["h4"] == 1 and "b" not in seen.counts
    words = " ".join(" ".join(seen.texts).split())
    for line in report.text.splitlines():
        for part in line.split("  "): assert " ".join(part.split()) in words
    assert words.startswith(r"<b>x</b> & \x1b[31m: 13 problems")


def test_figure_reads_the_tables(report):
    fig = draw_report(report)
    quantiles, groups, passes = fig.axes
    base = report.groups.query("model == 'base'")
    assert groups.lines[0].get_ydata().tolist() == base.informative.tolist() and len(groups.lines[1].get_xdata()) == 1  # 64 answers are at hand
    predicted = report.pass_at_k.query("model == 'base' and not measured")
    assert passes.lines[1].get_xdata()[1:].tolist() == predicted.k.tolist() and passes.lines[1].get_linestyle() == "--"
    assert [text.get_text() for text in passes.get_legend().get_texts()] == ["base", "simplerl"]
    assert np.allclose(quantiles.lines[0].get_ydata(), report.curves.query("model == 'base'")["quantile"].clip(lower=.1 / 128))
    plt.close(fig)


def test_price_of_an_answer():
    assert seconds_of() is None and seconds_of(2) == 2. and seconds_of(tokens=300, tokens_per_second=600) == .5
    for wrong in (dict(seconds_per_answer=0), dict(tokens=-1, tokens_per_second=2), dict(tokens=1), dict(tokens_per_second=1),
                  dict(seconds_per_answer=1, tokens=2),
                  dict(seconds_per_answer=float("nan"))):
        with pytest.raises(ValueError, match="must be positive|one price of an answer"): seconds_of(**wrong)
    with pytest.raises(ValueError, match="what is to be priced"): budget_report((np.arange(5), 4))
