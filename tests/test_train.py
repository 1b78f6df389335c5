"Guarantees that hold on every run, step sizes against hand computation, and reproducibility. Covers stepsize, task, train."
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import Frozen, OnPolicy, SequenceMixture, TeacherForced, TokenMixture, Uniform
from pgpost.bounds import run_bound
from pgpost.features import LastToken
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adagrad, adaptive, constant
from pgpost.task import Task, coherent_tokens, finite_contexts, gaussian_mixture
from pgpost.train import _Contexts, _seed_of, _streams, RunInterrupted, post_train, pretrain, train
from tqdm import tqdm


@pytest.mark.slow
@pytest.mark.parametrize("behavior, reward", [(TeacherForced(), Outcome()), (OnPolicy(), Outcome()), (OnPolicy(), Process()), (Uniform(), Outcome()), (Uniform(), Process())],
                         ids=["supervised", "outcome", "process", "uniform outcome", "uniform process"])
def test_path_bound_where_it_bites(behavior, reward):
    "A run that takes the adaptive step stays below the bound, one that does not learn breaks it."
    task, T = coherent_tokens(M=1, k=2, N=2, rng=0), 6000
    start = LinearPolicy(task.encoder)
    bound = run_bound(task, np.eye(1), T, start)
    learns, stays = (train(task, start, behavior, reward, s, T, every=T, rng=0) for s in (adaptive(), constant(1e-9)))
    assert 5 < learns.path_sum <= bound < stays.path_sum


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("make", [lambda q0: OnPolicy(), Frozen, SequenceMixture, TokenMixture], ids=["on policy", "frozen", "sequence mixture", "token mixture"])
@pytest.mark.parametrize("reward", [Outcome(), Process()], ids=["outcome", "process"])
def test_path_bound_with_last_token_features(make, reward, batch_size):
    "Random tasks whose features have norm sqrt(2), a base policy as start and as behavior."
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    task = Task(finite_contexts(x), LinearPolicy(LastToken(4, 4), rng.normal(size=(8, 4))), N=10)
    base = pretrain(task, steps=200, stepsize=adaptive(), rng=0).policy
    run = train(task, base, make(base), reward, adaptive(), 1000, batch_size, every=1000, rng=1)
    assert 0 < run.path_sum <= run_bound(task, x, 1000, base)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), N=st.integers(1, 40), n=st.integers(1, 6), logscale=st.floats(-2, 2), R=st.sampled_from([1., 3.]))
def test_every_adaptive_step_moves_towards_every_better_policy(seed, N, n, logscale, R):
    "|W' - U|^2 <= |W - U|^2 - eta l + 2 eta l(U) for any W, U and credited prefixes: the inequality from which the path bound is summed."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    x *= np.sqrt(2 * R**2 - 1) / np.linalg.norm(x, axis=1, keepdims=True)  # |h| = sqrt(2) R
    y, weights = rng.integers(4, size=(n, N)), np.arange(N) < rng.integers(N + 1, size=(n, 1))
    W, U = 10**logscale * rng.normal(size=(2, 7, 4))
    policy, other = LinearPolicy(LastToken(3, 4), W), LinearPolicy(LastToken(3, 4), U)
    g = policy.score(x, y, weights) / n
    step, _ = adaptive(R).update(g, None)
    eta = 1 / (4 * R**2 + 2 * R * np.linalg.norm(g))
    loss, loss_U = (-(weights * p.token_log_likelihood(x, y)).sum() / n for p in (policy, other))
    assert step == pytest.approx(eta * g, rel=1e-12)
    left, right = ((W + step - U)**2).sum(), ((W - U)**2).sum() - eta * loss + 2 * eta * loss_U
    assert left <= right * (1 + 1e-12)


def test_adagrad_by_hand_over_a_run():
    "Three steps of a run, recomputed with nothing but the definition and the scores."
    task = gaussian_mixture(d=4, k=3, N=5, n_components=4, rng=0)
    run = pretrain(task, steps=3, batch_size=8, stepsize=adagrad(.1), rng=0)
    contexts, W, S = _Contexts(task, 8, 1, _streams(_seed_of(0))["contexts"]), np.zeros((7, 3)), np.zeros((7, 3))
    for step in range(3):
        x, path = contexts.at(step)
        y = path.tokens()
        g = LinearPolicy(task.encoder, W).score(x, y, np.ones((8, 5))) / 8
        S += g**2
        W += .1 * g / (np.sqrt(S) + 1e-10)
    assert run.policy.W == pytest.approx(W, abs=1e-9)
    assert run.stepsize_state == pytest.approx(S, abs=1e-9)


def test_adagrad_equals_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    rng = np.random.default_rng(0)
    weight = torch.nn.Parameter(torch.zeros(6, dtype=torch.float64))
    optimizer, ours, W = torch.optim.Adagrad([weight], lr=.1), adagrad(.1), np.zeros(6)
    state = ours.init(W)
    for g in rng.normal(size=(50, 6)) * 10.**rng.integers(-8, 3, size=(50, 1)):
        weight.grad = torch.tensor(-g)
        optimizer.step()
        change, state = ours.update(g, state)
        W = W + change
    assert W == pytest.approx(weight.detach().numpy(), rel=1e-12, abs=1e-15)


def test_average_error_is_the_average_over_iterates():
    "With a single context the error on a batch is the error: of the iterates before each step, and not of the last."
    task = Task(finite_contexts(np.ones((1, 3))), LinearPolicy(LastToken(3, 4), np.random.default_rng(0).normal(size=(7, 4))), N=5)
    run = pretrain(task, steps=40, every=1, stepsize=adaptive(), rng=0)
    assert run.average_error == pytest.approx(run.history.test_error[:-1].mean(), rel=1e-12)
    assert np.isnan(run.history.average_error[0]) and len(run.rows) == 41


def test_runs_repeat_to_the_last_bit():
    task = gaussian_mixture(d=8, k=8, N=16, n_components=8, rng=0)
    kw = dict(steps=40, batch_size=32, stepsize=adagrad(.1), rng=3)
    base = pretrain(task, **kw)
    for reward in "outcome", "process", Outcome(wrong=-1, baseline="mean"), Process(wrong=-1):
        one, two = (post_train(task, base.policy, reward, **kw) for _ in range(2))
        assert (one.policy.W == two.policy.W).all() and one.history.equals(two.history)
    other = post_train(task, base.policy, "outcome", **{**kw, "rng": 4})
    assert (other.policy.W != one.policy.W).any()


def test_an_interrupted_run_is_the_beginning_of_the_whole():
    task = gaussian_mixture(d=8, k=8, N=16, n_components=8, rng=0)
    whole = pretrain(task, steps=40, batch_size=32, every=5, stepsize=adagrad(.1), rng=0)

    def stop(steps):
        for i in steps:
            if i == 20: raise KeyboardInterrupt
            yield i

    with pytest.raises(RunInterrupted) as caught: pretrain(task, steps=40, batch_size=32, every=5, stepsize=adagrad(.1), rng=0, progress=stop)
    part = caught.value.run
    assert part.steps == 20 and part.history.equals(whole.history[:len(part.rows)]) and part.rows[-1]["step"] == 20


def test_an_interrupt_inside_a_step_leaves_a_whole_run():
    "Ctrl-C may arrive anywhere: what is kept is the run after the last complete step."
    class Interrupted(OnPolicy):
        def cost(self, verdict):
            if len(costs) == 7: raise KeyboardInterrupt
            costs.append(super().cost(verdict))
            return costs[-1]

    costs, task = [], gaussian_mixture(d=8, k=8, N=16, n_components=8, rng=0)
    with pytest.raises(RunInterrupted) as caught: train(task, LinearPolicy(task.encoder), Interrupted(), Process(), adaptive(), 40, rng=0)
    run = caught.value.run
    assert run.steps == 7 and run.ledger.queries == sum(c.queries.sum() for c in costs) and 0 <= run.average_error <= 1


def test_a_policy_with_other_features_can_learn():
    "The path of the task is walked again with the policy's own states."
    task = coherent_tokens(M=3, k=3, N=4, rng=0)
    run = train(task, LinearPolicy(LastToken(3, 3)), TeacherForced(), Outcome(), adaptive(), 300, rng=0)
    assert run.history.test_error.iloc[-1] < .2 < run.history.test_error.iloc[0]


@pytest.mark.parametrize("every", [1, 7])
def test_until_ends_a_run_at_the_first_row_that_fulfils_it(every):
    "The shorter run, to the last bit; and the condition is asked for rows only."
    task = gaussian_mixture(d=8, k=8, N=16, n_components=8, rng=0)
    kw, asked = dict(batch_size=32, every=every, stepsize=adagrad(.1), rng=0, iterate="random"), []
    whole = pretrain(task, steps=60, **kw)
    target = whole.history.test_error[10]
    run = pretrain(task, steps=60, until=lambda row: asked.append(row["step"]) or row["test_error"] <= target, **kw)
    assert run.steps == next(row["step"] for row in whole.rows if row["test_error"] <= target) and 0 < run.steps < 60
    assert asked == [row["step"] for row in run.rows] and asked[-1] == run.steps
    short = pretrain(task, steps=run.steps, **kw)
    assert (run.policy.W == short.policy.W).all() and (run.kept == short.kept).all() and run.history.equals(short.history)


def counting(iterable, **about):
    "A callable like tqdm that keeps what it is told."
    seen.append((len(iterable), about))
    yield from iterable


seen = []


@pytest.mark.parametrize("progress, shown", [(False, ""), (True, "step/s"), (tqdm, "12/12"), (partial(tqdm, unit="update"), "update/s"), (iter, ""), (counting, "")])
def test_progress_is_shown_and_changes_nothing(progress, shown, capsys):
    task = gaussian_mixture(d=4, k=4, N=4, n_components=4, rng=0)
    kw = dict(steps=12, stepsize=adagrad(.1), rng=0)
    run = pretrain(task, progress=progress, **kw)
    said = capsys.readouterr()
    assert (shown in said.err if shown else said.err == "") and said.out == ""
    assert (run.policy.W == pretrain(task, **kw).policy.W).all() and run.steps == 12
    if progress is counting: assert seen == [(12, {})]
