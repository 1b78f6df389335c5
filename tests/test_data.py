"Tasks from data: given labels, and verifiers of many correct responses, against enumeration. Covers task, train."
from itertools import product

import numpy as np
import pytest
from pgpost.behavior import BestOf, OnPolicy, SequenceMixture, TeacherForced
from pgpost.features import ContextOnly, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, Process
from pgpost.stepsize import adaptive, constant
from pgpost.task import Task, VerifiedTask, correct_likelihood, finite_contexts
from pgpost.train import Run, _step, post_train, pretrain, train

K, N = 3, 4
EVERY = np.array(list(product(range(K), repeat=N)))


def make(encoder, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 2))
    return x, LinearPolicy(encoder, rng.normal(size=(encoder.n_features, K)))


def even(x, y): return y.sum(axis=1) % 2 == (x[:, 0] > 0)


def first_half(x, y): return (y[:, 0] == (x[:, 0] > 0)) & ((y.shape[1] < 2) | (y[:, :2].sum(axis=1) <= 2))


def enumerated(policy, x, weight):
    "Gradient of the mean over contexts of the expectation of `weight(context, prefix-lengths...)`: sum over responses of p w grad log p."
    total = 0.
    for c in x:
        many = np.tile(c, (len(EVERY), 1))
        p = np.exp(policy.log_likelihood(many, EVERY))
        total = total + policy.score(many, EVERY, p[:, None] * weight(many))
    return total / len(x)


@pytest.mark.parametrize("encoder", [LastToken(2, K), ContextOnly(2, K), Position(2, K, N)], ids=repr)
def test_labels_of_a_ground_truth_make_the_same_runs(encoder):
    x, truth = make(encoder)
    plain = Task(finite_contexts(x), truth, N)
    given = Task.from_labels(x, truth.greedy(x, N).tokens(), encoder)
    kw = dict(steps=60, batch_size=4, stepsize=adaptive(), rng=1)
    for reward in "outcome", "process", Outcome(baseline="leave-one-out", group_size=2):
        one, two = (post_train(task, LinearPolicy(encoder), reward, **kw) for task in (plain, given))
        assert one.policy.W == pytest.approx(two.policy.W, abs=1e-12) and one.ledger == two.ledger
    assert pretrain(plain, **kw).policy.W == pytest.approx(pretrain(given, **kw).policy.W, abs=1e-12)


def test_any_labels_can_be_learned_by_a_policy_of_each_position():
    rng = np.random.default_rng(0)
    task = Task.from_labels(np.eye(6), rng.integers(K, size=(6, N)), Position(6, K, N))
    assert pretrain(task, steps=2000, batch_size=6, stepsize=constant(.5), rng=0).history.test_error.iloc[-1] < .05


@pytest.mark.parametrize("verify", [even, first_half])
@pytest.mark.parametrize("encoder", [LastToken(2, K), ContextOnly(2, K)], ids=repr)
def test_the_expected_update_is_the_gradient_of_the_likelihood_of_a_correct_response(encoder, verify):
    "By enumeration, by finite differences, and as the mean of 2000 sampled updates: no entry off by more than 5 standard errors, false alarm below 1e-4."
    x, policy = make(encoder)
    task = VerifiedTask(finite_contexts(x), verify, encoder, N)
    exact = enumerated(policy, x, lambda many: np.repeat(verify(many, EVERY)[:, None] * 1., N, axis=1))

    def likelihood(W): return correct_likelihood(task, LinearPolicy(encoder, W), x)[0].mean()
    for i, j in np.ndindex(policy.W.shape):
        bump = np.zeros_like(policy.W)
        bump[i, j] = 1e-5
        assert (likelihood(policy.W + bump) - likelihood(policy.W - bump)) / 2e-5 == pytest.approx(exact[i, j], abs=1e-8)

    rng, many = np.random.default_rng(0), np.repeat(x, 20, axis=0)
    class Sampled(Outcome):
        sparse = False
    for reward in Outcome(), Sampled():
        updates, errors = [], []
        for _ in range(1000):
            run = _step(Run(policy, None), many, task.path(many), OnPolicy(), reward, constant(1.), rng, rng)
            updates.append(run.policy.W - policy.W)
            errors.append(run.error_sum)
        assert (abs(np.mean(updates, axis=0) - exact) <= 5 * np.std(updates, axis=0) / np.sqrt(1000) + 1e-12).all()
        assert abs(np.mean(errors) - (1 - likelihood(policy.W))) <= 5 * np.std(errors) / np.sqrt(1000)


def test_process_rewards_of_a_verifier_of_prefixes():
    "Mean of 2000 sampled updates and queries against enumeration: 5 standard errors, false alarm below 1e-4."
    encoder = LastToken(2, K)
    x, policy = make(encoder)
    task = VerifiedTask(finite_contexts(x), first_half, encoder, N, prefixes=True)
    def accepted(many): return np.logical_and.accumulate(np.stack([first_half(many, EVERY[:, :i]) for i in range(1, N + 1)], axis=1), axis=1)
    exact = enumerated(policy, x, lambda many: accepted(many) * 1.)
    def expected(many): return np.exp(policy.log_likelihood(many, EVERY)) @ np.minimum(accepted(many).sum(axis=1) + 1, N)
    queries = np.mean([expected(np.tile(c, (len(EVERY), 1))) for c in x])
    rng, many, updates, spent = np.random.default_rng(0), np.repeat(x, 20, axis=0), [], []
    for _ in range(1000):
        run = _step(Run(policy, None), many, task.path(many), OnPolicy(), Process(), constant(1.), rng, rng)
        updates.append(run.policy.W - policy.W)
        spent.append(run.ledger.queries / len(many))
    assert (abs(np.mean(updates, axis=0) - exact) <= 5 * np.std(updates, axis=0) / np.sqrt(1000) + 1e-12).all()
    assert abs(np.mean(spent) - queries) <= 5 * np.std(spent) / np.sqrt(1000)


def test_a_verifier_of_the_one_correct_response_is_the_plain_task_in_law():
    "Errors after 40 steps of 100 runs each: means within 5 standard errors. A stack of them learns as well."
    encoder = LastToken(2, K)
    x, truth = make(encoder)
    plain = Task(finite_contexts(x), truth, N)
    verified = VerifiedTask(plain.contexts, lambda c, y: (plain.path(c).tokens() == y).all(axis=1), encoder, N)
    start = LinearPolicy(encoder, .5 * truth.W)
    evaluate = lambda policy: dict(error=1 - np.exp(policy.log_likelihood(x, plain.path(x))).mean())
    final = [np.array([post_train(task, start, "outcome", steps=40, batch_size=4, stepsize=adaptive(), evaluate=evaluate, every=40, rng=seed).rows[-1]["error"]
                       for seed in range(100)]) for task in (plain, verified)]
    assert abs(final[0].mean() - final[1].mean()) < 5 * np.hypot(*(f.std() / 10 for f in final))
    stack = post_train(verified, start.replicated(5), Outcome(baseline="mean", group_size=2), steps=150, batch_size=4, stepsize=adaptive(), every=150, rng=0)
    assert (stack.rows[-1]["test_error"] < stack.rows[0]["test_error"]).all()


@pytest.mark.parametrize("behavior, reward, message", [
    (OnPolicy(), Process(), "the verifier judges whole responses only: process rewards need one of prefixes (`prefixes=True`)"),
    (BestOf(SequenceMixture(LinearPolicy(LastToken(2, K))), 3), Outcome(), "BestOf needs the likelihood of the correct response, which a verifier does not know"),
    (TeacherForced(), Outcome(), "the task has a verifier and no one correct response: there is no `tokens` of it"),
])
def test_what_needs_the_correct_response_is_refused(behavior, reward, message):
    x, policy = make(LastToken(2, K))
    with pytest.raises(ValueError) as caught: train(VerifiedTask(finite_contexts(x), even, LastToken(2, K), N), policy, behavior, reward, adaptive(), 1, rng=0)
    assert message in str(caught.value)


def test_limits_of_a_sampled_likelihood_cover_it():
    "95% limits of 200 contexts: at least 95% of them hold it, up to chance: P(fewer than 178 of 200) = 4e-4 at 95%, and Clopper-Pearson covers more."
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    policy = LinearPolicy(LastToken(2, K), rng.normal(size=(2 + K, K)))
    task = VerifiedTask(finite_contexts(x), even, LastToken(2, K), N)
    exact = correct_likelihood(task, policy, x)[0]
    estimate, low, high = correct_likelihood(task, policy, x, samples=40, rng=1)
    assert ((low <= exact) & (exact <= high)).sum() >= 178 and (low <= estimate).all() and (estimate <= high).all()
    assert correct_likelihood(task, policy, x, samples=40, rng=1)[0].tolist() == estimate.tolist()


def test_default_evaluation_of_a_verifier():
    x, policy = make(LastToken(2, K))
    for length in N, 9:  # all responses are tried, or one is drawn for each context
        task = VerifiedTask(finite_contexts(x), even, LastToken(2, K), length)
        one, two = (post_train(task, policy, "outcome", steps=3, batch_size=4, stepsize=adaptive(), rng=0) for _ in range(2))
        assert one.history.equals(two.history) and one.history.test_error.between(.2, .8).all()
