"""C in a lesson: the reader's own lines, compiled in a second, called through ctypes, and timed in turn.

Without a C compiler, a `Lab` says so in one sentence, and whatever it would have measured comes from a stored run of
`benchmarks/one_c_file.py`. So every cell of the lesson runs there too.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..measure import machine, median_interval, time_in_turn
from ..runtimes.c import THIS_PROCESSOR, compiler
from .compare import relative_difference
from .stored import stored_run

__all__ = ["VECTORS", "Functions", "Lab", "Lap", "aligned"]

OPTIONS = ("-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared")
LINE = 64  # bytes of a cache line

T = TypeVar("T")

VECTORS = """\
#if defined(__AVX512F__)
enum { V = 16, REGISTERS = 32 };
#elif defined(__AVX__)
enum { V = 8, REGISTERS = 16 };
#elif defined(__aarch64__)
enum { V = 4, REGISTERS = 32 };
#else
enum { V = 4, REGISTERS = 16 };
#endif
typedef float vf __attribute__((vector_size(4 * V), aligned(4), may_alias)); /* V floats */
typedef int vi __attribute__((vector_size(4 * V)));
#define LOAD(p) (*(const vf *)(p))
#define STORE(p, vector) (*(vf *)(p) = (vector))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
static inline vf relu(vf x) { return (vf)((vi)x & (x > (vf){0})); } /* max(x, 0) */
"""


def aligned(values: np.ndarray | Sequence[float]) -> np.ndarray:
    """A float32 copy that starts at a multiple of 64 bytes, where no vector lies across two cache lines.

    >>> aligned(np.zeros((3, 4))).ctypes.data % 64
    0
    """
    source = np.asarray(values, np.float32)
    memory = np.empty(source.nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    copy = memory[start : start + source.nbytes].view(np.float32).reshape(source.shape)
    copy[...] = source
    return copy


@dataclass(frozen=True)
class Lap:
    """One of the functions that a race compared.

    Attributes:
        name: what it is.
        milliseconds: the median of its times.
        ratio: how many times as fast as the first of the race it is: the median over the rounds.
        low, high: the interval of that median.
        difference: its result's relative difference from the expected one.
    """

    name: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    difference: float


class Functions:
    """What a compiled text defines.

    Args:
        library: the compiled text; None where there is no compiler.
        missing: in that case, the sentence that says so.
    """

    def __init__(self, library: ctypes.CDLL | None, missing: str = "") -> None:
        self._library, self._missing = library, missing

    def prepare(self, name: str, *arguments: np.ndarray | int) -> Callable[[], np.ndarray]:
        """A call that is ready to run, so that a clock sees the C alone.

        Args:
            name: of a function that returns nothing.
            arguments: its arguments: float32 arrays without gaps for ``float *``, whole numbers for ``int``.

        Returns:
            A function that makes the call and returns the last array, into which the C has written. Where there is no
            compiler it raises ImportError.

        Raises:
            ValueError: an array of another type or with gaps, or there is no such function.
        """
        arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
        for array in arrays:
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                raise ValueError(f"{name} takes float32 arrays without gaps; this one is {array.dtype}; use aligned()")
        if self._library is None:
            return self._refuse
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise ValueError(f"the C text defines no function {name!r}") from None
        function.restype = None
        passed = [ctypes.c_void_p(one.ctypes.data) if isinstance(one, np.ndarray) else ctypes.c_int(one)
                  for one in arguments]  # fmt: skip

        def run() -> np.ndarray:
            function(*passed)
            return arrays[-1]

        return run

    def _refuse(self) -> np.ndarray:
        raise ImportError(self._missing)


class Lab:
    """A C compiler, a clock, and a memory of what was measured.

    Attributes:
        compiles: whether there is a compiler; if not, results come from the stored run.
        laps: every lap so far, in order.

    Raises:
        FileNotFoundError: there is neither a compiler nor a stored run.
    """

    def __init__(self) -> None:
        self.laps: list[Lap] = []
        self._results: dict[str, Any] = {}
        self._command: list[str] = []
        self._missing = ""
        try:
            self._command = compiler()
        except ImportError as error:
            self._missing = str(error)
            stored = stored_run("one_c_file")
            self._results, self._machine = stored["results"], stored["machine"]
            return
        self._folder = tempfile.TemporaryDirectory()
        self._machine = machine()
        self._native = next((option for option in THIS_PROCESSOR if not self._build("", [option])[0]), None)

    @property
    def compiles(self) -> bool:
        """Whether there is a C compiler."""
        return bool(self._command)

    def __str__(self) -> str:
        if self.compiles:
            return f"{Path(self._command[0]).name} compiles the C of this lesson for the {self._machine['processor']}"
        return (
            f"The C of this lesson is not run, because {self._missing}. "
            f"Its numbers are those of the {self._machine['processor']} on {self._machine['date']}."
        )

    def compile(self, source: str, **macros: int) -> Functions:
        """Compile a text for this processor.

        Args:
            source: C, with functions that return nothing.
            macros: ``ROWS=8`` is ``#define ROWS 8`` above the text.

        Raises:
            RuntimeError: the compiler refuses the text; the message holds its first error.
        """
        if not self.compiles:
            return Functions(None, self._missing)
        native = [self._native] if self._native else []
        options = [*native, *(f"-D{name}={value}" for name, value in macros.items())]
        messages, library = self._build(source, options)
        if messages:
            first = next((line for line in messages.splitlines() if "error" in line), messages.splitlines()[0])
            raise RuntimeError(f"the compiler says {first.partition('error:')[2].strip() or first}, in line "
                               f"{first.split(':')[1] if first.count(':') > 2 else '?'} of the text")  # fmt: skip
        return Functions(ctypes.CDLL(str(library)))

    def _build(self, source: str, options: Sequence[str]) -> tuple[str, Path]:
        """What the compiler says if it fails, else nothing, and the library."""
        with tempfile.NamedTemporaryFile(dir=self._folder.name, suffix=".so", delete=False) as file:
            library = Path(file.name)
        command = [*self._command, *OPTIONS, *options, "-x", "c", "-", "-o", str(library), "-lm"]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        return (done.stderr.strip() or "it failed" if done.returncode else ""), library

    def measure(self, name: str, run: Callable[[], T]) -> T:
        """What `run` returns if there is a compiler; otherwise what it returned in the stored run.

        Args:
            name: the same in both.
            run: returns what JSON can hold: numbers and texts, in lists or dicts.

        Raises:
            KeyError: the stored run holds no such name.
        """
        if not self.compiles:
            return self._results[name]
        self._results[name] = result = run()
        return result

    @staticmethod
    def fastest(run: Callable[[], object], rounds: int = 40) -> float:
        """The shortest time of a function, in seconds of this thread."""
        return float(time_in_turn([run], rounds, clock=time.thread_time).min())

    def race(
        self,
        name: str,
        runs: Mapping[str, Callable[[], np.ndarray]],
        expected: np.ndarray | Sequence[np.ndarray],
        rounds: int = 40,
    ) -> list[Lap]:
        """Run functions in turn: how fast each is beside the first, and how far its result is from the expected one.

        The clock is that of the processor in this thread, so that other programs do not count.

        Args:
            name: of the race, for the stored run.
            runs: from each name to a function that returns its result.
            expected: what all of them should return, or a list of what each should.
            rounds: how many times each one runs.

        Raises:
            KeyError: there is no compiler, and the stored run holds no race of this name.
        """
        wanted = [expected] * len(runs) if isinstance(expected, np.ndarray) else expected

        def laps() -> list[dict[str, Any]]:
            differences = [relative_difference(one, run()) for one, run in zip(wanted, runs.values(), strict=True)]
            times = time_in_turn(list(runs.values()), rounds, clock=time.thread_time)
            found = zip(runs, times.T, differences, strict=True)
            return [asdict(Lap(label, 1000 * float(np.median(own)), *median_interval(times[:, 0] / own), difference))
                    for label, own, difference in found]  # fmt: skip

        new = [Lap(**lap) for lap in self.measure(name, laps)]
        self.laps += new
        return new

    def write(self, path: Path) -> None:
        """Store everything that was measured, with the machine, as JSON."""
        path.write_text(json.dumps({"machine": self._machine, "results": self._results}, indent=1) + "\n")
