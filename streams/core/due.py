"""When time alone may change what is said of an entity: the next such date of its golden record.

Beside decide: the store keeps the date as an index, a tick sweeps what is due by it (design: time is an input).
`DATED` is the one list of fields that a view or a rule compares with today, and how many days from them something
changes; a rule that looks at another date adds its line here. Nothing here reads a clock or says what changes.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from streams.core.entity import Golden

Offsets = tuple[int, ...]
"""Days from the date in the field, in ascending order."""

ON_THE_DAY: Offsets = (0,)
"""Half-open periods: the first day within, and the first day after."""
DAY_AFTER: Offsets = (1,)
"""A last covered day."""
EXPIRY: Offsets = (-90, -60, -30, -7, 0, 1)
"""Warnings 90, 60, 30 and 7 days ahead (R06), the last good day, and the first day after it."""
RECREDENTIALING: Offsets = (-180, -120, -90, -30, 0, 1, 31)
"""Warnings (R10), the due date, late from the next day on, and too late for a short cycle after 30 days."""

DECIDED: Offsets = tuple(sorted({years + days for days in RECREDENTIALING for years in (1095, 1096)}))
"""As RECREDENTIALING, counted from the decision 36 months before: three years, with a leap day or without."""
ATTESTED: Offsets = (121,)
SEARCHED: Offsets = (31,)
VERIFIED: Offsets = (75, 91, 181)
RECEIVED: Offsets = (3, 4, 5, 6, 7, 8)
"""The day after two business days: with weekends and holidays one of these."""

_PERIOD: dict[str, Offsets] = {"effective_from": ON_THE_DAY, "effective_to": ON_THE_DAY}

DATED: dict[str, dict[str, Offsets]] = {
    "taxonomy": _PERIOD,
    "affiliation": _PERIOD,
    "provider_location": _PERIOD,
    "hospital_privilege": _PERIOD,
    "former_name": _PERIOD,
    "contract": _PERIOD,
    "network_participation": {"effective_from": ON_THE_DAY, "term_date": DAY_AFTER},
    "enrollment": {"payer_effective": ON_THE_DAY, "term_date": DAY_AFTER},
    "license": {"issued": ON_THE_DAY, "expires": EXPIRY},
    "dea_registration": {"expires": EXPIRY},
    "cds_registration": {"expires": EXPIRY},
    "board_certification": {"issued": ON_THE_DAY, "expires": EXPIRY},
    "malpractice_coverage": {"effective_from": ON_THE_DAY, "effective_to": EXPIRY},
    "credentialing_cycle": {"due_date": RECREDENTIALING, "attestation_signed_at": ATTESTED},
    "committee_decision": {"decided_at": DECIDED},
    "leie": {"excluded_on": ON_THE_DAY},
    "sam": {"active_on": ON_THE_DAY, "terminates_on": DAY_AFTER},
    "leie_search": {"searched_on": SEARCHED},
    "sam_search": {"searched_on": SEARCHED},
    "listing": {**_PERIOD, "verified_on": VERIFIED},
    "attestation": {"attested_at": (91, 181)},
    "publication": {"info_received_at": RECEIVED},
}
"""record -> field -> offsets."""


def next_date(golden: Golden, as_of: str) -> str | None:
    """The first ISO date after `as_of` on which something may differ by time alone; None: never."""
    first = _NEVER
    for record, fields in _ahead(golden.records, as_of):
        for row in golden.named(record).values():
            # Plain loops, and texts compared first: every date of every decision passes here, few are ahead.
            for field, offsets, floor in fields:
                value = getattr(row, field)
                if value is not None and value > floor:
                    first = min(first, _first_after(as_of, value, offsets))
    return first if first is not _NEVER else None


_NEVER = "~"
"""Behind every ISO date."""

Fields = tuple[tuple[str, Offsets, str], ...]
"""(field, offsets, the date up to which it has nothing ahead)"""


@lru_cache(4096)
def _ahead(records: tuple[str, ...], as_of: str) -> tuple[tuple[str, Fields], ...]:
    """The dated fields of these records."""
    return tuple(
        (record, tuple((field, days, _shifted(as_of, -days[-1])) for field, days in DATED[record].items()))
        for record in records
        if record in DATED
    )


@lru_cache(16_384)
def _first_after(as_of: str, value: str, offsets: Offsets) -> str:
    """The first of the dates that a date gives. What lies outside the calendar never comes."""
    days = (_shifted(value[:10], offset) for offset in offsets)
    return next((day for day in days if day > as_of), _NEVER)


def _shifted(day: str, offset: int) -> str:
    """So many days later, or earlier; empty beyond the calendar."""
    try:
        return (date.fromisoformat(day) + timedelta(offset)).isoformat()
    except (ValueError, OverflowError):
        return ""
