"""Tests compile much and compute little: XLA is told to hurry, and what it made is kept on disk.

Processes that stand for users (`users_environment`) compile without haste; so does all else in `XLA_FLAGS= make test`.
"""

import mmap
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same every time", deadline=None, derandomize=True, max_examples=40, database=None)
settings.load_profile("same every time")

# Code that runs once need not be fast code: compiling takes less than half as long, and numbers change by rounding, as
# from one processor to the next. Not level 0: without LLVM's passes a minimum computed twice may differ from itself.
HASTE = {
    "xla_backend_optimization_level": "1",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
    "xla_llvm_disable_expensive_passes": "true",
    "xla_backend_extra_options": ",".join(
        ["xla_cpu_optimize_for_size", "xla_cpu_disable_loop_unrolling", "xla_cpu_disable_slp_vectorizer"]
    ),
}


def pytest_configure(config):
    # Through the environment, so that JAX need not be imported here and subprocesses share it too.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = " ".join(f"--{flag}={value}" for flag, value in HASTE.items() if known(flag))
    # Two workers may meet at one entry while it is being written; the reader then compiles it itself.
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache")


def known(flag):
    """Whether the installed XLA has this flag: one that it does not know ends the process."""
    for library in Path(find_spec("jaxlib").origin).parent.glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(flag.encode()) >= 0:
                return True
    return False


@pytest.fixture(scope="session")
def users_environment():
    """The environment of a process that compiles as those of users do."""
    return {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_functions():
    """Free what a module compiled: a worker that keeps it all grows by gigabytes. The disk still knows it."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
