"""Compiled functions are kept on disk: pytest's workers share them, and a second run compiles nothing."""

import os
import sys

import pytest
from hypothesis import settings

settings.register_profile("same every time", deadline=None, derandomize=True, max_examples=40, database=None)
settings.load_profile("same every time")


def pytest_configure(config):
    # Through the environment, so that JAX need not be imported here and subprocesses share it too.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # Two workers may meet at one entry while it is being written; the reader then compiles it itself.
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_functions():
    """Free what a module compiled: a worker that keeps it all grows by gigabytes. The disk still knows it."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
