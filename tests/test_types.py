"What type checkers and editors are told of the package. Covers all notebooks."
import importlib
import os
import re
import sys
from inspect import isfunction, signature

import pytest
from pages import MODULES, ROOT
from pgpost.train import post_train, pretrain, train
from processes import run
from stubs import patched_names, stub, stubs

README = "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S))
SCRIPT = '''
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pgpost.features import LastToken
from pgpost.policy import LinearPolicy
from pgpost.reward import Outcome, PrefixReward, Reward, Verdict
from pgpost.stepsize import adaptive
from pgpost.sweep import Store, product, run_sweep, seeds
from pgpost.task import independent_tokens
from pgpost.train import post_train, pretrain


@dataclass(frozen=True)
class StepReward(PrefixReward):
    "Judges the response after every `size` tokens."
    size: int = 1

    def credit(self, verified, N): return np.where(np.equal(verified, N), N, np.asarray(verified) // self.size * self.size)
    def queries(self, verified, N): return np.minimum(np.asarray(verified) // self.size + 1, -(-N // self.size))


class Share(Outcome):
    "The share of the response that is verified."
    def values(self, verified, N): return np.repeat(np.asarray(verified)[:, None] / N, N, axis=1)


class Zeros(Reward):
    "Pays for every token 0."
    def judge(self, batch, rng): return Verdict((batch.y == 0) * 1., np.ones_like(batch.verified))


policy = LinearPolicy(LastToken(2, 3))
gradient: np.ndarray = policy.forward(np.eye(2), np.array([[0, 1], [2, 2]])).score(np.ones((2, 2)))
tokens: np.ndarray = policy.greedy(np.eye(2), 4).tokens()

task = independent_tokens(1, 3, 4, rng=0)
rewards: list[Reward] = [StepReward(size=2), Share(baseline="mean"), Zeros()]
for reward in rewards:
    run = post_train(task, LinearPolicy(task.encoder), reward, steps=10, stepsize=adaptive(), rng=0)
    queries: int = run.ledger.queries
    last: float = run.history.test_error.iloc[-1]


def measured(setting: dict) -> list:
    return [dict(error=pretrain(task, steps=setting["steps"], stepsize=adaptive(), rng=setting["seed"]).average_error)]


with Store("results.db") as store:
    run_sweep(measured, product(steps=[5, 8], seed=seeds(3)), store, progress=False)
    table: pd.DataFrame = store.to_dataframe()
    print(table.groupby("steps").error.mean(), len(store.failures()))
'''


def checked(source, folder):
    "What mypy says of a script that uses the package."
    (folder / "script.py").write_text(source, encoding="utf-8")
    return run(sys.executable, "-m", "mypy", "script.py", cwd=folder, env=os.environ | {"MYPYPATH": str(ROOT)}).stdout


def test_stubs_are_in_step_with_the_modules():
    for path, text in stubs().items(): assert path.read_text(encoding="utf-8") == text, "run `python tests/tools/export.py`"
    assert sorted(stubs()) == sorted((ROOT / "pgpost").glob("*.pyi")), "a module is gone, and its stub is not"
    assert (ROOT / "pgpost/py.typed").exists()


def test_stubs_say_what_the_modules_have(tmp_path):
    "mypy's stubtest imports the package and compares: names, parameters, defaults."
    (tmp_path / "mypy.ini").write_text("[mypy]\nignore_missing_imports = True\n")
    result = run(sys.executable, "-m", "mypy.stubtest", "pgpost", "--mypy-config-file", tmp_path / "mypy.ini", cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("source", [README, SCRIPT], ids=["README", "script"])
def test_scripts_of_users_pass(source, tmp_path): assert checked(source, tmp_path).startswith("Success")


def test_signatures_are_complete():
    "Editors and `help` show the keywords of the loop, with their defaults, wherever they can be given."
    keywords = [p for p in signature(train).parameters.values() if p.name not in ("task", "policy", "behavior", "reward")]
    for f in pretrain, post_train:
        own = signature(f).parameters
        assert [(own[p.name].default, own[p.name].annotation) for p in keywords] == [(p.default, p.annotation) for p in keywords]


@pytest.mark.parametrize("module", MODULES)
def test_no_function_hides_its_keywords(module):
    "Where any name will do, as for parameters of a grid and for what a plot passes on, the others are written out as well."
    lib = importlib.import_module(f"pgpost.{module}")
    for name in lib.__all__:
        if isfunction(f := getattr(lib, name)) and any(p.kind == p.VAR_KEYWORD for p in signature(f).parameters.values()):
            assert f"{module}.{name}" in ("sweep.product", "sweep.zipped", "core.progress_bar")


@pytest.mark.slow
@pytest.mark.parametrize("old, new, error", [
    (".score(np.ones((2, 2)))", ".scores()", '"Forward" has no attribute "scores"'), (".greedy(", ".greedily(", '"LinearPolicy" has no attribute "greedily"'),
    (".tokens()", ".tokens().a", '"ndarray'), ("run.ledger.queries", "str(run.ledger.queries)", 'has type "str"'), (".failures()", ".failure()", '"Store" has no attribute "failure"')])
def test_mistakes_of_users_are_found(old, new, error, tmp_path): assert error in checked(SCRIPT.replace(old, new), tmp_path)


@pytest.mark.parametrize("source, declared", [
    ("class A:\n    'a'\n    def __init__(self, x: int, y=None): self.x, self.y, self._z = x, y, 1", "class A:\n    'a'\n    x: int\n    y: Any\n\n    def __init__(self, x: int, y=None):\n        ..."),
    ("class A:\n    'a'\n@patch\ndef f(self:A, n: int = None) -> int:\n    'f'\n    return n", "class A:\n    'a'\n\n    def f(self, n: int | None=None) -> int:\n        'f'"),
    ("class A:\n    'a'\n@patch(as_prop=True)\ndef f(self:A): return 1", "class A:\n    'a'\n\n    @property\n    def f(self):\n        ..."),
    ("@dataclass\nclass A:\n    n: int = field(repr=False)\n    m: list = field(default_factory=list)\n    k = f()",
     "@dataclass\nclass A:\n    n: int\n    m: list = ...\n    k: ClassVar[Any]"),
    ("class A:\n    'a'\n    def __enter__(self): return self", "class A:\n    'a'\n\n    def __enter__(self) -> Self:\n        ..."),
    ("A, _b = [1], 2\nC = 'c'", "A: list\nC = 'c'"), ("def _f(): pass", "")])
def test_stubs_of_small_sources(source, declared):
    text = stub(f"'doc'\n{source}").replace('"""', "'")
    assert re.sub(r"^('doc'|from typing .*)\n", "", text, flags=re.M).strip() == declared


@pytest.mark.parametrize("module", MODULES)
def test_patched_methods_are_no_names_of_their_module(module):
    "`from pgpost.policy import sample` is an error, and not None."
    lib, source = importlib.import_module(f"pgpost.{module}"), (ROOT / f"pgpost/{module}.py").read_text(encoding="utf-8")
    for name in patched_names(source): assert getattr(lib, name, "missing") is not None, name


def test_a_patched_method_cannot_be_imported():
    with pytest.raises(ImportError, match="cannot import name 'sample'"): from pgpost.policy import sample  # noqa: F401
