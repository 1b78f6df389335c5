"The measured theorems: what is read off a run, what must not pass, and the commands. Covers theorem, experiment, online, plot, cli."
import json
import os
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pgpost import theorem
from pgpost.cli import main
from pgpost.plot import PALETTE, draw_claims
from pgpost.policy import LinearPolicy
from pgpost.stepsize import adaptive
from pgpost.task import coherent_tokens
from pgpost.theorem import CLAIMS, Axis, Claim, compare, log, measure, mistakes, slopes
from pgpost.train import pretrain

CHEAP = "SGD, adaptive step", "Algorithm 1, no base support, k = 4", "Algorithm 2, no base support, length"


def test_steps_to_the_target_agree_with_looking_at_every_step():
    "The crossing lies between the last step with an error above the target and the first one below, for each replicate."
    setting = dict(algorithm="SGD", M=2, k=4, N=8, target=.3, max_steps=1000, replicates=20, seed=5)
    steps = [row["steps"] for row in measure(setting)]
    task, errors = coherent_tokens(2, 4, 8, p=np.full(2, .5), rng=5), []
    x = np.tile(np.eye(2), (20, 1))
    pretrain(task, LinearPolicy(task.encoder).replicated(20), steps=200, every=1, stepsize=adaptive(), rng=5,
             evaluate=lambda policy: errors.append(policy.by_replicate(-np.expm1(policy.log_likelihood(x, task.path(x)))).mean(axis=1)) or {})
    first = (np.array(errors) <= .3).argmax(axis=0)
    assert (first > 1).all() and np.all(np.abs(steps - first) <= 5)  # errors are recorded every 5 steps


def made_up(y, x, predicted=2.):
    "A claim about the columns y and x of a table."
    return Claim("g", "n", "SGD", y, x, predicted, [])


def test_every_claim_compares_what_it_says():
    "Slopes of exact power laws and exponentials come out exactly, through the claim's own transformation."
    x, replicate = np.array([1., 2, 4, 8, 16]), np.arange(20)
    q, N = Axis("q", "q", lambda table: table.y), Axis("N", "N", lambda table: table.x)
    for axes, y in ((log(q), log(N)), 3 * x**2), ((log(q), N), np.exp(2 * x)), ((q, N), 5 + 2 * x):
        table = pd.DataFrame([dict(x=a, y=b, replicate=r) for a, b in zip(x, y) for r in replicate])
        row = compare(made_up(*axes), table)
        assert row["measured"] == pytest.approx(2, abs=1e-12) and row["holds"]
        assert [row["quantity"], row["against"]] == [f"log {axis.name}" if axis.log else axis.name for axis in axes]
        points = made_up(*axes).points(table)
        np.testing.assert_allclose(points[["x", "y"]], np.column_stack([x, y]), rtol=1e-12)
    assert not compare(made_up(q, N, predicted=2.2), table)["holds"]
    assert slopes(x, np.column_stack([x, -x])) == pytest.approx([1, -1])


def test_names_and_labels_say_nothing_but_what_they_show():
    "A claim is drawn and compared by its fields: it may have any name, on any axis."
    x = np.array([1., 2, 4, 8])
    q, N = Axis("log of nothing", "log of nothing", lambda table: table.y), Axis("log N", "log N", lambda table: table.x)
    claim = replace(made_up(q, N), name="Algorithm 2, but not")
    table = pd.DataFrame([dict(x=a, y=2 * a, replicate=r) for a in x for r in range(3)])
    row = compare(claim, table)
    assert row["measured"] == pytest.approx(2)
    ax = draw_claims([claim], pd.DataFrame([row]), claim.points(table)).axes[0]
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("linear", "linear", "log N")
    assert ax.lines[-2].get_color() == PALETTE["SGD"]
    plt.close("all")


def test_a_broken_path_bound_stops_the_sweep(monkeypatch):
    monkeypatch.setattr(theorem, "path_bound", lambda *args, **kwargs: .01)
    with pytest.raises(AssertionError, match="the path bound 0.01 is broken"):
        measure(dict(algorithm="SGD", M=2, k=4, N=2, max_steps=20, replicates=3))


@pytest.mark.parametrize("algorithm", theorem.ALGORITHMS)
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
    CLAIMS[:] = [claim for claim in CLAIMS if claim.name in CHEAP]
    try:
        main(["theorems", "--quick", "--out", str(tmp_path/"t")])
        table = pd.read_csv(tmp_path/"t"/"theorems.csv")
        assert table.columns.tolist() == "claim quantity against predicted measured low high holds".split()
        assert table.claim.tolist() == list(CHEAP) and table.holds.all()
        assert sorted(os.listdir(tmp_path/"t")) == ["barrier.png", "points.csv", "run.json", "runs.db", "step-size.png", "theorems.csv"]
        assert json.loads((tmp_path/"t"/"run.json").read_text())["hold"] == 3
        assert "3 of 3 claims hold" in capsys.readouterr().out
        main(["theorems", "--quick", "--out", str(tmp_path/"t")])
        assert "15/15" in capsys.readouterr().err  # complete at once
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
