"""This machine: room on the disks that Concord writes to, and its clock against those of the services with HTTP.

folders, Connect, registry --look--> Room, skew --judge--> disk, clock
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from stack import layout
from streams.operate.doctor.judge_database import clock
from streams.operate.doctor.result import Result, finding, judged
from streams.settings import Settings
from streams.trust import trusted

SUBJECT = "machine"
GIB = 1024**3
LEAST = 1 * GIB
LEAST_SHARE, ENOUGH = 0.05, 20 * GIB
"""A twentieth must be free, unless that is more than anybody needs."""
PATIENCE = httpx.Timeout(3.0)


@dataclass(frozen=True, slots=True)
class Room:
    """A disk, by the folder of ours that stands on it."""

    folder: str
    free: int
    total: int


def rooms(settings: Settings) -> list[Room]:
    """The disks of the state, data and reference folders, each once."""
    folders = (layout.current().state, settings.data_dir, settings.reference_dir)
    found: dict[int, Room] = {}
    for folder in map(_there, folders):
        usage = shutil.disk_usage(folder)
        found.setdefault(folder.stat().st_dev, Room(str(folder), usage.free, usage.total))
    return list(found.values())


def _there(folder: Path) -> Path:
    """The folder, or where it would be made."""
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


def disk(found: Iterable[Room]) -> list[Result]:
    """Pure."""
    rooms = list(found)
    seen = ", ".join(f"{r.free / GIB:,.1f} of {r.total / GIB:,.1f} GiB free" for r in rooms)
    return judged("disk", SUBJECT, _full(rooms), seen)


def _full(found: Iterable[Room]) -> Iterator[Result]:
    for room in found:
        if room.free < max(LEAST, min(ENOUGH, LEAST_SHARE * room.total)):
            seen = f"{room.free / GIB:,.2f} of {room.total / GIB:,.1f} GiB free at {room.folder}"
            why = "a full disk stops the broker and the databases, and costs workers their store"
            fix = f"du -axh --max-depth=3 '{room.folder}' | sort -h | tail -20   # what takes the room; then free it"
            yield finding("disk", SUBJECT, seen, why, fix)


def clocks(settings: Settings) -> dict[str, tuple[float, float]]:
    """Service -> how far its clock is ahead, and within which doubt; those that don't answer tell that elsewhere."""
    asked = {"connect": settings.connect, "registry": settings.registry}
    return {name: found for name, url in asked.items() if url and (found := _asked(url)) is not None}


def _asked(url: str) -> tuple[float, float] | None:
    """From the Date of any answer: whole seconds."""
    before = time.time()
    try:
        said = httpx.get(url, timeout=PATIENCE, verify=trusted()).headers.get("date")
    except httpx.HTTPError:
        return None
    after = time.time()
    if not said:
        return None
    return parsedate_to_datetime(said).timestamp() + 0.5 - (before + after) / 2, (after - before) / 2 + 0.5


def agreeing(found: Mapping[str, tuple[float, float]]) -> list[Result]:
    """Pure."""
    return [r for name, (skew, doubt) in found.items() for r in clock(f"{SUBJECT}/{name}", skew, doubt)]
