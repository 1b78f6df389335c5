"Parts that do not fit are refused before the first step, in a sentence that says what is wrong. Covers core, features, reward, behavior, train."
from dataclasses import dataclass

import numpy as np
import pytest
from pgpost.behavior import Behavior, BestOf, Frozen, ImportanceWeighted, OnPolicy, SequenceBehavior, SequenceMixture, StepwiseBestOf
from pgpost.behavior import TeacherForced, TokenBehavior, TokenMixture, Uniform
from pgpost.features import ContextOnly, Encoder, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Ledger, Outcome, PrefixReward, Process, Reward, Verdict
from pgpost.stepsize import adaptive
from pgpost.task import coherent_tokens
from pgpost.train import train

SPARSE, SIGNED = Process(), Process(wrong=-1)
Q0 = LinearPolicy(ContextOnly(3, 3))


def run(behavior, reward, policy=Q0, steps=0):
    "Nothing is drawn and no step is taken before parts are checked."
    return train(coherent_tokens(M=3, k=3, N=2, rng=0), policy, behavior, reward, adaptive(), steps, batch_size=4, rng=0)


class Sampled(OnPolicy):
    def sample(self, correct, rng): return super().sample(correct, rng)


class Prefixed(OnPolicy):
    def verified(self, correct, rng): return super().verified(correct, rng)


class Tokens(OnPolicy):
    def log_q(self, correct): return super().log_q(correct)


class Proposed(OnPolicy):
    def propose(self, correct, reward, rng): return super().propose(correct, reward, rng)


class Weighted(OnPolicy):
    def weight(self, correct): return 2.


class Billed(OnPolicy):
    def cost(self, verdict): return Ledger(labels=np.ones_like(verdict.queries))


class Silent(Behavior):
    def propose(self, correct, reward, rng): return np.zeros(len(correct.x), int), Ledger()


class Graded(Process):
    def advantages(self, verified, N): return super().advantages(verified, N) / 2


class Unheard(Graded):
    sparse = True


class Heavy(Outcome):
    def weight(self, verified, N): return 2.


class Judged(Outcome):
    def judge(self, batch, rng): return super().judge(batch, rng)


class Boasting(Reward):
    sparse = True
    def judge(self, batch, rng): return Verdict(1., batch.verified, np.full(len(batch.x), batch.N))


class Misshapen(Reward):
    def judge(self, batch, rng): return Verdict(np.ones(batch.N), batch.verified)


class Costly(Outcome):
    def queries(self, verified, N): return 3 * np.ones_like(verified)


class Half(Process):
    def credit(self, verified, N): return np.asarray(verified) // 2


@dataclass(frozen=True)
class Field(Behavior):
    weight: float
    def propose(self, correct, reward, rng): return np.zeros(len(correct.x), int), Ledger()


@pytest.mark.parametrize("kind, method", [(Reward, "judge"), (PrefixReward, "queries"), (Behavior, "propose"), (SequenceBehavior, "log_likelihood"), (TokenBehavior, "log_q"), (Encoder, "n_states")])
def test_what_is_not_finished_cannot_be_made(kind, method):
    with pytest.raises(TypeError, match=f"abstract class {kind.__name__} .*{method}"): kind(*[2, 2] * (kind is Encoder))


def test_the_method_that_is_forgotten_is_named():
    class NoQueries(PrefixReward):
        def credit(self, verified, N): return verified
    class NoSample(TokenBehavior):
        def log_q(self, correct): return correct.path, correct.log_p
    class NoState(Encoder):
        n_features = n_states = 3
        def h(self, x, row, state): return x[row]
    for make, method in (NoQueries, "queries"), (NoSample, "sample"), (lambda: NoState(2, 2), "advance"):
        with pytest.raises(TypeError, match=f"abstract .*{method}"): make()


@pytest.mark.parametrize("behavior, reward, message", [
    (OnPolicy(), Unheard(), "Unheard overrides advantages, but is sparse, and asked for the weight of the credited prefix"),
    (OnPolicy(), Heavy(wrong=-1), "Heavy overrides weight, but is not sparse, and asked for advantages"),
    (Sampled(), SPARSE, "Sampled overrides sample, but a sparse reward asks for propose or verified or log_q, which is that of OnPolicy"),
    (Prefixed(), SIGNED, "Prefixed overrides verified, but a reward that is not sparse asks for sample, which is that of OnPolicy"),
    (Tokens(), SIGNED, "Tokens overrides log_q, but a reward that is not sparse asks for sample"),
    (Proposed(), SIGNED, "Proposed overrides propose, but a reward that is not sparse asks for sample"),
    (Weighted(), SIGNED, "Weighted overrides weight, but a reward that is not sparse does not ask for it"),
    (Silent(), SIGNED, "Silent proposes no tokens: it works with sparse rewards only, got "),
    (Field(.5), SPARSE, "Field has a field weight, which is the name of a method of Behavior: it needs another name"),
    (BestOf(SequenceMixture(Q0), 3), Process(), "BestOf is for Outcome rewards, got Process("),
    (BestOf(SequenceMixture(Q0), 3), Costly(), "BestOf is for Outcome rewards as they are, but Costly overrides queries"),
    (BestOf(SequenceMixture(Q0), 3), Judged(), "BestOf is for Outcome rewards as they are, but Judged overrides judge"),
    (BestOf(SequenceMixture(Q0), 3), Outcome(wrong=-1), "BestOf proposes no tokens"),
    (StepwiseBestOf(TokenMixture(Q0), 3), Outcome(), "StepwiseBestOf is for Process rewards, got Outcome("),
    (StepwiseBestOf(TokenMixture(Q0), 3), Half(), "StepwiseBestOf is for Process rewards as they are, but Half overrides credit"),
    (ImportanceWeighted(Uniform(), 2), Process(), "ImportanceWeighted is for Outcome rewards"),
    (ImportanceWeighted(Sampled(), 2), Outcome(), "Sampled overrides sample, but a sparse reward"),
    (Behavior, SPARSE, "behavior must be a Behavior, got <class "),
    (OnPolicy(), "process", "reward must be a Reward, got 'process'"),
    (Frozen(LinearPolicy(ContextOnly(4, 3))), SPARSE, "a base policy q0 on ContextOnly(d=4, k=3) does not fit a task on ContextOnly(d=3, k=3)"),
    (StepwiseBestOf(Frozen(LinearPolicy(LastToken(3, 5))), 3), Process(), "a base policy q0 on LastToken(d=3, k=5) does not fit"),
    (ImportanceWeighted(Frozen(LinearPolicy(LastToken(3, 5))), 3), Outcome(), "a base policy q0 on LastToken(d=3, k=5) does not fit"),
    (Frozen(Q0.replicated(2)), SPARSE, "a base policy q0 of 2 replicates does not fit LinearPolicy("),
])
def test_parts_that_do_not_go_together(behavior, reward, message):
    with pytest.raises(ValueError) as caught: run(behavior, reward)
    assert message in str(caught.value)


@pytest.mark.parametrize("make, message", [
    (lambda: BestOf(BestOf(Uniform(), 2), 2), "the fallback q of BestOf must be a SequenceBehavior, got BestOf("),
    (lambda: BestOf(Q0, 2), "the fallback q of BestOf must be a SequenceBehavior, got LinearPolicy("),
    (lambda: BestOf(Prefixed(), 2), "Prefixed overrides verified, but BestOf asks for log_likelihood or log_q, which is that of OnPolicy"),
    (lambda: BestOf(Weighted(), 2), "Weighted overrides weight, but BestOf does not ask for it"),
    (lambda: StepwiseBestOf(SequenceMixture(Q0), 2), "the fallback q of StepwiseBestOf must be a TokenBehavior, got SequenceMixture("),
    (lambda: StepwiseBestOf(Sampled(), 2), "Sampled overrides sample, but StepwiseBestOf asks for log_q, which is that of OnPolicy"),
    (lambda: ImportanceWeighted(StepwiseBestOf(Uniform(), 2), 2), "q must be a SequenceBehavior, got StepwiseBestOf("),
    (lambda: ImportanceWeighted(Weighted(), 2), "Weighted overrides weight, but ImportanceWeighted does not ask for it"),
    (lambda: Frozen(Q0.encoder), "q0 must be a LinearPolicy, got ContextOnly("),
    (lambda: TokenMixture(None), "q0 must be a LinearPolicy, got None"),
])
def test_parts_of_parts_are_checked_when_they_are_made(make, message):
    with pytest.raises(ValueError) as caught: make()
    assert message in str(caught.value)


@pytest.mark.parametrize("behavior, reward", [
    (Sampled(), SIGNED), (Prefixed(), SPARSE), (Tokens(), SPARSE), (Proposed(), SPARSE), (Weighted(), SPARSE), (Billed(), SPARSE), (Billed(), SIGNED),
    (Silent(), SPARSE), (OnPolicy(), Heavy()), (BestOf(TokenMixture(Q0), 2), Heavy()), (OnPolicy(), Judged()),
    (OnPolicy(), Graded()), (OnPolicy(), Graded(wrong=-1)), (OnPolicy(), Graded(baseline="mean")), (OnPolicy(), Half()), (OnPolicy(), Costly()),
    (TeacherForced(), Costly()), (BestOf(TeacherForced(), 1), Outcome()), (BestOf(TokenMixture(Q0), 2), Outcome()),
    (ImportanceWeighted(Prefixed(), 2), Outcome())])
def test_whoever_is_heard_is_not_refused(behavior, reward):
    assert run(behavior, reward, steps=2).steps == 2


@pytest.mark.parametrize("reward, message", [
    (Boasting(), "Boasting is sparse: its verdict needs a credit for each response, at most the length of the verified prefix"),
    (Misshapen(), "Misshapen has advantages of shape (2,), wanted is (4, 2)"),
    (Outcome(baseline=lambda groups: groups.sum(axis=1)), "turns rewards of shape (1, 4, 2) into advantages of shape (1, 2)")])
def test_a_verdict_that_does_not_go_with_the_batch(reward, message):
    with pytest.raises(ValueError) as caught: run(OnPolicy(), reward, steps=5)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind, method", [(LastToken, "h"), (LastToken, "advance"), (ContextOnly, "h"), (Position, "h"), (TeacherForced, "log_q"), (Proposed, "verified"), (BestOf, "cost"), (Judged, "queries")])
def test_a_class_that_would_not_be_heard_is_refused_where_it_is_defined(kind, method):
    with pytest.raises(TypeError, match=f"Quiet overrides {method}, but takes \\w+ from {kind.__name__}, which does not say that it calls it"):
        type("Quiet", (kind,), {method: lambda self, *args: None})


def test_a_class_that_replaces_the_default_as_well_is_heard():
    class Scaled(LastToken):
        logits, pull_back = Encoder.logits, Encoder.pull_back
        def h(self, x, row, state): return 2 * super().h(x, row, state)
    x, y = np.random.default_rng(0).normal(size=(4, 2)), np.random.default_rng(1).integers(3, size=(4, 5))
    W = np.random.default_rng(2).normal(size=(5, 3))
    plain, scaled = LinearPolicy(LastToken(2, 3), 2 * W), LinearPolicy(Scaled(2, 3), W)
    assert scaled.log_likelihood(x, y) == pytest.approx(plain.log_likelihood(x, y), rel=1e-12)
    assert scaled.score(x, y, np.ones(y.shape)) == pytest.approx(2 * plain.score(x, y, np.ones(y.shape)), rel=1e-12)
