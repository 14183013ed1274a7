"""What surviving a kill costs: 200 digits to 600 by `proxflow generate`, unbroken and killed five times.

Every kill is a SIGKILL some seconds into the process, wherever that is; `--resume` goes on. A checkpoint is written
every ten seconds; its size is that in mid-run.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from proxflow.data.digits import load_digits_split

KILLS = 5


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "proxflow", *words]


def main() -> str:
    folder = Path(tempfile.mkdtemp())
    np.save(folder / "digits.npy", load_digits_split().train)
    made = ["generate", "digits.npy", "-n", "600", "--bounds", "0,16", "--no-trial", "--no-pictures"]
    started = time.perf_counter()
    subprocess.run(_command(*made, "--out", "whole"), cwd=folder, check=True, capture_output=True)
    whole = time.perf_counter() - started
    draw, sizes, steps = random.Random(0), [0], []
    command = _command(*made, "--out", "killed", "--resume")
    started = time.perf_counter()
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.3, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        file = folder / "killed" / "checkpoint.npz"
        if file.exists():
            sizes.append(file.stat().st_size)
            with np.load(file) as content:
                steps.append(len(content["history.value"]))
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    killed = time.perf_counter() - started
    same = all(
        (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes()
        for name in ("samples.npy", "history.csv")
    )
    shutil.rmtree(folder)
    rows = [
        ["unbroken", f"{whole:.0f} s", "", "", ""],
        [f"killed {KILLS} times", f"{killed:.0f} s", ", ".join(map(str, steps)), f"{max(sizes) / 1e6:.1f} MB",
         "yes" if same else "NO"],
    ]  # fmt: skip
    return table(["run", "all processes together", "steps on disk after each kill", "checkpoint", "same bits"], rows)


if __name__ == "__main__":
    print(main())
