"""How fast files are, compared in turn, and where their time goes.

`bench` compares files; `timing` says how time is taken, `statistics` how sure one may be, `profile` what ONNX Runtime
spends its time on.
"""

from .compare import bench, compare
from .machine import machine
from .report import Report, Row, stored_report
from .statistics import median_interval, ratios
from .timing import time_in_turn, time_sessions

__all__ = [
    "Report",
    "Row",
    "bench",
    "compare",
    "machine",
    "median_interval",
    "ratios",
    "stored_report",
    "time_in_turn",
    "time_sessions",
]
