"""Print how much memory running one ONNX file takes at its peak, in MB above the bare runtime: `memory.py MODEL.onnx`.

Each file needs a process of its own, because a peak never goes down.
"""

from __future__ import annotations

import sys
from pathlib import Path

from litehrnet.measure import peak_memory
from litehrnet.measure.profile import make_session, random_input


def main(path: Path) -> None:
    import onnxruntime  # noqa: F401 - its own memory belongs to the bare runtime

    bare = peak_memory()
    if bare is None:
        sys.exit("this system does not say how much memory a process has taken at its peak; Linux does")
    session = make_session(path)
    image = random_input(session)
    for _ in range(5):
        session.run(None, image)
    print(f"{(peak_memory() or bare) - bare:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
