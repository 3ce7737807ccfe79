"""Rules on claims at their date of service: B01-B05, the half of `billable()` that needs no payer.

    claim row --dos_from--> what didn't hold of the provider on that day

Evaluated with what is known now and was valid then. B06 and the rest need what the payer accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.core.canonical import Claim, DeaRegistration, ExclusionHit, License, Nppes, NppesSearch
from streams.core.rules import credentialing, exclusion
from streams.core.rules.credentialing import DENIED
from streams.core.rules.prescribing import USABLE
from streams.core.today import USABLE_LICENSES, Today

SETTLED = frozenset({"paid", "void", "voided", "cancelled", "written_off"})


def _failing(today: Today, holds: Callable[[str], bool]) -> Iterator[str]:
    """Claims that are not settled, on whose day it doesn't hold."""
    said: dict[str, bool] = {}
    for row_id, row in today.golden.rows(Claim).items():
        day = row.dos_from
        if not day or row.status in SETTLED:
            continue
        if day not in said:
            said[day] = holds(day)
        if not said[day]:
            yield f"claim/{row_id}/dos_from"


def npi(today: Today) -> Iterator[str]:
    """The NPI is missing, unknown to NPPES, or was deactivated by then (B01)."""
    rows = today.golden.rows(Nppes).values()
    searches = today.golden.rows(NppesSearch).values()
    unknown = not today.root.npi or any(search.found == 0 for search in searches)
    yield from _failing(today, lambda day: not unknown and not any(_dark(row, day) for row in rows))


def _dark(row: Nppes, day: str) -> bool:
    since, again = row.deactivated_on, row.reactivated_on
    return bool(since) and (since or "") <= day and not (again and (since or "") <= again <= day)


def excluded(today: Today) -> Iterator[str]:
    """An exclusion is confirmed, or not reviewed yet (B02)."""
    rows = today.golden.rows(ExclusionHit)
    hit = bool(rows) and (any(exclusion.confirmed(today)) or any(exclusion.is_open(today)))
    yield from _failing(today, lambda _: not hit)


def not_credentialed(today: Today) -> Iterator[str]:
    """The committee's last word by then is no approval (B03)."""
    known = credentialing.decisions(today)

    def holds(day: str) -> bool:
        by_then = [row.decision for when, _, row in known if when <= day]
        return bool(by_then) and by_then[-1] != DENIED

    yield from _failing(today, holds)


def licence(today: Today) -> Iterator[str]:
    """No licence of any state was usable then (B04)."""
    rows = [row for row in today.golden.rows(License).values() if row.status]

    def holds(day: str) -> bool:
        return any(_usable(row, day) for row in rows)

    if rows:
        yield from _failing(today, holds)


def _usable(row: License, day: str) -> bool:
    """An expired licence was usable until its last day."""
    was = row.status in USABLE_LICENSES or (row.status == "expired" and bool(row.expires))
    return was and (not row.issued or row.issued <= day) and (not row.expires or day <= row.expires)


def prescribing(today: Today) -> Iterator[str]:
    """Registrations are on record and none was usable then (B05)."""
    rows = today.golden.rows(DeaRegistration).values()
    yield from _failing(today, lambda day: not rows or any(_registered(row, day) for row in rows))


def _registered(row: DeaRegistration, day: str) -> bool:
    return row.status in (None, USABLE, "expired") and (not row.expires or day <= row.expires)
