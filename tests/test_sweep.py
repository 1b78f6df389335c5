"Sweeps: bit-exact tables wherever they are made, a store that survives kills, and no run computed twice."
import contextlib
import importlib.util
import itertools
import json
import os
import random
import signal
import sqlite3
import struct
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired

import numpy as np
import pandas as pd
import pytest
import sweep_runs
from hypothesis import given, settings, strategies as st
from pgpost.sweep import Store, StoreError, SweepFailed, cluster, process_pool, product, read_sweep, run_sweep, seeds, zipped
from processes import alive, run, start

PGPOST = Path(sys.executable).with_name("pgpost")
GRID = product(steps=[5, 8], seed=seeds(30))
HELPERS = Path(__file__).parent / "helpers"
of_one_cluster = pytest.mark.xdist_group("dask")
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs Dask: pip install 'pgpost[cluster]'")
plain = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5)


def bits(value): return struct.pack("d", value)


# grids

@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**64))
def test_more_seeds_never_change_earlier_ones(n, more, entropy):
    assert seeds(n + more, entropy)[:n] == seeds(n, entropy)


def test_seeds_are_those_of_numpy():
    "Child number i is what NumPy defines it to be, and its bits are uniform: the mean of 10,000 is within 4 standard errors (false alarm 6e-5)."
    child = np.random.SeedSequence(7, spawn_key=(3,)).generate_state(1, np.uint64)[0]
    assert seeds(4, entropy=7)[3] == int(child) >> 11
    assert abs(np.mean(seeds(10_000)) / 2**53 - .5) < 4 / np.sqrt(12 * 10_000)


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), max_size=3)), st.lists(st.integers(), max_size=3))
def test_product_and_zipped_are_those_of_python(values, e):
    expected = [dict(zip([*values, "e"], row)) for row in itertools.product(*values.values(), e)]
    assert product(**values, e=e) == product(product(**values), e=e) == expected
    assert zipped(e=e, f=e[::-1]) == [dict(e=a, f=b) for a, b in zip(e, e[::-1])]


# plain data

@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_floats_keep_every_bit(values):
    "Through a setting, a run, the store and the table. All NaNs are one."
    table = run_sweep(sweep_runs.echo, product(x=values), progress=False)
    once = {repr(x): x for x in values}.values()  # equal settings are one
    canonical = [bits(float("nan") if x != x else x) for x in once]
    assert [bits(float(x)) for x in table.x] == [bits(float(x)) for x in table.y] == canonical


@settings(deadline=None, max_examples=200)
@given(plain)
def test_settings_are_told_apart_exactly_if_their_json_differs(value):
    with Store() as store:
        keys, _ = store.fill(sweep_runs.echo, [dict(x=value), dict(x=value), dict(x=[value])], progress=False)
        assert len(keys) == 2
        for x, (_, _, setting, rows, *_) in zip((value, [value]), store._stored(keys)):
            assert json.dumps(setting) == json.dumps(dict(x=x)) and rows == json.dumps([dict(y=x)])


def test_numpy_values_are_settings():
    setting = dict(a=np.int16(3), b=np.float32(.5), c=np.bool_(True), d=(np.float64(.1), 2), e=np.str_("x"))
    with Store() as store: assert store._register("f", [setting]).keys() == store._register("f", [dict(a=3, b=.5, c=True, d=[.1, 2], e="x")]).keys()


# where runs happen

@pytest.fixture(scope="module")
def expected(): return run_sweep(sweep_runs.walk, GRID, progress=False).to_csv()


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'pgpost[cluster]'")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local: yield local


def contents(path):
    with sqlite3.connect(path) as db: return db.execute("select * from runs order by id").fetchall()


@pytest.fixture(params=["serial", "threads", "processes", pytest.param("dask", marks=[needs_dask, of_one_cluster])])
def executor(request):
    if request.param == "serial": yield None
    else:
        make = {"threads": lambda: ThreadPoolExecutor(3), "processes": lambda: process_pool(2),
                "dask": lambda: cluster(request.getfixturevalue("dask").scheduler_address)}[request.param]
        with make() as executor: yield executor


def test_tables_are_byte_equal_wherever_they_are_made(executor, expected, tmp_path):
    "The table, and everything that the store holds of it; in the order of the settings, also if they come in another order later."
    assert run_sweep(sweep_runs.walk, GRID, tmp_path / "a.db", executor, progress=False).to_csv() == expected
    run_sweep(sweep_runs.walk, GRID, tmp_path / "b.db", progress=False)
    assert contents(tmp_path / "a.db") == contents(tmp_path / "b.db")
    with Store(tmp_path / "a.db") as store: assert store.to_dataframe().drop(columns=["function", "version"]).to_csv() == expected
    backwards = run_sweep(sweep_runs.walk, GRID[::-1], tmp_path / "a.db", executor, progress=False)
    assert backwards.seed[::2].tolist() == [s["seed"] for s in GRID[::-1]]


def test_failed_runs_are_kept_with_their_error(executor, tmp_path):
    grid = product(steps=[5, 13, 8], seed=[1])
    for redo in None, None, "failed":
        with pytest.raises(SweepFailed, match="1 runs failed, the first at .*'steps': 13.* with ArithmeticError: no luck") as failed:
            run_sweep(sweep_runs.walk, grid, tmp_path / "a.db", executor, progress=False, redo=redo)
        assert failed.value.table.steps.tolist() == [5, 5, 8, 8] and len(failed.value.failures) == 1
    with Store(tmp_path / "a.db") as store: assert 'raise ArithmeticError("no luck")' in store.failures().traceback[0]


# the store

def test_a_rerun_computes_what_is_missing(tmp_path, monkeypatch):
    log, store = tmp_path / "log", tmp_path / "a.db"
    grid = [dict(i=i, log=str(log), seconds=0) for i in range(20)]

    def computed(settings, **kwargs):
        log.write_text("")
        run_sweep(sweep_runs.logged, settings, store, progress=False, **kwargs)
        return [int(line.split()[1]) for line in log.read_text().splitlines()[::2]]

    assert computed(grid[:8]) == list(range(8)) and computed(grid[:8]) == []
    assert computed(grid) == list(range(8, 20))
    assert computed([dict(reversed(s.items())) for s in grid]) == []
    assert computed(grid[:3], redo="all") == [0, 1, 2] and computed(grid, redo="failed") == []
    monkeypatch.setattr("pgpost.__version__", "99")
    assert computed(grid) == list(range(20)), "another version of the package computes anew, and keeps the old rows"
    with Store(store) as s: assert s.to_dataframe().groupby("version").size().tolist() == [20, 20]


def test_a_worker_of_another_version_computes_nothing(monkeypatch):
    with process_pool(1) as pool:
        pool.submit(abs, 1).result()
        monkeypatch.setattr("pgpost.__version__", "99")
        with pytest.raises(SweepFailed, match="the worker has pgpost .*, the sweep pgpost 99"):
            run_sweep(sweep_runs.walk, GRID[:2], executor=pool, progress=False)


@pytest.mark.slow
def test_two_processes_on_one_store(expected, tmp_path):
    "Both finish, neither sees an error, and the file is whole."
    code = ("import sys, sweep_runs\nfrom pgpost.sweep import product, run_sweep, seeds\n"
            "print(run_sweep(sweep_runs.walk, product(steps=[5, 8], seed=seeds(30))[::int(sys.argv[2])], sys.argv[1], progress=False).shape)")
    both = [start(sys.executable, "-c", code, tmp_path / "a.db", direction, cwd=HELPERS, stdout=PIPE, stderr=PIPE, text=True)
            for direction in ("1", "-1", "1")]
    for process in both:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0 and out == "(120, 5)\n", error
    assert run_sweep(sweep_runs.walk, GRID, tmp_path / "a.db", progress=False).to_csv() == expected
    assert sqlite3.connect(tmp_path / "a.db").execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_processes_that_make_one_store_at_the_same_moment(tmp_path):
    "Five wait for one moment, and all of them find or make a store that is whole."
    code = ("import sys, time\nfrom pgpost.sweep import Store\nwhile time.time() < float(sys.argv[2]): pass\n"
            "with Store(sys.argv[1]) as store: store._register('f', [dict(i=i) for i in range(50)])")
    for n in range(3):
        moment = str(time.time() + 1.5)
        processes = [start(sys.executable, "-c", code, tmp_path / f"{n}.db", moment, stderr=PIPE, text=True) for _ in range(5)]
        for process in processes:
            error = process.communicate(timeout=60)[1]
            assert process.returncode == 0, error
        assert len(contents(tmp_path / f"{n}.db")) == 50


def test_what_another_process_has_stored_meanwhile_is_not_computed(tmp_path):
    "The other process here is a run of the sweep itself, which stores what comes after it."
    path, calls = tmp_path / "a.db", []
    grid = [dict(i=i) for i in range(4)]

    def interfere(setting):
        calls.append(setting["i"])
        if setting["i"] == 0:
            with Store(path) as other: other._record([('[{"y": 5}]', None, None, key) for key in list(keys)[2:]])
        return [dict(y=setting["i"])]

    sweep_runs.interfere, interfere.__module__, interfere.__qualname__ = interfere, "sweep_runs", "interfere"
    with Store(path) as store:
        keys = store._register("sweep_runs:interfere", grid)
        assert run_sweep(interfere, grid, store, progress=False).y.tolist() == [0, 1, 5, 5]
    assert calls == [0, 1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.db"
    return path, run_sweep(sweep_runs.walk, GRID, path, progress=False).to_csv(), path.read_bytes()


@settings(deadline=None, max_examples=300, derandomize=True)
@given(data=st.data())
def test_damage_is_never_taken_for_a_result(filled, data):
    "A file that was cut off or partly overwritten gives the same table or an error, and is not touched by being read."
    _, table, whole = filled
    if data.draw(st.booleans(), "cut off"): damaged = whole[:data.draw(st.integers(1, len(whole) - 1), "length")]
    else:
        at, junk = data.draw(st.integers(0, len(whole) - 1), "at"), data.draw(st.binary(min_size=1, max_size=2000), "junk")
        damaged = (whole[:at] + junk + whole[at + len(junk):])[:len(whole)]
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp, "results.db")
        path.write_bytes(damaged)
        try:
            with Store(path) as store: assert store.to_dataframe().drop(columns=["function", "version"], errors="ignore").to_csv() == table
        except StoreError as error: assert str(path) in str(error)
        assert path.read_bytes() == damaged


@contextlib.contextmanager
def as_nobody():
    "Without the rights of the superuser, whom no file mode stops, if that is who runs the tests."
    if os.geteuid(): yield
    else:
        os.setresuid(65534, 65534, 0)
        try: yield
        finally: os.setresuid(0, 0, 0)


def test_a_read_only_store_is_read_and_not_written(filled):
    with tempfile.TemporaryDirectory(dir="/tmp") as tmp:
        path = Path(tmp, "results.db")
        path.write_bytes(filled[2])
        path.chmod(0o444)
        Path(tmp).chmod(0o555)
        try:
            with as_nobody(), Store(path) as store:
                assert len(store.to_dataframe()) == 120
                with pytest.raises(StoreError, match="results.db as a store: attempt to write a readonly database"):
                    run_sweep(sweep_runs.walk, GRID + [dict(steps=1, seed=1)], store, progress=False)
            assert [p.name for p in Path(tmp).iterdir()] == ["results.db"] and path.read_bytes() == filled[2]
        finally: Path(tmp).chmod(0o755)


def test_a_store_whose_making_was_killed_is_new(tmp_path):
    (tmp_path / "a.db").touch()
    with sqlite3.connect(tmp_path / "b.db") as db: db.execute("pragma journal_mode = wal")
    for name in "a.db", "b.db": assert len(run_sweep(sweep_runs.walk, GRID[:1], tmp_path / name, progress=False)) == 2


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_stored(tmp_path):
    "10,000 runs of 1 kB: what Python holds after 2,000 and after 9,999 differs by less than the rows of 100 runs."
    tracemalloc.start()
    with Store(tmp_path / "a.db") as store:
        try: store.fill(sweep_runs.large, product(i=range(10_000)), progress=False)
        finally: tracemalloc.stop()
        early, late = (json.loads(store._db.execute("select rows from runs where id = ?", (i,)).fetchone()[0])[0]["memory"] for i in (2000, 9999))
    assert abs(late - early) < 1e5


# kills

def sweep_file(folder, n, seconds):
    (folder / "log").touch()
    (folder / "sweep.toml").write_text(f'run = "sweep_runs:logged"\n[setting]\nlog = "{folder}/log"\nseconds = {seconds}\n[grid]\ni = {list(range(n))}\n')
    (folder / "sweep_runs.py").write_text((HELPERS / "sweep_runs.py").read_text())


def pgpost(*args, **kwargs): return run(PGPOST, *args, **kwargs)


def stored(folder):
    "Numbers of the runs that are complete in the store."
    if not (folder / "results.db").exists(): return []
    with Store(folder / "results.db") as store: table = store.to_dataframe()
    return table.i.tolist() if len(table) else []


def computed(folder): return [int(line.split()[1]) for line in (folder / "log").read_text().splitlines() if line.startswith("start")]


@pytest.mark.slow
@pytest.mark.parametrize("workers, kills", [(1, 20), (2, 5)])
def test_kills_at_random_moments_cost_only_what_was_under_way(workers, kills, tmp_path):
    "At least so many SIGKILLs hit the running sweep. The table is that of an undisturbed one, and nothing stored is computed again."
    rng, n, killed, before = random.Random(workers), 1000 // workers, 0, 0
    for name in "killed", "undisturbed":
        (tmp_path / name).mkdir()
        sweep_file(tmp_path / name, n, .003)
    folder = tmp_path / "killed"
    while True:
        already = set(stored(folder))
        process = start(PGPOST, "sweep", "sweep.toml", "--workers", workers, cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
        try:
            while killed < kills and process.poll() is None and len(computed(folder)) == before: time.sleep(.01)  # until it has begun
            if killed < kills: process.wait(rng.uniform(0, .25))
            else: process.wait(120)
        except TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        assert not already & set(computed(folder)[before:]), "what was stored is not computed again"
        before = len(computed(folder))
        if len(stored(folder)) == n: break
    assert killed == kills and process.returncode == 0
    assert n <= before <= n + killed * workers * 20 and set(computed(folder)) == set(range(n))
    for name in "killed", "undisturbed": assert pgpost("sweep", "sweep.toml", "--export", "results.csv", cwd=tmp_path / name).returncode == 0
    tables = [(tmp_path / name / "results.csv").read_text().replace(f"{tmp_path / name}/log", "log") for name in ("killed", "undisturbed")]
    assert tables[0] == tables[1] and tables[0].count("\n") == n + 1


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    sweep_file(tmp_path, 1000, .05)
    process = start(PGPOST, "sweep", "sweep.toml", "--workers", 2, cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL)

    def workers(): return {int(line.split()[2]) for line in (tmp_path / "log").read_text().splitlines()}

    wait_until(lambda: len(workers()) == 2)
    assert all(map(alive, workers()))
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(alive, workers())))


def wait_until(condition, seconds=60):
    "Wait for something that is bound to happen."
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "it did not happen"
        time.sleep(.02)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupt_stops_cleanly_and_keeps_what_is_complete(workers, tmp_path):
    sweep_file(tmp_path, 200, .02)
    process = start(PGPOST, "sweep", "sweep.toml", "--workers", workers, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True)
    wait_until(lambda: len(computed(tmp_path)) > 50)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted; what was complete is kept" in said and "Traceback" not in said and out == ""
    already = stored(tmp_path)
    assert 0 < len(already) < 200
    before = len(computed(tmp_path))
    result = pgpost("sweep", "sweep.toml", "--resume", "--export", "results.csv", cwd=tmp_path)
    assert result.returncode == 0 and f"200 runs: {200 - len(already)} computed now, 0 failed" in result.stdout
    assert sorted(already + computed(tmp_path)[before:]) == list(range(200)) and "run/s" in result.stderr
    assert len(pd.read_csv(tmp_path / "results.csv")) == 200


@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_a_killed_dask_worker_costs_a_retry(dask, tmp_path):
    grid = [dict(i=i, victim=str(tmp_path / "victim")) for i in range(200)]
    with cluster(dask.scheduler_address) as executor: table = run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False)
    assert (tmp_path / "victim").exists(), "a worker was killed"
    assert table.root.tolist() == [i ** .5 for i in range(200)]


@pytest.mark.slow
def test_a_killed_process_of_a_pool_stops_the_sweep_and_loses_nothing(tmp_path):
    grid = [dict(i=i, victim=str(tmp_path / "victim")) for i in range(40)]
    with process_pool(2) as executor, pytest.raises(ChildProcessError, match="what is complete is kept"):
        run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False)
    with Store(tmp_path / "a.db") as store: assert len(store.failures()) == 0
    with process_pool(2) as executor: assert run_sweep(sweep_runs.deadly, grid, tmp_path / "a.db", executor, progress=False).i.tolist() == list(range(40))


# the command

@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_a_scheduler_that_does_not_answer(tmp_path):
    sweep_file(tmp_path, 3, 0)
    result = pgpost("sweep", "sweep.toml", "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path)
    assert result.returncode == 2 and "no scheduler answers at tcp://127.0.0.1:9 within 10 seconds" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "results.db").exists()


@pytest.mark.slow
@needs_dask
@of_one_cluster
def test_the_command_on_a_cluster(dask, tmp_path):
    (tmp_path / "sweep.toml").write_text('run = "figure1"\nseeds = 4\n[setting]\nd = 4\nk = 4\nN = 8\nn_components = 4\nbase_steps = 5\nsteps = 5\n')
    for where in ["--scheduler", dask.scheduler_address, "--store", "a.db"], ["--store", "b.db"]:
        result = pgpost("sweep", "sweep.toml", *where, cwd=tmp_path)
        assert result.returncode == 0 and "4 runs: 4 computed now, 0 failed" in result.stdout, result.stderr
    assert contents(tmp_path / "a.db") == contents(tmp_path / "b.db")


def test_without_dask_the_extra_is_named(tmp_path):
    sweep_file(tmp_path, 3, 0)
    code = "import sys; sys.modules['distributed'] = None; from pgpost.cli import main; main(['sweep', 'sweep.toml', '--scheduler', 'tcp://a:1'])"
    result = run(sys.executable, "-c", code, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr == "pgpost sweep: error: a cluster needs Dask: pip install 'pgpost[cluster]'\n"


@pytest.mark.slow
def test_failures_fresh_and_export(tmp_path):
    sweep_file(tmp_path, 3, 0)
    (tmp_path / "walk.toml").write_text('run = "sweep_runs:walk"\n[grid]\nsteps = [5, 13]\nseed = [1, 2]\n')
    for options, now in ([], 4), ([], 0), (["--retry-failed"], 2), (["--fresh"], 4):
        result = pgpost("sweep", "walk.toml", "--export", "results.csv", *options, cwd=tmp_path)
        assert result.returncode == 1 and f"4 runs: {now} computed now, 2 failed" in result.stdout and "ArithmeticError: no luck" in result.stdout
        assert pd.read_csv(tmp_path / "results.csv").steps.tolist() == [5] * 4
    whole = (tmp_path / "results.csv").read_bytes()
    (tmp_path / "results.csv").unlink()
    assert pgpost("sweep", "--export", "results.csv", cwd=tmp_path).returncode == 0 and (tmp_path / "results.csv").read_bytes() == whole
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == ["", ".csv", ".db", ".py", ".toml", ".toml"]


@pytest.mark.parametrize("text, options, message", [
    ('run = "figure1"\n[grid]\nsteqs = [1]', [], "sweep.toml: 'steqs' is not a parameter of pgpost.experiment:figure1_row; did you mean 'steps'?"),
    ('run = "figure1"\n[grid]\nsteps = ["1"]', [], "sweep.toml: steps must be of type int, got '1'"),
    ('run = "figure1"\n[setting]\nsigma = "big"', [], "sweep.toml: sigma must be of type float, got 'big'"),
    ('run = "figure1"\n[grid]\nsteps = []', [], "there are no settings: a list in the grid is empty"),
    ('run = "theorm"', [], "'theorm' is not an experiment or a module:function; did you mean 'theorem'?"),
    ('', [], 'an entry such as run = "figure1" is missing'),
    ('run = "figure1"', ["--workers", "2", "--scheduler", "tcp://a:1"], "not allowed with argument --workers"),
    ('run = "figure1"', ["--fresh", "--resume"], "not allowed with argument --fresh"),
    ('run = "figure1"', ["--export", "no/such/folder.csv"], "argument --export: cannot write no/such/folder.csv"),
    ('run = "figure1"', ["--store", "sweep.toml"], "sweep.toml is no store: it is too short for an SQLite file"),
    ('run = "figure1"', ["--store", "no/such.db"], "there is no folder for no/such.db"),
    ('run = "figure1"', ["--stor", "x.db"], "unrecognized arguments: --stor x.db"),
])
def test_bad_requests_are_refused_before_the_work(text, options, message, tmp_path):
    (tmp_path / "sweep.toml").write_text(text)
    result = pgpost("sweep", "sweep.toml", *options, cwd=tmp_path)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr and result.stdout == ""
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("sweep.toml", text)]


def test_sweep_files_describe_settings(tmp_path):
    (tmp_path / "sweep.toml").write_text('run = "sweep_runs:walk"\nseeds = 2\nentropy = 5\n[setting]\na = 1.5\n[zip]\nb = [1, 2]\nc = ["x", "y"]\n[grid]\nsteps = [3]\n')
    fn, found = read_sweep(tmp_path / "sweep.toml")
    assert fn is sweep_runs.walk and found == [dict(a=1.5, b=b, c=c, steps=3, seed=s) for b, c in ((1, "x"), (2, "y")) for s in seeds(2, 5)]


def test_help_tells_the_options():
    text = pgpost("sweep", "--help").stdout
    assert all(option in text for option in ["FILE.toml", "--store", "results.db", "--workers", "--scheduler", "--resume", "--retry-failed", "--fresh", "--export"])


def test_an_export_of_nothing_writes_nothing(tmp_path):
    Store(tmp_path / "results.db").close()
    result = pgpost("sweep", "--export", "results.csv", cwd=tmp_path)
    assert result.returncode == 2 and "results.db has no complete runs: there is nothing to export" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["results.db"]
