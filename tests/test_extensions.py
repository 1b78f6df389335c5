"The parts of one's own that the extending guide shows: short, exact, repeatable, resumable, and on the same contexts. Covers reward, behavior, train, checkpoint."
import ast
import json
from itertools import product

import numpy as np
import pytest
from pages import NBS
from pgpost import train as loop
from pgpost.behavior import OnPolicy
from pgpost.checkpoint import load_run, save_run
from pgpost.features import Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Batch, Outcome, Process
from pgpost.stepsize import adagrad
from pgpost.task import gaussian_mixture
from pgpost.train import RunInterrupted, post_train

GUIDE = json.loads((NBS / "guides/extending.ipynb").read_text(encoding="utf-8"))
SOURCES = ["".join(c["source"]) for c in GUIDE["cells"] if c["cell_type"] == "code"]
PARTS = ["StepReward", "Share", "MaxRL", "Form", "Noisy", "Mistaken", "Close", "Tempered", "Stale", "Clipped", "Fading"]


def definitions():
    "Imports, classes and functions at the top of the guide's cells, and nothing of what they are used for; the first definition of a name counts."
    found = {}
    for node in (node for source in SOURCES for node in ast.parse(source).body):
        if isinstance(node, (ast.Import, ast.ImportFrom)): found[ast.unparse(node)] = node
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)): found.setdefault(node.name, node)
    return found


NODES = definitions()
guide = {"__name__": "guide"}
exec(compile(ast.Module([NODES[n] for n in NODES if n not in ("Forgetful", "Watched", "Silent", "Field", "expected_update")], []), "guide", "exec"), guide)

TASK = gaussian_mixture(d=4, k=4, N=6, n_components=4, rng=0)
BASE = LinearPolicy(TASK.encoder, .3 * TASK.W)
UNIFORM = LinearPolicy(TASK.encoder)
RUNS = {
    "steps": (guide["StepReward"](size=2), OnPolicy()),
    "share": (guide["Share"](baseline="leave-one-out", group_size=4), OnPolicy()),
    "MaxRL": (guide["MaxRL"](group_size=4), OnPolicy()),
    "form": (guide["Form"](), OnPolicy()),
    "noise": (guide["Noisy"](.1), OnPolicy()),
    "persistent noise": (guide["Mistaken"](.1), OnPolicy()),
    "close to the base": (guide["Close"](BASE, .1), OnPolicy()),
    "entropy": (guide["Close"](UNIFORM, .1), OnPolicy()),
    "temperature": (Process(), guide["Tempered"](2.)),
    "clipped": (guide["Clipped"](baseline="normalized", group_size=4), guide["Stale"](3)),
    "curriculum": (Outcome(), guide["Fading"]()),
}
runs = pytest.mark.parametrize("reward, behavior", RUNS.values(), ids=RUNS)
KW = dict(steps=30, batch_size=16, stepsize=adagrad(.1), every=10, iterate="random", rng=5)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_ten_lines(name):
    "Its docstring, its checks and empty lines are not counted."
    part = NODES[name]
    body = [node for node in part.body if getattr(node, "name", "") != "__post_init__" and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    lines = set().union(*(range(node.lineno, node.end_lineno + 1) for node in body))
    source = next(s for s in SOURCES if f"class {name}(" in s).split("\n")
    assert 1 + len(part.decorator_list) + sum(bool(source[i - 1].strip()) for i in lines) <= 10


@runs
def test_a_second_run_of_the_same_parts_is_the_first(reward, behavior):
    one, two = (post_train(TASK, BASE, reward, behavior, **KW) for _ in range(2))
    assert (one.policy.W == two.policy.W).all() and one.history.equals(two.history) and (one.policy.W != BASE.W).any()


@runs
@pytest.mark.parametrize("seed", range(2))
def test_a_run_that_is_stopped_anywhere_and_read_from_a_file_ends_like_one_that_is_not(reward, behavior, seed, tmp_path):
    at = np.random.default_rng([seed, *map(ord, type(reward).__name__ + type(behavior).__name__)]).integers(1, KW["steps"])

    def stop(steps):
        for i in steps:
            if i == at: raise KeyboardInterrupt
            yield i

    whole = post_train(TASK, BASE, reward, behavior, **KW)
    with pytest.raises(RunInterrupted) as caught: post_train(TASK, BASE, reward, behavior, progress=stop, **KW)
    save_run(caught.value.run, tmp_path / "run.npz")
    stopped = load_run(tmp_path / "run.npz", TASK.encoder)
    assert stopped.steps == at
    resumed = post_train(TASK, BASE, reward, behavior, run=stopped, **KW)
    assert (resumed.policy.W == whole.policy.W).all() and (resumed.kept == whole.kept).all()
    assert resumed.ledger == whole.ledger and resumed.history.to_csv() == whole.history.to_csv()


def test_all_parts_see_the_same_contexts(monkeypatch):
    "Groups of four repeat a context; without groups, and across sparse and sampled rewards and all behaviors, contexts are equal at every step."
    seen, proposed = {}, loop._proposed

    def watched(correct, *rest):
        seen[name].append(correct.x)
        return proposed(correct, *rest)

    monkeypatch.setattr(loop, "_proposed", watched)
    for name, (reward, behavior) in {**RUNS, "plain": (Outcome(), OnPolicy()), "plain groups": (Outcome(group_size=4), OnPolicy())}.items():
        seen[name] = []
        post_train(TASK, BASE, reward, behavior, **KW)
        seen[name] = np.array(seen[name])
    for name, (reward, _) in RUNS.items(): assert (seen[name] == seen["plain groups" if reward.group_size else "plain"]).all()
    assert len(np.unique(seen["plain"].reshape(-1, 4), axis=0)) == 30 * 16
    assert (seen["plain groups"] == np.repeat(seen["plain groups"][:, ::4], 4, axis=1)).all()


def test_weights_on_what_is_right_sample_nothing(monkeypatch):
    monkeypatch.setattr(LinearPolicy, "sample", None)
    assert post_train(TASK, BASE, guide["MaxRL"](), OnPolicy(), **KW).steps == 30


# every response of three tokens out of two, and one context
SMALL = LinearPolicy(Position(2, 2, 3), np.random.default_rng(0).normal(size=Position(2, 2, 3).n_features * 2).reshape(-1, 2))
Y = np.array(list(product(range(2), repeat=3)))
X = np.tile(np.random.default_rng(1).normal(size=2), (8, 1))
RIGHT = SMALL.encoder.path(np.tile([1, 0, 1], (8, 1)))
ALL = Batch(SMALL.forward(X, RIGHT), RIGHT.agreement(Y), Y)
Q0 = LinearPolicy(SMALL.encoder, np.random.default_rng(2).normal(size=SMALL.W.shape))
R = 1. * (ALL.verified == 3)


def p(W): return np.exp(LinearPolicy(SMALL.encoder, W).log_likelihood(X, Y))


def gradient(f, W, h=1e-5):
    found = np.zeros_like(W)
    for i in np.ndindex(W.shape):
        e = np.zeros_like(W)
        e[i] = h
        found[i] = (f(W + e) - f(W - e)) / (2 * h)
    return found


@pytest.mark.parametrize("reward, objective", [
    (guide["Share"](), lambda W: p(W) @ ALL.verified / 3),
    (guide["Form"](), lambda W: p(W) @ (R + .1 * (Y[:, -1] == 0))),
    (guide["Close"](Q0, .7), lambda W: p(W) @ (R - .7 * np.log(p(W) / p(Q0.W)))),
    (guide["Close"](LinearPolicy(SMALL.encoder), .7), lambda W: p(W) @ (R - .7 * np.log(p(W)))),
    (guide["Mistaken"](.4), lambda W: p(W) @ guide["Mistaken"](.4).judge(ALL, None).advantages[:, 0]),
], ids=["share", "form", "close to the base", "entropy", "persistent noise"])
def test_the_expected_update_is_the_gradient_of_the_objective(reward, objective):
    update = ALL.forward.score(p(SMALL.W)[:, None] * reward.judge(ALL, None).advantages)
    assert abs(update).max() > .01 and update == pytest.approx(gradient(objective, SMALL.W), abs=1e-9)


@pytest.mark.parametrize("G", [2, 3])
def test_MaxRL_is_the_truncated_logarithm_also_with_all_tokens_sampled(G):
    "In expectation over all groups: the sparse weights, the same as a baseline, and the centered baseline, which is one response short."
    members = np.stack([i.ravel() for i in np.indices((8,) * G)], axis=1).ravel()
    chance = np.repeat(p(SMALL.W)[members].reshape(-1, G).prod(axis=1), G)
    sampled = Batch(SMALL.forward(X[members], RIGHT[members]), ALL.verified[members], Y[members])
    right = sampled.correct.path

    def expected(baseline): return sampled.forward.score(chance[:, None] * Outcome(baseline=baseline, group_size=G).judge(sampled, None).advantages) / G
    def truncated(J): return lambda W: -sum((1 - p(W) @ R)**j / j for j in range(1, J + 1))

    verdict = guide["MaxRL"](group_size=G).judge(Batch(sampled.correct, sampled.verified), None)
    sparse = sampled.correct.score(right.count(verdict.credit) * (chance * verdict.advantages)[right.row_of_step]) / G
    assert sparse == pytest.approx(gradient(truncated(G), SMALL.W), abs=1e-9) and abs(sparse).max() > .01
    assert expected(guide["over_mean"]) == pytest.approx(sparse, abs=1e-12)
    assert expected(guide["centered"]) == pytest.approx(gradient(truncated(G - 1), SMALL.W), abs=1e-9)


def test_a_curriculum_pays_in_labels_for_what_it_shows():
    "Every response is either a label or a query, and the share only sinks."
    run = post_train(TASK, BASE.replicated(3), Outcome(), guide["Fading"](), **KW)
    assert (run.ledger.queries + run.ledger.labels == 30 * 16).all() and (run.ledger.labels > 0).all()
    assert run.behavior_state.shape == (3,) and (run.behavior_state <= .5).all()
