"A stack of policies is so many runs side by side: each is what it would be alone. Covers policy, behavior, stepsize, train."
import numpy as np
import pytest
from scipy import stats
from pgpost.behavior import Behavior, BestOf, Frozen, ImportanceWeighted, OnPolicy, SequenceMixture, StepwiseBestOf, TeacherForced, TokenMixture, Uniform
from pgpost.bounds import run_bound
from pgpost.features import ContextOnly, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adagrad, adaptive, constant
from pgpost.task import Task, coherent_tokens
from pgpost.train import pretrain, train

R, B, STEPS = 3, 2, 30


class Scripted(Behavior):
    "Proposals whose verified prefixes and tokens are given for every step, in place of draws."
    def __init__(self, lengths, tokens): self.lengths, self.tokens = iter(lengths), iter(tokens)
    def sample(self, correct, rng): return next(self.tokens)

    def propose(self, correct, reward, rng):
        return next(self.lengths), None


def given(batches):
    "Contexts that are given for every step, and again and again from the first."
    x = np.concatenate(batches)
    return lambda n, rng: np.resize(x, (n, x.shape[1]))


@pytest.mark.parametrize("reward", [Outcome(), Process(), Process(wrong=-1), Outcome(baseline="leave-one-out", group_size=2)],
                         ids=["outcome", "process", "signed", "leave-one-out"])
@pytest.mark.parametrize("stepsize", [constant(.1), adaptive(), adaptive(squared=True), adagrad(.1)], ids=["constant", "adaptive", "squared", "adagrad"])
@pytest.mark.parametrize("encoder", [LastToken(4, 3), ContextOnly(4, 3), Position(4, 3, N=5)], ids=repr)
def test_a_stack_equals_its_runs(encoder, stepsize, reward):
    "The same contexts, proposals and starts, in lockstep and one by one."
    rng, N, groups = np.random.default_rng(0), 5, B // (reward.group_size or 1)
    truth, starts = LinearPolicy(encoder, rng.normal(size=(encoder.n_features, 3))), rng.normal(size=(R, encoder.n_features, 3))
    x = rng.normal(size=(STEPS, R, groups, 4))
    lengths, tokens = rng.integers(N + 1, size=(STEPS, R, B)), rng.integers(3, size=(STEPS, R, B, N))
    right = truth.greedy(x.reshape(-1, 4), N).tokens().reshape(STEPS, R, groups, N).repeat(B // groups, axis=2)
    tokens = np.where(rng.random((STEPS, R, B, 1)) < .5, right, tokens)

    def run(start, x, lengths, tokens):
        return train(Task(given(x), truth, N), LinearPolicy(encoder, start), Scripted(lengths, tokens), reward, stepsize, STEPS, B,
                     evaluate=lambda policy: dict(), rng=0)

    together = run(starts, x.reshape(STEPS, R * groups, 4), lengths.reshape(STEPS, R * B), tokens.reshape(STEPS, R * B, N))
    for r in range(R):
        alone = run(starts[r], x[:, r], lengths[:, r], tokens[:, r])
        assert together.policy.W[r] == pytest.approx(alone.policy.W, abs=1e-12) and (alone.policy.W != starts[r]).any()
        assert together.ledger.queries[r] == alone.ledger.queries > 0
        assert together.error_sum[r] == pytest.approx(alone.error_sum, rel=1e-12)
        assert together.path_sum[r] == pytest.approx(alone.path_sum, rel=1e-12)
        history = together.history.query("replicate == @r").reset_index(drop=True)
        assert history.step.equals(alone.history.step) and history.queries.equals(alone.history.queries)


@pytest.mark.parametrize("behavior, reward", [
    (lambda q0: OnPolicy(), Process()), (Frozen, Outcome()), (lambda q0: Uniform(), Process()), (SequenceMixture, Outcome()), (TokenMixture, Process()),
    (lambda q0: BestOf(SequenceMixture(q0), 5), Outcome()), (lambda q0: StepwiseBestOf(TokenMixture(q0), 3), Process()),
    (lambda q0: ImportanceWeighted(Frozen(q0), 2), Outcome()), (lambda q0: TeacherForced(), Outcome())],
    ids=["on policy", "frozen", "uniform", "sequence mixture", "token mixture", "Algorithm 1", "Algorithm 2", "importance", "supervised"])
def test_replicates_and_single_runs_have_the_same_law(behavior, reward):
    "Queries and path sums of 400 replicates and of 150 runs: Kolmogorov-Smirnov and rank tests at 1e-4 each, 3 a behavior."
    task, rng = coherent_tokens(M=3, k=3, N=2, rng=0), np.random.default_rng(1)
    q0 = LinearPolicy(task.encoder, .5 * rng.normal(size=(3, 3)))
    kw = dict(stepsize=adaptive(), steps=12, every=12, evaluate=lambda policy: dict())
    stack = train(task, q0.replicated(400), behavior(q0), reward, rng=0, **kw)
    single = [train(task, q0, behavior(q0), reward, rng=1000 + s, **kw) for s in range(150)]
    for name in "path_sum", "error_sum":
        assert stats.ks_2samp(getattr(stack, name), [getattr(run, name) for run in single]).pvalue > 1e-4
    queries = [run.ledger.queries + run.ledger.labels for run in single]
    if len(set(queries)) > 1: assert stats.mannwhitneyu(stack.ledger.queries, queries).pvalue > 1e-4
    else: assert set(stack.ledger.queries + stack.ledger.labels) == set(queries)


def test_the_average_iterate_is_the_average_of_the_iterates_before_each_step():
    task, seen = coherent_tokens(M=3, k=3, N=2, rng=0), []
    run = pretrain(task, steps=7, every=1, stepsize=adaptive(), iterate="average", rng=0, evaluate=lambda policy: seen.append(policy.W) or {})
    assert run.iterate.W == pytest.approx(np.mean(seen[:-1], axis=0), abs=1e-14)
    assert pretrain(task, steps=7, stepsize=adaptive(), rng=0).iterate.W == pytest.approx(seen[-1], abs=0)


def test_the_random_iterate_is_uniform_over_those_before_each_step():
    "With one context all replicates walk the same path: which of 8 iterates each kept, in a chi-square test at 1e-5."
    task, seen, n = coherent_tokens(M=1, k=3, N=2, rng=0), [], 4000
    run = pretrain(task, LinearPolicy(task.encoder).replicated(n), steps=8, every=1, stepsize=adaptive(), iterate="random", rng=0,
                   evaluate=lambda policy: seen.append(policy.W[0]) or {})
    counts = [(run.iterate.W == W).all(axis=(1, 2)).sum() for W in seen]
    assert counts[-1] == 0 and sum(counts) == n
    assert stats.chisquare(counts[:-1]).pvalue > 1e-5


@pytest.mark.parametrize("iterate", ["random", "average"])
def test_what_is_kept_does_not_change_the_run(iterate):
    task = coherent_tokens(M=3, k=3, N=2, rng=0)
    plain, kept = (train(task, LinearPolicy(task.encoder), OnPolicy(), Process(), adaptive(), 50, iterate=i, rng=0) for i in ("last", iterate))
    assert (plain.policy.W == kept.policy.W).all() and plain.history.equals(kept.history)


@pytest.mark.parametrize("zeta", [1, 4, 100])
def test_path_bound_with_importance_weights(zeta):
    "With weights clipped to [1/zeta, zeta], in 20 replicates."
    task, T = coherent_tokens(M=2, k=2, N=2, rng=0), 3000
    start = LinearPolicy(task.encoder).replicated(20)
    bound = run_bound(task, task.centers, T, zeta=zeta)
    run = train(task, start, ImportanceWeighted(Uniform(), zeta), Outcome(), adaptive(), T, every=T, rng=0)
    assert (0 < run.path_sum).all() and (run.path_sum <= bound).all()


def test_importance_weights_scale_the_step():
    "One rewarded step by hand: the score times the clipped weight, which is 9 p(y*|x) for two uniform tokens of three."
    class Lucky(Uniform):
        def verified(self, correct, rng): return np.full(len(correct.x), 2)

    task = coherent_tokens(M=1, k=3, N=2, rng=0)
    start = LinearPolicy(task.encoder, task.W)
    p = np.exp(start.log_likelihood(np.eye(1), task.path(np.eye(1))))[0]
    g = start.score(np.eye(1), task.path(np.eye(1)).tokens(), np.ones((1, 2)))
    for zeta, weight in (1, 1), (2, 2), (np.inf, 9 * p):
        run = train(task, start, ImportanceWeighted(Lucky(), zeta), Outcome(), constant(.1), 1, rng=0)
        assert run.policy.W - start.W == pytest.approx(.1 * weight * g, abs=1e-12)
    assert 2 < 9 * p


@pytest.mark.parametrize("call, message", [
    (lambda p, t: p.replicated(2).forward(np.eye(3), t.path(np.eye(3))), "3 contexts do not make 2 equal groups"),
    (lambda p, t: p.replicated(2).sample(np.eye(3), 2), "3 contexts do not make 2 equal groups"),
    (lambda p, t: LinearPolicy(p.encoder, np.zeros((2, 2, 3))), "or (R, 3, 3) for R policies"),
    (lambda p, t: LinearPolicy(p.encoder, np.zeros((0, 3, 3))), "or (R, 3, 3) for R policies"),
    (lambda p, t: train(t, p.replicated(2), OnPolicy(), Outcome(baseline="mean"), adaptive(), 1, 4), "would mix the policies of a stack"),
    (lambda p, t: pretrain(t, steps=1, stepsize=adaptive(), iterate="best"), "iterate must be one of last, random, average, got 'best'"),
])
def test_errors(call, message):
    task = coherent_tokens(M=3, k=3, N=2, rng=0)
    with pytest.raises(ValueError) as caught: call(LinearPolicy(task.encoder), task)
    assert message in str(caught.value)
