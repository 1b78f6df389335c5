"Baselines by enumeration of all groups, and against the formula of torch. Covers reward, policy."
from itertools import product

import numpy as np
import pytest
from pgpost.features import LastToken
from pgpost.policy import LinearPolicy
from pgpost.reward import Normalized, Outcome, Process

G, k, N = 3, 2, 2


def expected_updates(proposer, policy, x, correct, reward):
    "Mean over all groups of G responses, and of the plain reward: two updates."
    y = np.array(list(product(range(k), repeat=N)))
    q = np.exp(proposer.log_likelihood(np.repeat(x, len(y), axis=0), y))
    verified = policy.encoder.path(np.repeat(correct, len(y), axis=0)).agreement(y)
    update = np.zeros_like(policy.W)
    for group in product(range(len(y)), repeat=G):
        index = np.array(group)
        A = reward.advantages(verified[index], N)
        update += q[index].prod() * policy.score(np.repeat(x, G, axis=0), y[index], A) / G
    plain = type(reward)().advantages(verified, N)
    return update, policy.score(np.repeat(x, len(y), axis=0), y, q[:, None] * plain)


@pytest.mark.parametrize("kind", [Outcome, Process])
@pytest.mark.parametrize("baseline, factor", [("leave-one-out", 1), ("mean", 1 - 1 / G)])
def test_baselines_keep_the_direction_of_the_expected_update_on_policy_only(kind, baseline, factor):
    rng = np.random.default_rng(0)
    policy, other = (LinearPolicy(LastToken(2, k), rng.normal(size=(4, k))) for _ in range(2))
    x, correct = rng.normal(size=(1, 2)), np.array([[1, 0]])
    reward = kind(baseline=baseline, group_size=G)
    update, plain = expected_updates(policy, policy, x, correct, reward)
    assert update == pytest.approx(factor * plain, abs=1e-12)
    update, plain = expected_updates(other, policy, x, correct, reward)
    cosine = (update * plain).sum() / np.linalg.norm(update) / np.linalg.norm(plain)
    assert cosine < .999  # off policy it points elsewhere


def bessel(r, epsilon):
    "(r - mean) / (std + epsilon) as TRL and verl compute it: with torch where it is installed, and by its formula."
    try: import torch
    except ModuleNotFoundError:
        d = r - r.mean(axis=1, keepdims=True)
        return d / (np.sqrt((d**2).sum(axis=1, keepdims=True) / (r.shape[1] - 1)) + epsilon)
    t = torch.from_numpy(r)
    return ((t - t.mean(dim=1, keepdim=True)) / (t.std(dim=1, keepdim=True) + epsilon)).numpy()


@pytest.mark.parametrize("epsilon", [1e-4, 1e-6])
def test_normalized_advantages_are_those_of_trl_and_verl(epsilon):
    r = np.random.default_rng(0).integers(2, size=(50, 4, 1)).astype(float)
    ours, theirs = Normalized(ddof=1, epsilon=epsilon)(r), bessel(r, epsilon)
    assert ours == pytest.approx(theirs, abs=1e-12)
    mixed = (r.std(axis=1) > 0).ravel()
    assert mixed.any() and Normalized()(r[mixed]) / ours[mixed] == pytest.approx(np.full((mixed.sum(), 4, 1), np.sqrt(4 / 3)), rel=1e-3)
