"""Shared by the benchmarks: median of repeats, fresh processes, a table in Markdown."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

REPEATS = 3


def median_seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median wall time of call, after one call that is not counted."""
    call()
    return statistics.median(_timed(call) for _ in range(repeats))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_fresh_process(module: str, *arguments: str) -> dict:
    """Run `python -m module arguments` and return the JSON object it prints, with the whole process's seconds."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": time.perf_counter() - start}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"
