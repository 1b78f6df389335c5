"Likelihoods, scores, paths and updates against exact references: enumeration, finite differences, the plain way. Covers path, features, policy, reward, behavior, task."
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pgpost.behavior import Frozen, OnPolicy, SequenceMixture, TokenMixture, Uniform
from pgpost.features import ContextOnly, Encoder, LastToken, Position
from pgpost.policy import LinearPolicy
from pgpost.reward import Ledger, Outcome, Process
from pgpost.stepsize import adaptive, constant
from pgpost.task import Task, finite_contexts
from pgpost.train import Run, _step, train

property_test = settings(max_examples=60, deadline=None, derandomize=True)
seeds, vocabularies, lengths = st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 5)
encoders = st.sampled_from(["last token", "context only", "position"])


def make_policy(kind, k, N, rng, d=3, scale=2.0):
    encoder = {"last token": LastToken(d, k), "context only": ContextOnly(d, k), "position": Position(d, k, N=N)}[kind]
    return LinearPolicy(encoder, scale * rng.normal(size=(encoder.n_features, k)))


def every_response(k, N): return np.array(list(product(range(k), repeat=N)))


@property_test
@given(kind=encoders, k=vocabularies, N=lengths, seed=seeds)
def test_likelihoods_sum_to_one(kind, k, N, seed):
    rng = np.random.default_rng(seed)
    policy, y = make_policy(kind, k, N, rng), every_response(k, N)
    x = np.tile(rng.normal(size=3), (len(y), 1))
    assert np.exp(policy.log_likelihood(x, y)).sum() == pytest.approx(1, abs=1e-12)


@property_test
@given(kind=encoders, k=vocabularies, N=lengths, seed=seeds)
def test_likelihood_is_the_softmax_of_written_out_features(kind, k, N, seed):
    rng = np.random.default_rng(seed)
    policy, x, y = make_policy(kind, k, N, rng), rng.normal(size=(4, 3)), rng.integers(k, size=(4, N))
    for n, i in product(range(4), range(N)):
        h = {"last token": np.concatenate([x[n], np.eye(k)[y[n, i - 1]] if i else np.zeros(k)]),
             "context only": x[n], "position": np.kron(np.eye(N)[i], x[n])}[kind]
        z = h @ policy.W
        assert policy.token_log_likelihood(x, y)[n, i] == pytest.approx(z[y[n, i]] - np.logaddexp.reduce(z), abs=1e-12)


@property_test
@given(kind=encoders, k=vocabularies, N=lengths, seed=seeds)
def test_score_is_the_gradient(kind, k, N, seed):
    rng = np.random.default_rng(seed)
    policy, x, y, weights = make_policy(kind, k, N, rng, scale=1.0), rng.normal(size=(3, 3)), rng.integers(k, size=(3, N)), rng.normal(size=(3, N))
    score = policy.score(x, y, weights)
    for i in np.ndindex(policy.W.shape):
        h = np.zeros_like(policy.W)
        h[i] = 1e-5
        up, down = (LinearPolicy(policy.encoder, policy.W + s * h).token_log_likelihood(x, y) for s in (1, -1))
        assert score[i] == pytest.approx((weights * (up - down)).sum() / 2e-5, abs=1e-6)


@property_test
@given(kind=encoders, k=vocabularies, N=st.integers(1, 40), seed=seeds)
def test_compressed_path_is_the_plain_response(kind, k, N, seed):
    rng = np.random.default_rng(seed)
    truth, policy, x = make_policy(kind, k, N, rng), make_policy(kind, k, N, rng), rng.normal(size=(6, 3))
    path = truth.greedy(x, N)
    y, length = path.tokens(), rng.integers(N + 1, size=6)
    assert policy.log_likelihood(x, path) == pytest.approx(policy.log_likelihood(x, y), rel=1e-12, abs=1e-12)
    assert policy.score(x, path, path.count(length)) == pytest.approx(policy.score(x, y, np.arange(N) < length[:, None]), rel=1e-9, abs=1e-9)
    p = truth.forward(x, y)
    assert (p.p.argmax(axis=1)[p.path.place] == y.ravel()).all()


@property_test
@given(k=vocabularies, N=st.integers(1, 12), seed=seeds)
def test_structured_encoders_equal_written_out_features(k, N, seed):
    rng = np.random.default_rng(seed)
    for kind in "last token", "context only", "position":
        policy, x, y = make_policy(kind, k, N, rng), rng.normal(size=(4, 3)), rng.integers(k, size=(4, N))
        encoder, path = policy.encoder, policy.encoder.path(y)
        G = rng.normal(size=(len(path.row), k))
        assert encoder.logits(policy.W, x)(path.row, path.state) == pytest.approx(Encoder.logits(encoder, policy.W, x)(path.row, path.state), abs=1e-12)
        assert encoder.pull_back(x, path.row, path.state, G) == pytest.approx(Encoder.pull_back(encoder, x, path.row, path.state, G), abs=1e-12)


def test_nothing_underflows_at_length_4096():
    policy = LinearPolicy(LastToken(2, 32))
    ll = policy.log_likelihood(np.ones((2, 2)), np.zeros((2, 4096), int))
    assert ll == pytest.approx(-4096 * np.log(32), rel=1e-14)
    huge = LinearPolicy(LastToken(2, 3), 1e4 * np.arange(15.).reshape(5, 3))
    assert np.isfinite(huge.log_likelihood(np.ones((1, 2)), np.zeros((1, 50), int))).all()


class Given:
    "Stands in for a generator, to draw what is given."
    def __init__(self, E): self.E = E
    def standard_exponential(self, n): return self.E


@property_test
@given(k=vocabularies, N=st.integers(1, 60), seed=seeds, scale=st.sampled_from([.3, 3., 1000.]))
def test_verified_prefix_on_cycles_is_that_of_the_tokens(k, N, seed, scale):
    "For the same exponential variable: costs added up along the compressed path, and token by token."
    rng = np.random.default_rng(seed)
    truth, policy, x = make_policy("last token", k, N, rng), make_policy("last token", k, N, rng, scale=scale), rng.normal(size=(8, 3))
    path, E = truth.greedy(x, N), rng.exponential(rng.choice([.1, 1, 10], size=8))
    S = np.cumsum(-policy.token_log_likelihood(x, path.tokens()), axis=1)
    assert (path.verified_prefix(policy.forward(x, path).log_p, Given(E)) == (S <= E[:, None]).sum(axis=1)).all()


def test_cycles_of_many_lengths_occur():
    "The property above is about cycles, so its examples must have them."
    rng, periods = np.random.default_rng(0), set()
    for _ in range(60): periods |= set(make_policy("last token", 4, 60, rng).greedy(rng.normal(size=(8, 3)), 60).period)
    assert {1, 2, 3, 60} <= periods


def test_names_that_moved_are_still_where_they_were():
    "For one version: see CHANGELOG.md."
    from pgpost import core, features, path
    assert features.Path is path.Path and features.check_integer is core.check_integer and features.compiled is core.compiled
    some = LastToken(2, 3).path(np.array([[0, 1], [2, 2]]))
    assert (some.owner == some.row_of_step).all() and list(some.owner) == [0, 0, 1, 1]


# one context, few tokens: every law is known exactly
K, LENGTH = 3, 3


@pytest.fixture(params=["last token", "context only", "position"])
def small(request):
    "A forward pass of one policy along the correct responses of 20,000 copies of one context, and everything that can be enumerated."
    rng = np.random.default_rng(5)
    truth, policy, q0 = (make_policy(request.param, K, LENGTH, rng, scale=.7) for _ in range(3))
    x = np.tile(rng.normal(size=3), (20_000, 1))
    return policy.forward(x, truth.greedy(x, LENGTH)), q0, every_response(K, LENGTH)


def behavior_likelihood(behavior, forward, responses):
    "log q(y|x) of all responses, from the definition of the behavior."
    x = np.tile(forward.x[0], (len(responses), 1))
    uniform = np.full(len(responses), -LENGTH * np.log(K))
    if isinstance(behavior, OnPolicy): return forward.policy.log_likelihood(x, responses)
    if isinstance(behavior, Uniform): return uniform
    u = getattr(behavior, "uniform", 0)
    if isinstance(behavior, TokenMixture): return np.log((1 - u) * np.exp(behavior.q0.token_log_likelihood(x, responses)) + u / K).sum(axis=1)
    return np.log((1 - u) * np.exp(behavior.q0.log_likelihood(x, responses)) + u * np.exp(uniform))


def chi_square(counts, p):
    "Chi-square statistic of counts, outcomes with an expectation below 5 taken together."
    n, rare = counts.sum(), counts.sum() * p < 5
    counts, p = (np.append(v[~rare], v[rare].sum()) for v in (counts, p))
    keep = p > 0
    return ((counts - n * p)[keep]**2 / (n * p[keep])).sum(), keep.sum() - 1


@pytest.mark.parametrize("make", [lambda q0: OnPolicy(), Frozen, lambda q0: Uniform(), lambda q0: SequenceMixture(q0, uniform=.2),
                                  lambda q0: TokenMixture(q0, uniform=.2)],
                         ids=["on policy", "frozen", "uniform", "sequence mixture", "token mixture"])
def test_behaviors_follow_their_law(small, make):
    "Sampled responses, and verified prefixes of either route: false alarm rate below 1e-5 each."
    from scipy.stats import chi2
    forward, q0, responses = small
    behavior, rng = make(q0), np.random.default_rng(0)
    p = np.exp(behavior_likelihood(behavior, forward, responses))
    y = behavior.sample(forward, rng)
    counts = np.bincount(y @ K ** np.arange(LENGTH)[::-1], minlength=K**LENGTH)
    prefix = (responses == forward.path.tokens()[0]).cumprod(axis=1).sum(axis=1)
    p_prefix = np.bincount(prefix, p, minlength=LENGTH + 1)
    for observed, law in [(counts, p), (np.bincount(forward.path.agreement(y), minlength=LENGTH + 1), p_prefix),
                          (np.bincount(behavior.verified(forward, rng), minlength=LENGTH + 1), p_prefix)]:
        statistic, dof = chi_square(observed, law)
        assert statistic < chi2.isf(1e-5, dof)


@pytest.mark.parametrize("reward", [Outcome(), Process()], ids=["outcome", "process"])
def test_expected_update_is_the_same_on_both_routes(small, reward):
    "The expectation over all responses, sampled token by token, equals the one over verified prefixes on the compressed path: exactly."
    forward, _, responses = small
    x, path = forward.x[:1], forward.policy.encoder.path(forward.path.tokens()[:1])
    p = np.exp(behavior_likelihood(OnPolicy(), forward, responses))
    prefix = (responses == path.tokens()[0]).cumprod(axis=1).sum(axis=1)
    A = reward.advantages(prefix, LENGTH)
    plain = forward.policy.score(np.tile(x[0], (len(responses), 1)), responses, p[:, None] * A)
    tail = np.append(np.exp(np.cumsum(forward.policy.token_log_likelihood(x, path.tokens()))), 0)
    p_prefix = np.append(1, tail[:-1]) - tail
    short = sum(p_prefix[L] * forward.policy.score(x, path, path.count(reward.credit(np.array([L]), LENGTH))) for L in range(LENGTH + 1))
    assert short == pytest.approx(plain, abs=1e-14)


class PlainOutcome(Outcome):
    "Outcome rewards 0 and 1 on the route that samples every token."
    sparse = False


class PlainProcess(Process):
    "Process rewards 0 and 1 on the route that samples every token."
    sparse = False


@pytest.mark.parametrize("short, plain", [(Outcome(), PlainOutcome()), (Process(), PlainProcess()), (Outcome(wrong=-1), Outcome(wrong=-1)),
                                          (Process(wrong=-1), Process(wrong=-1))],
                         ids=["outcome", "process", "signed outcome", "signed process"])
def test_updates_of_both_routes_have_the_exact_mean(small, short, plain):
    "Mean update and mean queries over 400 batches of 50 on either route: no entry off by more than 5 standard errors, false alarm rate below 1e-4."
    forward, _, responses = small
    p = np.exp(behavior_likelihood(OnPolicy(), forward, responses))
    prefix = (responses == forward.path.tokens()[0]).cumprod(axis=1).sum(axis=1)
    exact = forward.policy.score(np.tile(forward.x[0], (len(responses), 1)), responses, p[:, None] * short.advantages(prefix, LENGTH))
    exact_queries = 50 * p @ short.queries(prefix, LENGTH)
    x, rng = forward.x[:50], np.random.default_rng(1)
    path = forward.policy.encoder.path(forward.path.tokens()[:50])
    for reward in short, plain:
        updates, queries = [], []
        for _ in range(400):
            run = _step(Run(forward.policy, None), x, path, OnPolicy(), reward, constant(1.), rng, rng)
            updates.append(run.policy.W - forward.policy.W)
            queries.append(run.ledger.queries)
        error = np.std(updates, axis=0) / 20
        assert (abs(np.mean(updates, axis=0) - exact) <= 5 * error + 1e-12).all()
        assert abs(np.mean(queries) - exact_queries) <= 5 * np.std(queries) / 20 + 1e-9


@pytest.mark.parametrize("short, plain", [(Outcome(), PlainOutcome()), (Process(), PlainProcess())], ids=["outcome", "process"])
def test_whole_runs_of_both_routes_agree_in_law(short, plain):
    "Errors after 30 steps, 200 runs on either route: means within 5 standard errors."
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 3)) / 2
    task = Task(finite_contexts(x), make_policy("last token", 3, 6, rng), N=6)
    policy = LinearPolicy(task.encoder, .3 * task.W)
    evaluate = lambda policy: dict(error=1 - np.exp(policy.log_likelihood(x, task.path(x))).mean())
    final = {reward: np.array([train(task, policy, OnPolicy(), reward, adaptive(), 30, 4, evaluate, rng=seed).rows[-1]["error"]
                               for seed in range(200)]) for reward in (short, plain)}
    a, b = final.values()
    assert abs(a.mean() - b.mean()) < 5 * np.sqrt((a.var() + b.var()) / 200)
    assert a.std() > 0 and b.std() > 0


def test_ledger_is_exact_on_a_run():
    "Queries of a process run add up to those of its verified prefixes, one by one."
    rng = np.random.default_rng(0)
    task = Task(finite_contexts(rng.normal(size=(4, 3))), make_policy("last token", 3, 6, rng), N=6)
    seen = []

    class Watched(OnPolicy):
        def verified(self, truth, rng):
            seen.append(super().verified(truth, rng))
            return seen[-1]

    run = train(task, LinearPolicy(task.encoder), Watched(), Process(), adaptive(), 50, 8, rng=0)
    assert run.ledger == Ledger(queries=sum(int(min(L + 1, 6)) for batch in seen for L in batch))


@pytest.mark.parametrize("baseline, factor", [("mean", 1 / 2), ("leave-one-out", 1)])
@pytest.mark.parametrize("kind", [Outcome, Process])
@pytest.mark.parametrize("wrong", [0, -1])
def test_baselines_keep_the_direction_of_the_expected_update(small, kind, baseline, factor, wrong):
    "Over all pairs of responses: the expected update of groups of two is that without a baseline, times 1 - 1/G for the mean, exactly."
    forward, _, responses = small
    n, policy = len(responses), forward.policy
    x, p = np.tile(forward.x[0], (n, 1)), np.exp(behavior_likelihood(OnPolicy(), forward, responses))
    prefix = (responses == forward.path.tokens()[0]).cumprod(axis=1).sum(axis=1)
    plain = policy.score(x, responses, p[:, None] * kind(wrong=wrong).advantages(prefix, LENGTH))
    first, second = (i.ravel() for i in np.indices((n, n)))
    pairs = np.stack([prefix[first], prefix[second]], axis=1).ravel()
    A = kind(wrong=wrong, baseline=baseline, group_size=2).advantages(pairs, LENGTH)
    both = np.stack([first, second], axis=1).ravel()
    weights = np.repeat(p[first] * p[second], 2)[:, None] * A / 2
    grouped = policy.score(np.tile(forward.x[0], (len(both), 1)), responses[both], weights)
    assert grouped == pytest.approx(factor * plain, abs=1e-12)
