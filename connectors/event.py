"""An event of a story: what happened to whom, in which system, by which tables.

Made by the story of each system (`connectors.<system>.story`), told by the demo. Knows nothing of capture or topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: the entity it happened to (kind, the master's key, NPI where it has one), the tables written."""

    title: str
    kind: str
    key: str
    npi: str | None
    tables: tuple[str, ...]
    system: str = "credentialing"
    """where it happened"""
