"""A wrong wall clock for one process: Python imports this before anything else from a folder on PYTHONPATH.

Only the time of day is shifted, as on a machine without NTP: what measures durations goes on as it does.
"""

import os
import time

_SHIFT = float(os.environ.get("SKEW_SECONDS", "0"))
_time, _time_ns = time.time, time.time_ns


def _shifted() -> float:
    return _time() + _SHIFT


def _shifted_ns() -> int:
    return _time_ns() + int(_SHIFT * 1e9)


time.time, time.time_ns = _shifted, _shifted_ns
