"""Run a command as other processors would: `make test-processors` checks that no bound holds on one of them only.

    python tools/processors.py                                list the processors that this machine can imitate
    python tools/processors.py old -- pytest -m numeric       one of them
    python tools/processors.py all -- pytest -m numeric       each in turn; those that failed are listed at the end

Numeric libraries choose their kernels by what the processor can do, and kernels add in different orders, so their
results differ in the last digits. Environment variables make a library leave instructions out:

    ONEDNN_MAX_CPU_ISA     oneDNN: PyTorch's and OpenVINO's convolutions
    ATEN_CPU_CAPABILITY    PyTorch's own kernels
    MKL_CBWR               MKL: PyTorch's matrix products
    OPENBLAS_CORETYPE      OpenBLAS: NumPy's matrix products
    NPY_DISABLE_CPU_FEATURES   NumPy's own loops
    OMP_NUM_THREADS        how sums are cut into parts

ONNX Runtime and ncnn have no such switch: they ask the processor itself (no such variable is named in their binaries).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass

NUMPY = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"  # NumPy 2.4's names; one that NumPy does not know is ignored


@dataclass(frozen=True)
class Processor:
    """A processor that can be imitated.

    Attributes:
        what: in a few words.
        variables: the environment that makes the libraries take it for this one.
        without: a package that does not work under these variables; tests and notebooks that name it are left out.
    """

    what: str
    variables: dict[str, str]
    without: str | None = None


PROCESSORS = {
    "here": Processor("this machine as it is", {}),
    "threads": Processor("two threads, as in a notebook on a laptop", {"OMP_NUM_THREADS": "2"}),
    "avx512": Processor("a server without AMX and 16-bit arithmetic", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}),
    "avx2": Processor(
        "a laptop of the last ten years",
        {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"},
    ),
    "old": Processor(
        "a processor of 2012: no fused multiply-add, except where OpenVINO needs it",
        {
            "ONEDNN_MAX_CPU_ISA": "AVX2",  # the least that OpenVINO 2026.4 runs on
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem",
            "NPY_DISABLE_CPU_FEATURES": NUMPY,
        },
    ),
    "oldest": Processor(
        "a processor of 2008, on which OpenVINO does not run",
        {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        without="openvino",
    ),
}


def environment(name: str) -> dict[str, str]:
    """This process's environment with one processor's variables, and none of another's.

    >>> environment("threads")["OMP_NUM_THREADS"]
    '2'
    """
    others = {variable for processor in PROCESSORS.values() for variable in processor.variables} - {"OMP_NUM_THREADS"}
    kept = {key: value for key, value in os.environ.items() if key not in others}
    own = PROCESSORS[name]
    return kept | own.variables | ({"LITEHRNET_TEST_WITHOUT": own.without} if own.without else {})


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 1 where the command failed on a processor, 2 for a wrong call, else 0.

    A failure does not stop the run, because it matters whether one processor fails or all of them do.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="processors.py [NAME ... -- COMMAND ...]",
    )
    given = sys.argv[1:] if arguments is None else arguments
    cut = given.index("--") if "--" in given else len(given)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names, command = parser.parse_args(given[:cut]).names, given[cut + 1 :]
    if unknown := set(names) - {*PROCESSORS, "all"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(PROCESSORS)} and all")
    if bool(names) != bool(command):
        parser.error("give both a processor and, after --, a command; or neither, for a list")
    if not names:
        for name, processor in PROCESSORS.items():
            print(f"{name:8} {processor.what}")
            for variable, value in processor.variables.items():
                print(f"{'':8}   {variable}={value}")
    failed, chosen = {}, list(PROCESSORS if "all" in names else names)
    for name in chosen:
        print(f"\n=== as {name}: {PROCESSORS[name].what} ===", flush=True)
        started = time.monotonic()
        code = subprocess.run(command, env=environment(name), check=False).returncode
        print(
            f"as {name}: {'passed' if code == 0 else f'exit code {code}'}, {time.monotonic() - started:.0f} s",
            flush=True,
        )
        if code:
            failed[name] = code
    if failed:
        named = ", ".join(f"{name} (exit code {code})" for name, code in failed.items())
        print(f"\nfailed as {len(failed)} of {len(chosen)} processors: {named}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
