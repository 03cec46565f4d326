"""Print how much memory running one ONNX file takes at its peak, in MB above the bare runtime: `memory.py MODEL.onnx`.

A process of its own for each file, since a peak never goes down.
"""

from __future__ import annotations

import sys
from pathlib import Path

from litehrnet.measure.profile import make_session, random_input


def peak() -> float:
    """Most memory this process has held so far, in MB; Linux only.

    Not `getrusage`: its value outlives `exec`, so it would be the memory of whoever started this process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main(path: Path) -> None:
    import onnxruntime  # noqa: F401 - its own memory belongs to the bare runtime

    bare = peak()
    session = make_session(path)
    image = random_input(session)
    for _ in range(5):
        session.run(None, image)
    print(f"{peak() - bare:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
