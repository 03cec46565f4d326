"""Print how much memory running one file takes at its peak, in MB: `memory.py MODEL.onnx` or `memory.py MODEL.lhr`.

For an ONNX file that is above the bare runtime; for the C engine's .lhr file, above the engine with its weights loaded.
Each file needs a process of its own, because a peak never goes down.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from litehrnet.measure import peak_memory
from litehrnet.measure.profile import make_session, random_input


def of_engine(path: Path) -> float:
    """The C engine's peak beyond the weights, at the size that they were trained for."""
    from litehrnet.runtimes.c import Engine

    engine = Engine(path)
    height, width = engine.header.size
    image = np.ones((1, 3, height, width), np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # loading took more for a moment: the peak starts again from here
    loaded = peak_memory()
    for _ in range(5):
        engine(image)
    return (peak_memory() or 0.0) - (loaded or 0.0)


def main(path: Path) -> None:
    if peak_memory() is None:
        sys.exit("this system does not say how much memory a process has taken at its peak; Linux does")
    if path.suffix == ".lhr":
        print(f"{of_engine(path):.1f}")
        return
    import onnxruntime  # noqa: F401 - its own memory belongs to the bare runtime

    bare = peak_memory() or 0.0
    session = make_session(path)
    image = random_input(session)
    for _ in range(5):
        session.run(None, image)
    print(f"{(peak_memory() or 0.0) - bare:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
