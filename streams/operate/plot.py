"""The demo's plot: what happens, in which order and in which system; and two people who approve what was proposed.

    (system, happening) --commit--> Event, which the demo follows to every system

The happenings themselves are their systems' (`connectors.<system>.story`); people sign by the code of
`concord proposals approve`. Waits on conditions with deadlines, never on time alone. Never looks at who is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from connectors.credentialing import story
from connectors.directory import story as edits
from connectors.event import Connection, Event
from connectors.stewardship.verdict import Word
from streams.core.entity import STEWARDSHIP
from streams.core.ruling import APPLIED, AWAITING, STEWARD
from streams.errors import ConcordError, InvalidInput, Unavailable
from streams.operate import processes, proposals
from streams.settings import Settings

PATIENCE = 60.0
POLL = 0.05
MANAGER = "credentialing_manager"

Happen = Callable[[Settings, Connection], Event]

_ONE_LICENSE = """
select p.provider_id from provider p join license l using (provider_id) where p.status = 'active'
group by p.provider_id having count(*) = 1 and min(l.status) = 'active' order by min(l.expires), p.provider_id limit 1
"""

_NPI = "select npi from provider where provider_id::text = %s"


def _renew_license(connection: Connection) -> Event:
    """Of somebody with one licence: it is the one that enrollment shows."""
    row = connection.execute(_ONE_LICENSE).fetchone()
    return story.renew_license(connection, row[0] if row else None)


def _approve_name(settings: Settings, connection: Connection) -> Event:
    """Two people sign the name that the directory proposed; over once the owner has said it."""
    row: dict[str, Any] = {}

    def is_open() -> bool:
        row.update(next(iter(_names(settings)), {}))
        return bool(row)

    until(is_open, PATIENCE, "the proposed name to stand in stewardship")
    number = int(row["proposal_id"])
    proposals.say(settings, number, Word("pat", STEWARD, "approve", "seen on the licence"))
    _refuse_twice(settings, number)
    proposals.say(settings, number, Word("mo", MANAGER, "approve"))
    until(lambda: proposals.show(settings, number)["state"] == APPLIED, PATIENCE, "the owner to take it over")
    found = connection.execute(_NPI, [row["entity_id"]]).fetchone()
    title = "has the name that was proposed: two people signed, the master took it over"
    npi = found[0] if found else None
    return Event(title, "provider", row["entity_id"], npi, ("approval", "ruling", "provider"), STEWARDSHIP)


def _names(settings: Settings) -> list[dict[str, Any]]:
    """Names that nobody has signed yet, the newest first."""
    rows = [row for row in proposals.listed(settings) if row["field"] == "last_name"]
    return [row for row in reversed(rows) if row["state"] == AWAITING]


def _refuse_twice(settings: Settings, number: int) -> None:
    """Four eyes are two people: whoever signed once may not sign again."""
    try:
        proposals.say(settings, number, Word("pat", MANAGER, "approve"))
    except InvalidInput:
        return
    raise ConcordError("demo.signed_twice", "one person has signed twice", "concord proposals show")


def _by(happen: Callable[[Connection], Event]) -> Happen:
    """What a system's own users do there."""
    return lambda settings, connection: happen(connection)


EVENTS: tuple[tuple[str, Happen], ...] = (
    ("credentialing", _by(story.move_practice)),
    ("credentialing", _by(_renew_license)),
    ("credentialing", _by(story.hire)),
    ("credentialing", _by(story.terminate)),
    ("credentialing", _by(story.clinic_moves)),
    ("credentialing", _by(story.lapse)),
    ("credentialing", _by(story.suspend)),
    ("directory", _by(edits.rename_group)),
    ("directory", _by(edits.accept_patients)),
    ("directory", _by(edits.change_degree)),
    ("directory", _by(edits.change_name)),
    ("credentialing", _approve_name),
)
"""(the system whose database it needs, what happens)"""


def until(
    condition: Callable[[], bool], within: float, what: str | Callable[[], str], pause: float = POLL
) -> None:
    """Wait for a condition; Unavailable when it is too late or a process has died."""
    deadline = time.monotonic() + within
    while not condition():
        processes.check_alive()
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise Unavailable("demo.late", f"waited {within:.0f} s for {words}", "concord status")
        time.sleep(pause)
