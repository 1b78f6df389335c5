"Claims about gaps, labels and angles: their exact values against the loop and against plain sums. Covers theorem, exact, task."
import numpy as np
import pandas as pd
import pytest
from pgpost import theorem
from pgpost.behavior import TeacherForced
from pgpost.policy import LinearPolicy
from pgpost.quantile import likelihood_quantile
from pgpost.reward import Outcome
from pgpost.stepsize import adaptive
from pgpost.task import coherent_tokens, skewed
from pgpost.theorem import ALARM, CLAIMS, AngledLead, angled_contexts, chi_square, compare, judge, labels_to_support, run
from pgpost.train import train

NAMED = {claim.name: claim for claim in CLAIMS}


@pytest.mark.parametrize("angle", [2., .7, .1])
@pytest.mark.parametrize("N", [1, 5])
def test_two_contexts_at_an_angle_are_one_lead(angle, N):
    "The path sum of training that shows both at every step, against the recursion with gamma^2 in the place of kappa."
    task, T = angled_contexts(angle, N), 150
    gamma = task.margin(task.centers)
    assert gamma == pytest.approx(np.sqrt(2) * np.sin(angle / 2))
    trained = train(task, LinearPolicy(task.encoder), TeacherForced(), Outcome(), adaptive(), T, 2, evaluate=lambda policy: {}, every=T, rng=0)
    assert trained.path_sum == pytest.approx(AngledLead(2, N, gamma=gamma).summed(T)[0], rel=1e-9)


def test_step_sizes_see_support_after_the_same_labels():
    "On the same draws, whatever the algorithm; support is what `likelihood_quantile` says it is."
    M, k, N, eps, T = 6, 3, 4, .1, 120
    p = skewed(M, 2 * eps)
    task = coherent_tokens(M, k, N, p=p, rng=0)
    def quantile(policy): return dict(q=likelihood_quantile(np.minimum(policy.log_likelihood(task.centers, task.path(task.centers)), 0), eps, p))
    seen = set()
    for step in theorem.PRETRAINING.values():
        trained = train(task, LinearPolicy(task.encoder), TeacherForced(), Outcome(), step(N), T, evaluate=quantile, every=1, rng=1)
        supported = np.array([row["q"] for row in trained.rows]) > -N * np.log(k) + 1e-9
        assert supported[-1] and (np.diff(supported.astype(int)) >= 0).all()  # once there, for good
        seen.add(int(supported.argmax()))
    assert len(seen) == 1


@pytest.mark.parametrize("pretraining", theorem.PRETRAINING)
def test_labels_to_support_of_two_contexts_are_geometric(pretraining):
    "One rare context of probability 2 eps: mean 1/(2 eps), 2000 replicates."
    rows = pd.DataFrame(labels_to_support(dict(pretraining=pretraining, M=2, k=3, N=2, eps=.2, replicates=2000, seed=0)))
    first = rows.labels
    # the frequent context has to be seen as well: the larger of two waits, 1/.6 + 1/.4 - 1
    assert abs(first.mean() - (1 / .6 + 1 / .4 - 1)) < 4.5 * first.sem()


@pytest.mark.parametrize("name", ["Algorithm 2, token-level quantile", "Algorithm 1 over the lower bound, likelihood", "SGD, contexts at an angle", "labels to support, Adagrad step"])
def test_wrong_expectations_are_found(name):
    "Two sizes with 256 replicates are equal to the exact value, and not to one that is a tenth larger."
    claim = NAMED[name]
    table = pd.DataFrame([setting | dict(seed=0, replicates=256) | row for setting in claim.settings[-2:]
                          for row in run(dict(seed=0, replicates=256) | setting)])
    right, wrong = judge(compare(claim, table)), None
    assert (right.verdict[right.measured.notna()] == "equal").all()
    exact = claim.exact
    wrong = judge(compare(theorem.replace(claim, exact=lambda x: 1.1 * exact(x), form=None), table))
    assert (wrong.verdict == "different").any() or chi_square(wrong)["p"] < ALARM


def test_searches_of_unlike_tokens_cost_the_sum():
    "A staircase of tokens, every draw made: the mean number of draws until all are right is the price that the claim uses."
    rng = np.random.default_rng(0)
    q = (np.array(theorem._stair_tokens(5)) + 1 / 64) / 2
    drawn = rng.geometric(q, size=(20_000, 5)).sum(axis=1)
    assert abs(drawn.mean() - theorem.rebuild(q)[1]) < 4.5 * drawn.std() / np.sqrt(len(drawn))
