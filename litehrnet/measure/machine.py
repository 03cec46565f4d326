"""The machine and the versions that a measurement was made with, and the memory that it took."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import datetime, timezone
from pathlib import Path

__all__ = ["machine", "peak_memory"]

PACKAGES = ("torch", "onnxruntime", "openvino", "ncnn", "executorch", "ai-edge-litert", "MNN", "numpy")
INSTRUCTIONS = ("avx512f", "avx2", "asimd")  # the widest first


def machine() -> dict[str, str]:
    """Processor, system, versions and the date, for the head of a report."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MB (2^20 bytes); None where the system does not say.

    Linux only. Not `resource.getrusage`: its value outlives `exec`, so it would be the memory of whoever started this
    process.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if not listing.is_file():
        return platform.processor() or "unknown"
    lines = (line.split(":", 1) for line in listing.read_text().splitlines() if ":" in line)
    entries = {key.strip(): value.strip() for key, value in lines}
    name = entries.get("model name", platform.processor() or "unknown")
    can = entries.get("flags", entries.get("Features", "")).split()
    widest = next((instructions for instructions in INSTRUCTIONS if instructions in can), None)
    return f"{name} ({widest})" if widest else name
