"Equal seeds give equal contexts, whatever the parts, and a run that was stopped goes on as if nothing had happened. Covers train, checkpoint, reward, behavior, stepsize."
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import BestOf, Frozen, ImportanceWeighted, OnPolicy, SequenceMixture, StepwiseBestOf, TeacherForced, TokenBehavior, TokenMixture, Uniform
from pgpost.checkpoint import load_run, save_run
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import StepSize, adagrad, adaptive, constant
from pgpost.task import gaussian_mixture
from pgpost.train import RunInterrupted, _Contexts, _Stream, train

TASK = gaussian_mixture(d=4, k=4, N=6, n_components=4, rng=0)
BASE = LinearPolicy(TASK.encoder, .3 * TASK.W)


@dataclass(frozen=True)
class Teacher(TokenBehavior):
    "The correct tokens, mixed in less the better the policy is: the share is the state."
    share: float = .9
    def init(self, policy): return dict(share=np.array(self.share), seen=[0])
    def update(self, state, batch, verdict):
        return dict(share=state["share"] * (1 - .1 * (batch.verified / batch.N).mean()), seen=[*state["seen"][-3:], int(verdict.queries.sum())])
    def log_q(self, correct): return correct.path, np.log(correct.state["share"] + (1 - correct.state["share"]) * np.exp(correct.log_p))
    def sample(self, correct, rng):
        taught = rng.random((len(correct.x), correct.path.N)) < correct.state["share"]
        return np.where(taught, correct.path.tokens(), OnPolicy().sample(correct, rng))


@dataclass(frozen=True)
class Noisy(Process):
    "A verdict of right that is missed now and then, from an rng of the reward's own; counts what it missed."
    rho: float = .1
    def init(self, policy): return 0
    def update(self, state, batch, verdict): return state + int((batch.verified - verdict.credit).sum())
    def judge(self, batch, rng):
        missed = rng.random((len(batch.x), batch.N)) < self.rho
        heard = np.where(missed.any(axis=1), missed.argmax(axis=1), batch.N)
        return super().judge(replace(batch, verified=np.minimum(batch.verified, heard)), rng)


@dataclass(frozen=True)
class SuccessOnly(Outcome):
    group_size: int = 4
    def weight(self, verified, N):
        right = (verified == N).reshape(-1, self.group_size)
        return (right / np.maximum(right.mean(axis=1, keepdims=True), 1 / self.group_size)).ravel()


def momentum(eta):
    def update(g, state, W):
        m = .9 * state[0] + g
        return eta * m - .001 * W, (m, state[1] + 1)
    return StepSize(lambda W: (np.zeros_like(W), 0), update)


PARTS = {
    "outcome": (OnPolicy(), Outcome()), "process": (OnPolicy(), Process()), "signed": (OnPolicy(), Process(wrong=-1)), "baseline": (OnPolicy(), Outcome(wrong=-1, baseline="mean")),
    "noise": (OnPolicy(), Noisy()), "curriculum": (Teacher(), Outcome()), "curriculum, signed": (Teacher(), Outcome(wrong=-1)), "frozen": (Frozen(BASE), Process()),
    "mixture": (SequenceMixture(BASE), Outcome()), "token mixture": (TokenMixture(BASE), Process(wrong=-1)), "labels": (TeacherForced(), Outcome()),
    "importance": (ImportanceWeighted(Uniform(), 2.), Outcome()), "Algorithm 1": (BestOf(SequenceMixture(BASE), 5), Outcome()),
    "Algorithm 2": (StepwiseBestOf(TokenMixture(BASE), 5), Process()), "a teacher as fallback": (StepwiseBestOf(Teacher(), 2), Process())}
GROUPS = {"normalized": (OnPolicy(), Outcome(baseline="normalized", group_size=4)), "success only": (OnPolicy(), SuccessOnly()),
          "plain in groups": (Uniform(), Process(group_size=4))}


def contexts_of(behavior, reward, **kw):
    "The contexts of every step of a run, and the run."
    seen = []
    class Watched(type(TASK)):
        def path(self, x):
            if len(x) <= 8: seen.append(x.copy())  # not the held-out ones
            return super().path(x)
    task = Watched(TASK.contexts, TASK.truth, TASK.N)
    kw = dict(steps=40, batch_size=8, evaluate=lambda policy: {}, rng=3) | kw
    run = train(task, BASE, behavior, reward, kw.pop("stepsize", adaptive()), **kw)
    return np.array(seen), run


@pytest.mark.parametrize("parts", [PARTS, GROUPS], ids=["one response to a context", "groups of four"])
def test_equal_seeds_give_equal_contexts_whatever_the_parts(parts):
    first = None
    for behavior, reward in parts.values():
        seen, _ = contexts_of(behavior, reward)
        if first is None: first = seen
        assert len(seen) == 40 and (seen == first).all()
    assert len(np.unique(first.reshape(-1, 4), axis=0)) == first.shape[0] * first.shape[1]
    assert (contexts_of(behavior, reward, rng=4)[0] != first).all()


@pytest.mark.parametrize("change", [dict(every=1), dict(iterate="random"), dict(iterate="average"), dict(evaluate=None)], ids=str)
@pytest.mark.parametrize("parts", ["signed", "noise", "Algorithm 2", "curriculum"])
def test_what_is_looked_at_does_not_change_the_run(parts, change):
    one, other = contexts_of(*PARTS[parts])[1], contexts_of(*PARTS[parts], **change)[1]
    assert (one.policy.W == other.policy.W).all() and one.ledger == other.ledger


def test_the_draws_of_one_part_do_not_change_those_of_another():
    "The verifier's misses do not depend on how many draws a proposal took."
    missed = []
    class Watched(Noisy):
        def judge(self, batch, rng):
            missed.append(rng.random())
            return super().judge(batch, rng)
    class Dense(Watched):
        sparse = False
    for reward in Watched(), Dense(): contexts_of(OnPolicy(), reward)
    assert missed[:40] == missed[40:] and len(set(missed)) == 40


def test_a_generator_that_is_given_twice_makes_two_runs():
    rng = np.random.default_rng(0)
    one, two = (contexts_of(OnPolicy(), Outcome(), rng=rng)[0] for _ in range(2))
    assert (one != two).all()


@settings(max_examples=60, deadline=None)
@given(parts=st.sampled_from([*PARTS.values(), *GROUPS.values()]), iterate=st.sampled_from(["last", "random", "average"]), stop=st.integers(0, 30), again=st.integers(0, 30),
       stepsize=st.sampled_from([constant(.1), adaptive(), adagrad(.1), momentum(.05)]), R=st.sampled_from([None, 3]), by_file=st.booleans())
def test_a_stopped_run_goes_on_to_the_bit(parts, iterate, stop, again, stepsize, R, by_file):
    behavior, reward = parts
    if R and getattr(reward, "baseline", None) and not reward.group_size: reward = replace(reward, group_size=4)
    policy = BASE if R is None else BASE.replicated(R)
    call = dict(steps=31, batch_size=8, every=7, iterate=iterate, rng=5)

    def stopped(at, run=None):
        def progress(steps):
            for i in steps:
                if i == at: raise KeyboardInterrupt
                yield i
        try: return train(TASK, policy, behavior, reward, stepsize, run=run, progress=progress, **call)
        except RunInterrupted as stop: return stop.run

    def moved(run):
        if not by_file: return run
        with TemporaryDirectory() as folder:
            save_run(run, f"{folder}/run.npz")
            return load_run(f"{folder}/run.npz", TASK.encoder)

    whole = train(TASK, policy, behavior, reward, stepsize, **call)
    part = stopped(stop)
    assert part.steps == stop
    part = moved(stopped(again, moved(part)))
    resumed = train(TASK, policy, behavior, reward, stepsize, run=part, **call)
    assert (resumed.policy.W == whole.policy.W).all() and (resumed.iterate.W == whole.iterate.W).all()
    assert np.array_equal([resumed.ledger.queries, resumed.ledger.labels], [whole.ledger.queries, whole.ledger.labels])
    assert np.array_equal([resumed.error_sum, resumed.path_sum], [whole.error_sum, whole.path_sum])
    assert resumed.history.to_csv() == whole.history.to_csv()
    assert repr(resumed.behavior_state) == repr(whole.behavior_state) and repr(resumed.reward_state) == repr(whole.reward_state)


@pytest.mark.parametrize("parts", ["noise", "curriculum"])
def test_the_same_objects_start_afresh(parts):
    one, two = (contexts_of(*PARTS[parts])[1] for _ in range(2))
    assert (one.policy.W == two.policy.W).all() and repr(one.behavior_state) == repr(two.behavior_state)
    assert repr(one.behavior_state) != repr(PARTS[parts][0].init(BASE)) or one.reward_state != 0


def test_contexts_do_not_depend_on_how_many_are_drawn_at_once_before():
    "Steps in any order, and a step whose block has to be drawn anew."
    stream = _Stream(np.random.SeedSequence(0))
    in_order = _Contexts(TASK, 100, 1, stream)
    x = [in_order.at(step)[0].copy() for step in range(100)]
    other = _Contexts(TASK, 100, 1, _Stream(np.random.SeedSequence(0)))
    for step in np.random.default_rng(0).permutation(100).tolist(): assert (other.at(step)[0] == x[step]).all()


def test_steps_of_a_stream_look_independent():
    "Means of products of neighbouring steps, over 20,000 steps: each within 5 standard errors, false alarm 4e-6 for the seven lags."
    stream = _Stream(np.random.SeedSequence(1))
    u = np.array([stream.at(step).random() for step in range(20_000)]) - .5
    for lag in 1, 2, 3, 5, 8, 13, 21: assert abs((u[lag:] * u[:-lag]).mean()) < 5 / 12 / np.sqrt(20_000 - lag)
