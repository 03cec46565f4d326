"""How fast files run compared with each other, where the time goes, and how well they find joints.

`bench` compares files, and `evaluate` measures one on labelled people. `timing` explains how time is measured,
`statistics` how certain the results are, and `profile` where ONNX Runtime spends its time.
"""

from .accuracy import Accuracy, evaluate
from .compare import bench, compare
from .grid import Candidate, Goal, Grid, candidates, compare_grid
from .machine import machine, peak_memory
from .report import Report, Row, stored_report, stored_reports
from .statistics import median_interval, ratios
from .timing import time_in_turn, time_sessions

__all__ = [
    "Accuracy",
    "Candidate",
    "Goal",
    "Grid",
    "Report",
    "Row",
    "bench",
    "candidates",
    "compare",
    "compare_grid",
    "evaluate",
    "machine",
    "median_interval",
    "peak_memory",
    "ratios",
    "stored_report",
    "stored_reports",
    "time_in_turn",
    "time_sessions",
]
