"""What day it is, told to every partition: `concord clock tick`, and how many entities wait for a date.

    today (UTC) --> tick --clock, one record a partition--> decide sweeps what is due by then

Writes to topic `clock` only; a date the partitions would refuse is refused here first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date

from streams.agents import clock, control
from streams.errors import InvalidInput
from streams.operate import announced
from streams.settings import Settings, need


@dataclass(frozen=True, slots=True)
class Told:
    """What a tick named, whether it was written, and what was due by it just before; None: nobody could be asked."""

    as_of: str
    written: bool
    due: dict[int, int | None]


def tick(settings: Settings, as_of: date | None = None, *, dry_run: bool = False, who: str = "") -> Told:
    """Tell every partition that it is this day (today); with `dry_run`, only count."""
    now = control.today(time.time())
    day = as_of or now
    if day > now + control.AHEAD:
        message = f"{day} is more than a day ahead: today is {now} (UTC), and a date cannot be taken back"
        raise InvalidInput("clock.too_far", message, f"name {now + control.AHEAD} or an earlier date")
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    due = waiting(settings, day)
    if not dry_run:
        clock.tick(kafka, settings.topic("clock"), settings.partitions, day, who or "operator")
    return Told(day.isoformat(), not dry_run, due)


def waiting(settings: Settings, day: date) -> dict[int, int | None]:
    """Entities due by time alone up to a date, by partition, as the workers that live say."""
    found: dict[int, int | None] = dict.fromkeys(range(settings.partitions))
    for answer in announced.answering(settings, "worker"):
        told = announced.ask(answer.party, f"/due/{day}")
        found |= {int(number): count for number, count in (told or {}).items()}
    return found
