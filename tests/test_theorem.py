"The measured theorems: what is read off a run, what must not pass, and the commands. Covers theorem, exact, experiment, online, plot, cli."
import json
import os
from dataclasses import asdict, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pgpost import behavior, theorem
from pgpost.cli import main
from pgpost.plot import PALETTE, draw_claims, draw_scores
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome
from pgpost.stepsize import StepSize, adaptive
from pgpost.task import coherent_tokens
from pgpost.theorem import ALARM, CLAIMS, SIZES, Axis, Claim, Form, Setting, chi_square, compare, judge, log, measure, measure_claims, mistakes, run, summary
from pgpost.train import pretrain

CHEAP = "SGD, adaptive step", "Algorithm 1, no base support, k = 4", "Algorithm 2, no base support, length"


def named(*names): return [claim for claim in CLAIMS if claim.name in names]


def test_steps_to_the_target_agree_with_looking_at_every_step():
    "The crossing lies between the last step with an error above the target and the first one below, for each replicate."
    setting = dict(algorithm="SGD", M=2, k=4, N=8, target=.3, max_steps=1000, replicates=20, seed=5)
    steps = [row["steps"] for row in measure(setting)]
    truth, rng = theorem._streams(asdict(Setting(**setting)), 2)
    task, errors = coherent_tokens(2, 4, 8, p=np.full(2, .5), rng=truth), []
    x = np.tile(np.eye(2), (20, 1))
    pretrain(task, LinearPolicy(task.encoder).replicated(20), steps=200, every=1, stepsize=adaptive(), rng=rng,
             evaluate=lambda policy: errors.append(policy.by_replicate(-np.expm1(policy.log_likelihood(x, task.path(x)))).mean(axis=1)) or {})
    first = (np.array(errors) <= .3).argmax(axis=0)
    assert (first > 1).all() and np.all(np.abs(steps - first) <= 5)  # errors are recorded every 5 steps


def test_settings_have_random_numbers_of_their_own():
    "Replicates of different settings are not correlated, equal settings give equal rows, and what is left out is the default."
    def errors(**fields): return [row["summed_error"] for row in run(dict(algorithm="PG-OR", M=2, k=4, N=4, likelihood=.3, max_steps=60, replicates=400) | fields)]
    base = errors()
    assert errors(seed=0, stepsize="adaptive") == base
    for other in errors(seed=1), errors(N=5), errors(max_steps=61): assert abs(np.corrcoef(base, other)[0, 1]) < 4.5 / 20  # false alarm: 7e-6


Y, X = Axis("q", "q", lambda table: table.y), Axis("N", "N", lambda table: table.x)


def made_up(exact, form=None, y=Y, x=X):
    "A claim about the columns y and x of a table."
    return Claim("g", "n", "SGD", y, x, [], exact, form)


def replicates(mean, sizes=(1, 2, 4, 8), n=200, seed=0):
    "Rows with exponential values of a mean that depends on the size."
    rng = np.random.default_rng(seed)
    return pd.concat([pd.DataFrame(dict(x=x, y=mean(x) * rng.standard_exponential(n), replicate=range(n))) for x in sizes])


def test_points_are_means_with_their_standard_errors():
    table = replicates(lambda x: x)
    points = made_up(lambda x: x).points(table)
    y = table.y.to_numpy().reshape(4, 200)
    np.testing.assert_allclose(points.measured, y.mean(axis=1))
    np.testing.assert_allclose(points.standard_error, y.std(axis=1, ddof=1) / np.sqrt(200))
    np.testing.assert_allclose(points.z, (points.measured - points.exact) / points.standard_error, rtol=.03)  # Student's t with 199 degrees of freedom is nearly normal


def test_limits_of_values_and_of_slopes_on_any_axes():
    "Exact power laws, exponentials, logarithms and constants, seen on their scales."
    for exact, y, x, limit in [(lambda N: 3. * N**2, log(Y), log(X), 2), (lambda N: 5 * np.exp(.3 * N), log(Y), X, .3),
                               (lambda N: 1 + 7 * np.log(N), Y, log(X), 7)]:
        growth = made_up(exact, Form("", [1, 10, 100], limit, slope=True), y, x).growth()
        np.testing.assert_allclose(growth.ratio, [np.nan, 1, 1])
    growth = made_up(lambda N: 4 + 1 / N, Form("", [1, 10, 100], 4)).growth()
    np.testing.assert_allclose(growth.ratio, [1.25, 1.025, 1.0025])
    assert made_up(lambda N: 0., Form("", [1, 10], 2, value=lambda N: 2.)).growth().ratio.tolist() == [1, 1]


def test_a_form_is_reached_or_kept():
    for ratios, reached, kept in [([.5, .9, .999], True, True), ([.5, .9, .95], False, True), ([1, 1, 1.005], False, True),
                                  ([.4, 1, 1], True, False), ([2.1, 1, 1], True, False)]:
        assert Form("", []).fulfilled(ratios) == reached and Form("", [], between=(.5, 2)).fulfilled(ratios) == kept


def test_verdicts_of_a_table_without_a_difference():
    "How often Holm's procedure, and the sum of squares, find something in 500 tables in which there is nothing."
    rng, alarms = np.random.default_rng(0), np.zeros(2)
    tables = 500
    for _ in range(tables):
        results = judge(pd.DataFrame(dict(z=rng.normal(size=50), measured=0., verdict="")))
        alarms += (results.verdict == "different").any(), chi_square(results)["p"] < ALARM
    assert (alarms <= 5).all()  # a Poisson number with mean 1/2 is 6 or more once in 70,000


def test_statements_of_a_claim():
    claim = made_up(lambda x: x, Form("it grows", [10, 1000], limit=1, slope=True), log(Y), log(X))
    results = judge(compare(claim, replicates(lambda x: x)))
    assert results.columns.tolist() == "claim statement x exact measured standard_error z verdict limit ratio".split()
    assert results.statement.tolist() == ["simulated q at N = 1", "simulated q at N = 2", "simulated q at N = 4", "simulated q at N = 8", "it grows"]
    assert results.verdict.tolist() == ["equal"] * 4 + ["reached"] and results.ratio.iloc[-1] == pytest.approx(1)
    row = summary(results).iloc[0]
    assert (row.simulated, row.exact_value, row.form, row.verdict) == (4, "equal", "it grows", "reached")
    wrong = judge(compare(replace(claim, exact=lambda x: 1.5 * x), replicates(lambda x: x)))
    assert summary(wrong).exact_value.iloc[0] == "4 differ"


def test_names_and_labels_say_nothing_but_what_they_show():
    "A claim is drawn by its fields: it may have any name, on any axis."
    claim = replace(made_up(lambda x: 2 * x, Form("2 N", [16, 32], slope=True, limit=2), x=Axis("log N", "log N", lambda table: table.x)), name="Algorithm 2, but not")
    points = pd.concat([claim.points(replicates(lambda x: 2 * x)), claim.growth()])
    fig = draw_claims([claim], points)
    ax = fig.axes[0]
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("linear", "linear", "log N")
    assert ax.lines[0].get_color() == PALETTE["SGD"] and ax.lines[0].get_xdata().tolist() == [1, 2, 4, 8, 16, 32]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [2, 64])
    plt.close("all")


def test_all_scores_are_drawn():
    scores = draw_scores(pd.DataFrame(dict(z=[.3, np.nan, -1, 2]))).axes[0].lines[-1]
    assert scores.get_ydata().tolist() == [-1, .3, 2]
    plt.close("all")


def test_forms_are_followed_to_a_billion():
    "Every claim with a form: as stated, and to 10^9 or more, in size or, where it is a power of two, in queries."
    for claim in CLAIMS:
        if claim.form is None: continue
        growth = claim.growth()
        assert claim.form.fulfilled(growth.ratio.dropna().to_numpy()), claim.name
        assert claim.form.sizes == sorted(claim.form.sizes)
        largest = claim.form.sizes[-1]**(2 if claim.group == "margin" else 1)  # 1/gamma enters squared
        assert max(largest, growth.exact.iloc[-1]) >= 1e9 or claim.group == "price", claim.name
    assert max(SIZES) == 10**12


MUTANTS = "SGD, adaptive step", "Algorithm 1, queries a context", "Algorithm 1, searches", "Algorithm 2, price, length", "PG-OR, likelihood of the behavior"


def caught():
    "Whether the quick table of a few claims finds a difference: by one size, or by all together."
    results = measure_claims(quick=True, claims=named(*MUTANTS), progress=False)[0]
    return (results.verdict == "different").any() or chi_square(results)["p"] < ALARM


@pytest.mark.slow
def test_nothing_is_caught_where_nothing_is_broken(): assert not caught()


@pytest.mark.slow
def test_a_broken_step_size_is_caught(monkeypatch):
    "A norm that counts ten percent too much."
    def update(g, state): return g / (4 + 2.2 * np.sqrt((g * g).sum(axis=(-2, -1), keepdims=True))), state
    monkeypatch.setitem(theorem.STEPSIZES, "adaptive", lambda N: StepSize(lambda W: None, update))
    assert caught()


@pytest.mark.slow
def test_a_broken_reward_is_caught(monkeypatch):
    "The last token of a right response is not credited."
    monkeypatch.setattr(Outcome, "credit", lambda self, verified, N: np.where(np.asarray(verified) == N, N - 1, 0))
    assert caught()


@pytest.mark.slow
@pytest.mark.parametrize("search", ["_draws_until_success", "_draws_given_success"])
def test_a_broken_price_is_caught(monkeypatch, search):
    "The last draw of a search, the one that finds, is for free: in Algorithm 1, or at every other position in Algorithm 2."
    count = getattr(behavior, search)
    free = 1 if search == "_draws_until_success" else .5
    monkeypatch.setattr(behavior, search, lambda *args: count(*args) - free * (1 if search == "_draws_until_success" else args[1]))
    assert caught()


def test_a_broken_path_bound_stops_the_sweep(monkeypatch):
    monkeypatch.setattr(theorem, "path_bound", lambda *args, **kwargs: .01)
    with pytest.raises(AssertionError, match="the path bound 0.01 is broken"):
        measure(dict(algorithm="SGD", M=2, k=4, N=2, max_steps=20, replicates=3))


@pytest.mark.parametrize("algorithm", sorted(theorem.ALGORITHMS.keys() - {"SGD, every other step"}))  # which is for pairs of contexts
def test_every_algorithm_learns_within_its_path_bound(algorithm):
    rows = pd.DataFrame(measure(dict(algorithm=algorithm, M=1, k=2, N=2, m=4, likelihood=.4, max_steps=3000, replicates=5)))
    assert (rows.path_sum > 0).all() and (rows.path_sum <= rows.path_bound).all() and (rows.error < .1).all()


def test_mistakes_count_rounds():
    rows = mistakes(dict(learner="perceptron", M=3, k=5, rounds=200, replicates=6, seed=1))
    assert all(0 < row["summed_error"] <= 3 for row in rows) and len(rows) == 6  # a context is mistaken once, or never for label 0


@pytest.mark.slow
def test_the_command(tmp_path, monkeypatch, capsys):
    "Tables, a figure for each group, and a rerun that has nothing left to run."
    everything = list(CLAIMS)
    CLAIMS[:] = named(*CHEAP)
    try:
        main(["theorems", "--quick", "--out", str(tmp_path/"t")])
        table, points = (pd.read_csv(tmp_path/"t"/name) for name in ("theorems.csv", "points.csv"))
        assert table.columns.tolist() == "claim statement x exact measured standard_error z verdict limit ratio".split()
        assert table.claim.unique().tolist() == list(CHEAP) and table.verdict.tolist() == ["equal", "equal", "reached"] * 3
        assert points.columns.tolist() == "claim x exact measured standard_error z ratio".split() and len(points) == 3 * (2 + len(SIZES))
        assert sorted(os.listdir(tmp_path/"t")) == ["barrier.png", "points.csv", "run.json", "runs.db", "scores.png", "step-size.png", "theorems.csv"]
        record = json.loads((tmp_path/"t"/"run.json").read_text())
        assert (record["tests"], record["equal"], record["different"], record["reached"]) == (6, 6, 0, 3) and record["p"] > 1e-3
        said = capsys.readouterr().out
        assert "6 of 6 simulated sizes give the exact value; chi-square" in said and "3 of 3 forms are as stated" in said
        main(["theorems", "--quick", "--out", str(tmp_path/"t")])
        assert "6/6" in capsys.readouterr().err  # complete at once
        assert pd.read_csv(tmp_path/"t"/"theorems.csv").equals(table)
    finally: CLAIMS[:] = everything


@pytest.mark.slow
def test_figure2_command(tmp_path, capsys):
    main(["figure2", "--out", str(tmp_path/"f"), "--phases", "1", "--seed", "3"])
    quantiles, record = pd.read_csv(tmp_path/"f"/"quantiles.csv"), json.loads((tmp_path/"f"/"run.json").read_text())
    assert sorted(os.listdir(tmp_path/"f")) == ["cdf.csv", "figure2.png", "quantiles.csv", "run.json"]
    assert sorted(quantiles.step.unique()) == [0, 500] and not record["interrupted"] and record["setting"]["seed"] == 3
    assert quantiles.query("step == 0").log_quantile.to_numpy() == pytest.approx(-100 * np.log(10))
    assert "log10 Q(0.1)" in capsys.readouterr().out


def test_figure2_keeps_complete_phases_when_stopped(tmp_path, monkeypatch):
    from pgpost import experiment
    phases = []
    def interrupted(*args, **kwargs):
        phases.append(1)
        if len(phases) == 2: raise KeyboardInterrupt
        return pretrain(*args, **kwargs)
    monkeypatch.setattr(experiment, "pretrain", interrupted)
    with pytest.raises(SystemExit) as stop: main(["figure2", "--out", str(tmp_path/"f"), "--phases", "3"])
    record = json.loads((tmp_path/"f"/"run.json").read_text())
    assert stop.value.code == 130 and record["interrupted"] and record["last_step"] == 500


@pytest.mark.parametrize("line, message", [
    ("theorems", "Missing option '--out'"), ("theorems --out x --quik", "No such option '--quik'"),
    ("figure2 --out x --phases -1", "'--phases': -1 is not in the range x>=0"), ("figure2 --out x --optimizer adam", "'adam' is not one of 'restarted', 'continued'")])
def test_bad_options(line, message, capsys):
    with pytest.raises(SystemExit) as stop: main(line.split())
    assert stop.value.code == 2 and message in capsys.readouterr().err
