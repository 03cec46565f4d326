"""How fast files run compared with each other, and where the time goes.

`bench` compares files. `timing` explains how time is measured, `statistics` how certain the results are, and `profile`
where ONNX Runtime spends its time.
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
