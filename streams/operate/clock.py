"""What day it is, asked and told to every partition: `concord clock tick`.

    today (UTC) --> tick-proposed --clock--> partitions count what it would withdraw --> tick, or a stop that asks
                    tick (confirmed) --clock--> decide sweeps what is due by then

Writes to topic `clock` only; a date the partitions would refuse is refused here first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from streams.agents import clock, control
from streams.errors import InvalidInput
from streams.operate import announced
from streams.operate.announced import Party
from streams.settings import Settings, need

COUNTED = "counted"
TOLD = "told"
STOPPED = "stopped"
PENDING = "pending"

PATIENCE = 30.0
"""Seconds to wait for the partitions; what was written to `clock` stays and takes effect later."""
LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a date.

    outcome    counted: only asked what is due · told: every partition has the date · stopped: it would withdraw too
               much, a person confirms it · pending: not every partition has answered yet
    due        entities due by it just before, by partition; None: nobody could be asked
    withdrawn  providers that a system would lose, of `providers`; None: not counted
    """

    as_of: str
    outcome: str
    due: dict[int, int | None]
    withdrawn: int | None = None
    providers: int | None = None


def tick(
    settings: Settings,
    as_of: date | None = None,
    *,
    dry_run: bool = False,
    confirm: bool = False,
    who: str = "operator",
) -> Told:
    """Propose this day (today), or with `confirm` tell it whatever it withdraws; with `dry_run`, only count."""
    now = control.today(time.time())
    day = as_of or now
    if day > now + control.AHEAD:
        message = f"{day} is more than a day ahead: today is {now} (UTC), and a date cannot be taken back"
        raise InvalidInput("clock.too_far", message, f"name {now + control.AHEAD} or an earlier date")
    kafka, topic = need(settings.kafka, "CONCORD_KAFKA"), settings.topic("clock")
    workers = [answer.party for answer in announced.answering(settings, "worker")]
    due = waiting(settings.partitions, workers, day)
    if dry_run:
        return Told(day.isoformat(), COUNTED, due)
    name = f"{who} {time.time_ns()}"
    write = clock.tick if confirm else clock.propose
    write(kafka, topic, settings.partitions, day, name)
    return _outcome(settings, workers, day.isoformat(), name, due)


def waiting(partitions: int, workers: Sequence[Party], day: date) -> dict[int, int | None]:
    """Entities due by time alone up to a date, by partition, as the workers that live say."""
    found: dict[int, int | None] = dict.fromkeys(range(partitions))
    for party in workers:
        told = announced.ask(party, f"/due/{day}")
        found |= {int(number): count for number, count in (told or {}).items()}
    return found


def _outcome(
    settings: Settings, workers: Sequence[Party], as_of: str, name: str, due: dict[int, int | None]
) -> Told:
    """Look until the partitions have decided; nobody is waited for when no worker lives."""
    deadline = time.monotonic() + (PATIENCE if workers else 0)
    while True:
        rows = [row for answer in announced.answers(workers) for row in answer.status["partitions"]]
        told = judge(rows, settings.partitions, as_of, name, due)
        if told.outcome != PENDING or time.monotonic() > deadline:
            return told
        time.sleep(LOOK)


def judge(
    rows: Sequence[Mapping[str, Any]], partitions: int, as_of: str, name: str, due: dict[int, int | None]
) -> Told:
    """What became of the date, as the partitions' status says. `name`: an older answer to the date is none."""
    if len(rows) >= partitions and all(row["ticked"] >= as_of for row in rows):
        return Told(as_of, TOLD, due)
    asked = next((row["asked"] for row in rows if row.get("asked")), None)
    if asked is None or asked["as_of"] != as_of or asked["ids"] != [name]:
        return Told(as_of, PENDING, due)
    outcome = STOPPED if asked["stopped"] else PENDING
    return Told(as_of, outcome, due, asked["withdrawn"], asked["providers"])
