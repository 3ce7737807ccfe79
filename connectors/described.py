"""Every target's tables as data: what connectors/<system>/adapter.py says, by system.

    connectors/<system>/adapter.py, its constant <SYSTEM> --> run (the real adapter), operate.rehearsal (the sandbox)

The systems are those of streams/systems.py that are sent views; a folder that lacks its adapter is an error at import.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from connectors.table import System
from streams.systems import ADAPTED


def _described(name: str) -> System:
    """The constant is called as the system is, in capitals."""
    system: System = getattr(import_module(f"connectors.{name}.adapter"), name.upper())
    return system


DESCRIBED: Mapping[str, System] = {name: _described(name) for name in ADAPTED}
