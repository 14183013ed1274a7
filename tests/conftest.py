"""Compiled functions are kept on disk: pytest's workers share them, and a second run compiles nothing."""

import os

from hypothesis import settings

settings.register_profile("same every time", deadline=None, derandomize=True, max_examples=40, database=None)
settings.load_profile("same every time")


def pytest_configure(config):
    # Through the environment, so that JAX need not be imported here and subprocesses share it too.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # Two workers may meet at one entry while it is being written; the reader then compiles it itself.
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache")
