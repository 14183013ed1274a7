"""How long before anything happens: import, --help, and the whole demo, as processes."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.measure import REPEATS, table

COMMANDS = {
    "import proxflow": [sys.executable, "-c", "import proxflow"],
    "proxflow --help": [sys.executable, "-m", "proxflow", "--help"],
    "proxflow demo": [sys.executable, "-m", "proxflow", "demo", "--overwrite", "--out"],
}
REACH = {"import proxflow": "1 s", "proxflow --help": "1 s", "proxflow demo": "60 s"}


def main() -> str:
    rows = []
    for name, command in COMMANDS.items():
        times = []
        for _ in range(REPEATS):
            folder = tempfile.mkdtemp()
            start = time.perf_counter()
            subprocess.run([*command, folder] if name.endswith("demo") else command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
            shutil.rmtree(folder)
        rows.append([name, f"{statistics.median(times):.2f} s", REACH[name]])
    return table(["command", "measured", "reach"], rows)


if __name__ == "__main__":
    print(main())
