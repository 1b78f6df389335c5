"What is fast is equal to what is plain."
import numpy as np
import pytest
from pgpost.experiment import Figure1
from pgpost.features import ContextOnly, Encoder, LastToken, Position
from pgpost.policy import LinearPolicy

ENCODERS = [LastToken(3, 5), ContextOnly(3, 5), Position(3, 5, N=30)]


def plain_sample(policy, x, N, rng, explore):
    "Token by token from the definition: the first token whose cumulative probability exceeds a uniform number."
    encoder, rows = policy.encoder, np.arange(len(x))
    state, y = np.full(len(x), encoder.start), []
    for _ in range(N):
        z = Encoder.logits(encoder, policy.W, x)(rows, state)
        cdf = np.exp(z - z.max(axis=1, keepdims=True)).cumsum(axis=1)
        token = (cdf / cdf[:, -1:] > rng.random((len(x), 1))).argmax(axis=1)
        if explore: token = np.where(rng.random(len(x)) < explore, rng.integers(encoder.k, size=len(x)), token)
        state = encoder.advance(state, token)
        y.append(token)
    return np.stack(y, axis=1)


@pytest.mark.parametrize("explore", [0, .3])
@pytest.mark.parametrize("replicates", [None, 4])
@pytest.mark.parametrize("scale", [0, 1, 30])
@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_samples_are_those_of_the_plain_loop(encoder, scale, replicates, explore):
    "For equal random numbers: uniform, mixed and nearly deterministic policies, alone and in a stack."
    rng = np.random.default_rng(0)
    shape = (encoder.n_features, 5) if replicates is None else (replicates, encoder.n_features, 5)
    policy, x = LinearPolicy(encoder, scale * rng.normal(size=shape)), rng.normal(size=(200, 3))
    y = policy.sample(x, 30, rng=1, explore=explore)
    assert (y == plain_sample(policy, x, 30, np.random.default_rng(1), explore)).all()
    assert len(np.unique(y)) > 2


@pytest.mark.parametrize("N", [1, 7, 300])
def test_a_walk_of_any_cycle_is_the_greedy_response(N):
    "Every map on four tokens: the compressed walk against following the map."
    for code in range(4**4):
        follow = np.array([code // 4**j % 4 for j in range(4)])
        W = np.vstack([np.eye(4)[[2]], 9 * np.eye(4)[follow]])
        path, token, expected = LinearPolicy(LastToken(1, 4), W).greedy([[1.]], N), 2, []
        for _ in range(N): expected, token = [*expected, token], follow[token]
        assert path.tokens().tolist() == [expected] and path.count().sum() == N


def test_figure1_in_two_processes_is_the_same():
    small = dict(seed=2, steps=70, d=8, k=8, N=32, n_components=8, base_steps=40, base_batch_size=64, batch_size=64, off_support=1e-5)
    one, two = Figure1(**small).run(), Figure1(**small).run(parallel=True)
    for name in "outcome", "process": np.testing.assert_array_equal(one.runs[name].policy.W, two.runs[name].policy.W)
    for table in "history", "trajectories", "centers": assert getattr(one, table)().to_csv() == getattr(two, table)().to_csv()
