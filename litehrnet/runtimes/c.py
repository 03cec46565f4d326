"""The network in one C file as a runtime: compiled once for this machine, then called through ctypes.

`litehrnet/c/litehrnet.c` is compiled with the system's C compiler the first time that a .lhr file is loaded, for
exactly this processor, and kept in the user's cache folder (``$XDG_CACHE_HOME/litehrnet``, by default
``~/.cache/litehrnet``). The name of the library is a hash of the sources, the compiler with its version and options,
and the processor, so nothing stale is ever loaded. Nothing here knows torch.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import check_threads, first_line
from ..files import written_whole
from ..sizes import check_size
from .lhr import Header, read_header
from .session import Session
from .signature import Port, Signature, check_metadata

__all__ = ["COMPILERS", "Engine", "cache_folder", "compiler", "library", "open_session", "read_signature", "sources"]

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-fvisibility=hidden")
THIS_PROCESSOR = ("-march=native", "-mcpu=native")  # the first that the compiler takes
LIBRARIES = ("-lm", "-lpthread")
CONTEXTS = 4  # image sizes whose buffers an engine keeps

_FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
_DOUBLES = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
_BYTES = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
_POINTER, _INT = ctypes.c_void_p, ctypes.c_int
_PROTOTYPES = {
    "lhr_load": (_INT, _POINTER, ctypes.c_char_p),
    "lhr_free": (None, _POINTER),
    "lhr_vector_width": (_INT, _POINTER),
    "lhr_context_new": (_INT, _POINTER, _POINTER, _INT, _INT, _INT),
    "lhr_context_free": (None, _POINTER),
    "lhr_context_bytes": (ctypes.c_size_t, _POINTER),
    "lhr_run": (_INT, _POINTER, _FLOATS, _INT, _FLOATS),
    "lhr_run_rgb": (_INT, _POINTER, _BYTES, _INT, _FLOATS),
    "lhr_crop": (_INT, _BYTES, _INT, _INT, _DOUBLES, ctypes.c_double, _INT, _INT, _BYTES, _DOUBLES),
    "lhr_decode": (_INT, _FLOATS, _INT, _INT, _INT, _FLOATS, _FLOATS),
    "lhr_to_image": (_INT, _FLOATS, _INT, _DOUBLES, _DOUBLES),
    "lhr_pose": (_INT, _POINTER, _BYTES, _INT, _INT, _DOUBLES, _DOUBLES, _FLOATS),
    "lhr_error_text": (ctypes.c_char_p, _INT),
}
_NO_MEMORY = 2


def sources() -> Path:
    """The folder of litehrnet.c and litehrnet.h, in a checkout and in a wheel."""
    return Path(__file__).resolve().parents[1] / "c"


def compiler() -> list[str]:
    """The C compiler's command: the environment variable CC if it is set, else the first of `COMPILERS` that is found.

    Raises:
        ImportError: there is none; the message says how to install one.
    """
    wanted = shlex.split(os.environ.get("CC", ""))
    for command in [wanted] if wanted else [[name] for name in COMPILERS]:
        found = shutil.which(command[0])
        if found:
            return [found, *command[1:]]
    asked = f"CC names {wanted[0]!r}, which is not there" if wanted else f"none of {', '.join(COMPILERS)} was found"
    raise ImportError(
        f"the C engine needs a C compiler, and {asked}; install one: on Debian and Ubuntu with 'apt install gcc', "
        "on Fedora with 'dnf install gcc', on macOS with 'xcode-select --install'"
    )


def cache_folder() -> Path:
    """Where compiled engines are kept."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".cache") / "litehrnet"


def library(folder: Path | None = None, processor: str = "native", profile: bool = False) -> Path:
    """The compiled engine for this machine; compiled by the first call, which takes a few seconds.

    Args:
        folder: where compiled engines are kept; `cache_folder()` by default.
        processor: the value of the compiler's ``-march``: "native", or another processor whose code this one can run,
            such as "x86-64-v3" (AVX2) on a machine with AVX-512.
        profile: with a clock around every kernel, for `litehrnet.measure.profile.c_parts`.

    Raises:
        ImportError: there is no C compiler.
        RuntimeError: the compiler fails; the message holds its first error.
        OSError: the folder cannot be written.
    """
    command, folder = compiler(), folder or cache_folder()
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    options = (*OPTIONS, "-DLHR_PROFILE") if profile else OPTIONS
    files = [sources() / name for name in ("litehrnet.c", "litehrnet.h", "litehrnet_profile.h")]
    settings = (*command, *options, version, processor, _processor())
    parts = [*(file.read_bytes() for file in files), *map(str.encode, settings)]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
    target = folder / f"engine-{key}.so"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as temporary:
            _compile([*command, *options], processor, temporary)
    return target


def _compile(command: Sequence[str], processor: str, target: Path) -> None:
    source = str(sources() / "litehrnet.c")
    messages = []
    for choice in (*THIS_PROCESSOR, "") if processor == "native" else (f"-march={processor}",):
        options = [*filter(None, [choice]), source, "-o", str(target), *LIBRARIES]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        messages.append(next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()))
    raise RuntimeError(f"{command[0]} cannot compile the C engine: {messages[-1] or 'it does not say why'}")


def _processor() -> str:
    """A description of this processor: machines that share a cache folder may differ, and need their own libraries."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    described = [line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))]
    return "\n".join([platform.machine(), platform.processor(), *sorted(set(described))])


@functools.cache
def _functions(processor: str = "native", profile: bool = False) -> ctypes.CDLL:
    """The engine's functions, with their types; a failing one raises."""
    with tempfile.TemporaryDirectory() as spare:
        try:
            path = library(None, processor, profile)
        except OSError:  # the home folder cannot be written to; a loaded library outlives its file
            path = library(Path(spare), processor, profile)
        try:
            engine = ctypes.CDLL(str(path))
        except OSError:  # damaged, for example cut short by a full disk
            path.unlink()
            engine = ctypes.CDLL(str(library(path.parent, processor, profile)))
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(engine, name)
        function.restype, function.argtypes = result, arguments

    def check(code: Any, function: object, arguments: object) -> Any:
        if code:
            text = engine.lhr_error_text(code).decode()
            raise MemoryError(text) if code == _NO_MEMORY else ValueError(text)
        return code

    for name in ("lhr_load", "lhr_context_new", "lhr_run", "lhr_run_rgb", "lhr_crop", "lhr_decode", "lhr_to_image"):
        getattr(engine, name).errcheck = check
    engine.lhr_pose.errcheck = check
    if profile:
        engine.lhr_profile_start.restype, engine.lhr_profile_peak.restype = None, ctypes.c_double
        engine.lhr_profile_part.restype, engine.lhr_profile_part.argtypes = ctypes.POINTER(ProfiledPart), (_INT,)
    return engine


class ProfiledPart(ctypes.Structure):
    """`struct lhr_part` of litehrnet_profile.h: a kernel's sums over all its calls in one stage."""

    _fields_ = (
        ("stage", ctypes.c_char_p),
        ("kernel", ctypes.c_char_p),
        *((name, ctypes.c_double) for name in ("seconds", "calls", "macs", "lane_macs", "bytes")),
    )


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """The C engine, for `litehrnet.runtimes.load`.

    Args:
        path: the .lhr file.
        threads: threads that share one image.
        precision: "float32", whatever the weights are stored as.
        size: unused.

    Raises:
        as `Engine`.
    """
    engine = Engine(path, threads)
    return Session(_signature(engine.header, path.name), lambda arrays: [engine(*arrays)])


def read_signature(path: Path) -> Signature:
    """What a .lhr file takes and gives, in the words of the other formats: any batch, any size.

    Raises:
        FileNotFoundError, ValueError: as `litehrnet.runtimes.lhr.read_header`.
    """
    return _signature(read_header(path), path.name)


def weights_of(path: Path) -> str:
    """What a .lhr file stores its weights as: "float32" or "float16"."""
    return read_header(path).weights


def _signature(header: Header, name: str) -> Signature:
    own = {"variant": header.variant, "size": list(header.size), "weights": header.weights}
    metadata = check_metadata(header.metadata | own, name)
    image = Port("images", shape=(None, 3, None, None))
    heatmaps = Port("heatmaps", shape=(None, header.joints, None, None))
    return Signature(name, "c", (image,), (heatmaps,), metadata=metadata)


class Engine:
    """A .lhr file, ready to run at any legal size.

    Buffers are made at the first image of a size and kept for the last few sizes. Calls from several threads take
    turns; give each thread an engine of its own to run at the same time.

    Args:
        path: the .lhr file.
        threads: threads that share one image.
        processor: see `library`; any other than "native" is for measuring.
        profile: see `library`.

    Attributes:
        header: what the file says about itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a .lhr file, or a damaged one.
        ImportError: there is no C compiler.
        RuntimeError: the compiler fails.

    The methods raise ValueError for a size at which the network cannot run, and MemoryError if memory runs out.
    """

    def __init__(self, path: str | Path, threads: int = 1, processor: str = "native", profile: bool = False) -> None:
        self.header: Header = read_header(path)
        self.threads = check_threads(threads)
        self._engine = _functions(processor, profile)
        self._lock = threading.Lock()
        network = _POINTER()
        try:
            self._engine.lhr_load(ctypes.byref(network), os.fsencode(path))
        except ValueError as error:
            raise ValueError(f"the C engine cannot load {Path(path).name}: {first_line(error)}") from error
        self._network = network
        self._contexts: OrderedDict[tuple[int, int], ctypes.c_void_p] = OrderedDict()
        weakref.finalize(self, _free, self._engine, network, self._contexts)

    @property
    def vector_width(self) -> int:
        """Floats that the kernels work on at once: 16 with AVX-512, 8 with AVX2, 4 otherwise."""
        return self._engine.lhr_vector_width(self._network)

    def context_bytes(self, size: Sequence[int]) -> int:
        """Bytes of memory that running at this size takes, besides the weights."""
        with self._lock:
            return self._engine.lhr_context_bytes(self._context(check_size(size)))

    def _context(self, size: tuple[int, int]) -> ctypes.c_void_p:
        if size in self._contexts:
            self._contexts.move_to_end(size)
            return self._contexts[size]
        while len(self._contexts) >= CONTEXTS:
            self._engine.lhr_context_free(self._contexts.popitem(last=False)[1])
        context = _POINTER()
        self._engine.lhr_context_new(ctypes.byref(context), self._network, *size, self.threads)
        self._contexts[size] = context
        return context

    def profiled(self, image: np.ndarray) -> list[ProfiledPart]:
        """Run one image (1, 3, H, W) in an engine made with ``profile=True``; return where the time went, by part."""
        self._engine.lhr_profile_start()
        self(image)
        parts: list[ProfiledPart] = []
        while part := self._engine.lhr_profile_part(len(parts)):
            parts.append(ProfiledPart.from_buffer_copy(part.contents))
        return parts

    def peak(self) -> float:
        """Multiply-accumulates per second that the machine reaches in registers; needs ``profile=True``."""
        return self._engine.lhr_profile_peak()

    def _maps(self, count: int, size: tuple[int, int]) -> np.ndarray:
        return np.empty((count, self.header.joints, -(-size[0] // 4), -(-size[1] // 4)), np.float32)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Normalised images (N, 3, H, W) float32 to heatmaps (N, joints, ceil(H / 4), ceil(W / 4)) float32."""
        size = check_size(images.shape[2:])
        maps = self._maps(len(images), size)
        with self._lock:
            self._engine.lhr_run(self._context(size), np.ascontiguousarray(images), len(images), maps)
        return maps

    def run_rgb(self, crops: np.ndarray) -> np.ndarray:
        """RGB crops (N, H, W, 3) uint8 to heatmaps; they are normalised as the file says."""
        size = check_size(crops.shape[1:3])
        maps = self._maps(len(crops), size)
        with self._lock:
            self._engine.lhr_run_rgb(self._context(size), np.ascontiguousarray(crops), len(crops), maps)
        return maps

    def pose(
        self, photo: np.ndarray, box: Sequence[float], size: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """One person's joints in a photograph (H, W, 3) uint8, computed entirely in C.

        Args:
            photo: RGB.
            box: x, y, width, height.
            size: of the crop; by default the size that the weights were trained for.

        Returns:
            Joints (joints, 2), x before y, in the photograph's pixels, and scores (joints,).
        """
        size = self.header.size if size is None else check_size(size)
        joints = np.empty((self.header.joints, 2))
        scores = np.empty(self.header.joints, np.float32)
        photo, corners = np.ascontiguousarray(photo), np.array(box, dtype=np.float64)
        with self._lock:
            self._engine.lhr_pose(self._context(size), photo, *photo.shape[:2], corners, joints, scores)
        return joints, scores


def _free(
    engine: ctypes.CDLL, network: ctypes.c_void_p, contexts: OrderedDict[tuple[int, int], ctypes.c_void_p]
) -> None:
    for context in contexts.values():
        engine.lhr_context_free(context)
    engine.lhr_free(network)
