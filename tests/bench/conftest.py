"`pytest tests/bench` prints what was measured beside its target and writes bench.json."
import pytest

JSON = "bench.json"
rows = pytest.StashKey()


def pytest_configure(config):
    config.stash[rows] = []
    if getattr(config.option, "benchmark_json", JSON) is None: config.option.benchmark_json = JSON


@pytest.fixture
def report(request, benchmark):
    "A function that notes a measured value and its target, for the table and for the json file."
    def note(name, value, target):
        request.config.stash[rows].append((name, value, target))
        benchmark.extra_info[name] = dict(value=value, target=target)
    return note


def pytest_terminal_summary(terminalreporter, config):
    if not config.stash[rows]: return
    terminalreporter.section("measured, and the target")
    for name, value, target in config.stash[rows]: terminalreporter.write_line(f"{name:64s} {value:12,.2f}   {target}")
