"""Where the time goes inside ONNX Runtime and inside the C engine, and the machine's peaks.

ONNX Runtime rewrites a graph before it runs it. This module lists what really ran: fused nodes, and the `ReorderInput`
and `ReorderOutput` nodes that move tensors into its blocked layout and out of it. In the C engine, `c_parts` times each
kernel in each stage of the network.
"""

from __future__ import annotations

import collections
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

__all__ = [
    "KINDS",
    "Kernel",
    "Part",
    "Peaks",
    "by_kernel",
    "by_kind",
    "by_operator",
    "c_parts",
    "c_peak",
    "make_session",
    "measure_peaks",
    "profile",
    "reorders",
]

# The purpose of each operator, in the order of the figures.
KINDS = {
    "convolution": ("Conv", "FusedConv"),
    "reorder": ("ReorderInput", "ReorderOutput"),
    "shuffle and halves": ("Transpose", "Reshape", "Split", "Concat", "Slice", "Gather"),
    "weights and sums": ("Mul", "Add", "Sum", "Relu", "Sigmoid"),
    "pooling": ("AveragePool", "GlobalAveragePool"),
    "upsampling": ("Upsample", "Resize"),
}


@dataclass(frozen=True)
class Kernel:
    """One node that ran.

    Attributes:
        name: name of the node in the optimised graph.
        op: its operator.
        microseconds: time inside the kernel, the tenth percentile over the runs.
        output: shape of its first output.
        macs: multiply-accumulates of a convolution; 0 for every other operator.
        bytes: size of its inputs, weights and outputs, each counted once.
        depthwise: whether it is a convolution with one filter per channel.
    """

    name: str
    op: str
    microseconds: float
    output: tuple[int, ...]
    macs: int
    bytes: int
    depthwise: bool

    @property
    def kind(self) -> str:
        """Its purpose: a key of `KINDS`, or "other"."""
        return next((kind for kind, ops in KINDS.items() if self.op in ops), "other")


def session_options(threads: int = 1, **settings: object) -> SessionOptions:
    """Options of an ONNX Runtime session: `threads` within an operator, further attributes by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    for name, value in settings.items():
        setattr(options, name, value)
    return options


def make_session(path: str | Path, threads: int = 1, **settings: object) -> InferenceSession:
    """An ONNX Runtime session on the CPU; `settings` are attributes of `onnxruntime.SessionOptions`."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, session_options(threads, **settings), providers=["CPUExecutionProvider"])


def random_input(session: InferenceSession) -> dict[str, np.ndarray]:
    """Noise in the shape of a session's only input, always the same.

    Raises:
        ValueError: the input's size is free, so there is no shape to fill.
    """
    value = session.get_inputs()[0]
    shape = [1, *value.shape[1:]]
    if not all(isinstance(side, int) for side in shape):
        raise ValueError(f"the input {value.name!r} has a free size, {value.shape}; export the model at one size")
    return {value.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}


def profile(path: str | Path, runs: int = 80) -> list[Kernel]:
    """Run a file `runs` times with ONNX Runtime's profiler, in one thread, and return each node's tenth percentile.

    The tenth percentile is steadier than the median when other programs are running, and its sums can be compared.

    Args:
        path: an ONNX file of fixed size.
        runs: how many times to run it.
    """
    with tempfile.TemporaryDirectory() as name:
        session = make_session(path, enable_profiling=True, profile_file_prefix=str(Path(name) / "profile"))
        image = random_input(session)
        for _ in range(runs):
            session.run(None, image)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[int]] = collections.defaultdict(list)
    arguments: dict[str, dict] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = event["name"].removesuffix("_kernel_time")
            times[node].append(event["dur"])
            arguments[node] = event["args"]
    return [_kernel(node, float(np.percentile(durations, 10)), arguments[node]) for node, durations in times.items()]


def _kernel(name: str, microseconds: float, args: dict) -> Kernel:
    inputs = [tuple(next(iter(shape.values()))) for shape in args["input_type_shape"]]
    output = tuple(next(iter(args["output_type_shape"][0].values())))
    convolution = args["op_name"] in KINDS["convolution"] and len(inputs) > 1
    depthwise = convolution and inputs[1][1] == 1 and inputs[0][1] > 1
    moved = sum(int(args.get(key, 0)) for key in ("activation_size", "parameter_size", "output_size"))
    macs = math.prod(output) * math.prod(inputs[1][1:]) if convolution else 0
    return Kernel(name, args["op_name"], microseconds, output, macs, moved, depthwise)


def by_operator(kernels: Sequence[Kernel]) -> dict[str, tuple[int, float]]:
    """From each operator to (number of nodes, total milliseconds), the longest first."""
    return _sums(kernels, lambda kernel: kernel.op)


def by_kind(kernels: Sequence[Kernel]) -> dict[str, tuple[int, float]]:
    """From each key of `KINDS`, and "other", to (number of nodes, total milliseconds), the longest first."""
    return _sums(kernels, lambda kernel: kernel.kind)


def _sums(kernels: Sequence[Kernel], key: Callable[[Kernel], str]) -> dict[str, tuple[int, float]]:
    counts: collections.Counter[str] = collections.Counter()
    times: dict[str, float] = collections.defaultdict(float)
    for kernel in kernels:
        counts[key(kernel)] += 1
        times[key(kernel)] += kernel.microseconds / 1000
    longest_first = sorted(times.items(), key=lambda item: -item[1])
    return {name: (counts[name], milliseconds) for name, milliseconds in longest_first}


def reorders(path: str | Path) -> dict[str, int]:
    """How many nodes ONNX Runtime runs for this file on this processor, and how many of them only change the layout.

    Returns:
        Counts under the keys "nodes", "ReorderInput" and "ReorderOutput".
    """
    import onnx

    with tempfile.TemporaryDirectory() as name:
        optimised = Path(name) / "optimised.onnx"
        make_session(path, optimized_model_filepath=str(optimised))
        ops = collections.Counter(node.op_type for node in onnx.load_model(optimised).graph.node)
    return {"nodes": ops.total(), "ReorderInput": ops["ReorderInput"], "ReorderOutput": ops["ReorderOutput"]}


@dataclass(frozen=True)
class Part:
    """One kernel of the C engine in one stage of the network, all its calls for one image together.

    Attributes:
        stage: the function of litehrnet.c that calls it: "stem", "transition", "weights" (pooling and cross-resolution
            weights), "depthwise" (their product with the map, and the convolution), "shuffle_first" and "shuffle_last"
            (the naive variants' blocks), "spatial_weights", "settle" and "down" (the two halves of the fuse step), or
            "head".
        kernel: "product" (1x1 convolutions, and the stem's first), "depthwise", "weighted", "pool", "unshuffle", or
            "rest": everything else in that stage.
        seconds: time in it, the tenth percentile over the runs, without what reading the clock takes.
        calls: how often it is called.
        macs: multiply-accumulates that the network asks for.
        lane_macs: those that are computed: whole vectors, dead lanes included.
        bytes: what the calls read and write, weights included, each number once per call; 0 for "rest".
    """

    stage: str
    kernel: str
    seconds: float
    calls: int
    macs: int
    lane_macs: int
    bytes: int

    @property
    def name(self) -> str:
        """Stage and kernel, as "down: product"."""
        return f"{self.stage}: {self.kernel}"


def c_parts(
    path: str | Path, size: Sequence[int] | None = None, runs: int = 80, processor: str = "native"
) -> list[Part]:
    """Where the C engine's time goes, in one thread: every kernel in every stage, in the order in which they run.

    The engine is compiled once more, with a clock around each kernel. Time is exclusive, so the parts add up to the
    whole run; what reading the clock takes (some 15,000 times per image) is taken off.

    Args:
        path: a .lhr file.
        size: height and width of the image; by default the size that the weights were trained for.
        runs: how many times to run it.
        processor: what to compile for, see `litehrnet.runtimes.c.library`.

    Raises:
        FileNotFoundError, ValueError, ImportError, RuntimeError: as `litehrnet.runtimes.c.Engine`.

    Example:
        >>> parts = c_parts("my.lhr", (256, 192))  # doctest: +SKIP
        >>> for kernel, part in by_kernel(parts).items():  # doctest: +SKIP
        ...     print(f"{kernel:10} {part.seconds * 1e3:5.2f} ms {part.macs / part.seconds / 1e9:5.0f} GMAC/s")
    """
    from ..runtimes.c import Engine

    engine = Engine(path, processor=processor, profile=True)
    height, width = engine.header.size if size is None else size
    image = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    engine(image)
    all_runs = [engine.profiled(image) for _ in range(runs)]
    seconds = np.percentile([[part.seconds for part in parts] for parts in all_runs], 10, axis=0)
    return [
        Part(
            part.stage.decode().removesuffix("_stage"),
            part.kernel.decode(),
            max(float(time), 0.0),
            *(round(number) for number in (part.calls, part.macs, part.lane_macs, part.bytes)),
        )
        for part, time in zip(all_runs[0], seconds, strict=True)
        if part.calls or part.kernel == b"rest"
    ]


def c_peak(path: str | Path, processor: str = "native") -> float:
    """10^9 multiply-accumulates per second that the C engine's build for `processor` reaches in one thread.

    Measured in registers alone, with vectors of the engine's width: no product can be faster.

    Args:
        path: a .lhr file, any.
        processor: see `litehrnet.runtimes.c.library`.
    """
    from ..runtimes.c import Engine

    return Engine(path, processor=processor, profile=True).peak() / 1e9


def by_kernel(parts: Sequence[Part]) -> dict[str, Part]:
    """Sums over the stages, by kernel, the longest first; each sum is a `Part` of the stage "all"."""
    sums: dict[str, Part] = {}
    for part in parts:
        known = sums.get(part.kernel, Part("all", part.kernel, 0.0, 0, 0, 0, 0))
        numbers = (
            getattr(known, name) + getattr(part, name) for name in ("seconds", "calls", "macs", "lane_macs", "bytes")
        )
        sums[part.kernel] = Part("all", part.kernel, *numbers)
    return dict(sorted(sums.items(), key=lambda item: -item[1].seconds))


@dataclass(frozen=True)
class Peaks:
    """What this machine can do with one thread, measured.

    Attributes:
        gmacs: 10^9 multiply-accumulates per second, in a large matrix product.
        copy: 10^9 bytes per second read and written, copying 64 MB, which no cache holds.
        cached_copy: the same for the 0.6 MB of branch 0's map.
    """

    gmacs: float
    copy: float
    cached_copy: float

    def least(self, kernel: Kernel) -> float:
        """The least microseconds that this kernel can take: its arithmetic at the peak, or its bytes at cache speed."""
        return max(kernel.macs / self.gmacs, kernel.bytes / self.cached_copy) / 1000


def measure_peaks(seconds: float = 1.0) -> Peaks:
    """Measure `Peaks`, each for about `seconds`, and keep the best of the repetitions.

    The matrix product is ONNX Runtime's own (512 x 512 x 512), since its convolutions share that code.
    """
    from onnx import TensorProto, helper

    side = 512
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (side, side)) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    factors = {name: rng.standard_normal((side, side)).astype(np.float32) for name in "ab"}
    product = _best(lambda: session.run(None, factors), seconds)
    large, small = np.ones(16 * 2**20, np.float32), np.ones(48 * 64 * 48, np.float32)
    to_large, to_small = large.copy(), small.copy()
    copies = [
        2 * a.nbytes / _best(partial(np.copyto, b, a), seconds) / 1e9 for a, b in ((large, to_large), (small, to_small))
    ]
    return Peaks(side**3 / product / 1e9, *copies)


def _best(run: Callable[[], object], seconds: float) -> float:
    """The shortest of the runs that fit in `seconds`."""
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best
