"What all tests share: where things are, processes that end with their test, a browser, and who runs first."
import os

import pytest

pytest_plugins = ["processes", "browser"]

if "PYTEST_XDIST_WORKER" in os.environ:  # tests share the cores; set before NumPy is imported, and inherited by kernels and commands
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    "Slow tests first, so that no core waits for the last of them at the end."
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
