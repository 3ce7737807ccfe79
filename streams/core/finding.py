"""Findings: what is wrong with an entity, for a steward to read and for the gates to act on.

Sits between the golden record and the gates. A finding has an identity (code and subject), opens once,
changes, and closes by itself when its cause is gone. Messages name paths and never hold values, so they may
stand on a topic that clears no restricted field (invariant 11). `CODES` is the one table of all codes.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from streams.core.change import Position
from streams.core.entity import Claim, Entity, Golden, Open
from streams.core.formats import refusal_code

REFUSE = "refuse"
"""The field keeps its last good value."""
HOLD = "hold"
"""No sink gets a new view; each keeps its last one."""
WARN = "warn"


class Code(Struct, frozen=True):
    """What a code means: severity, effect, and the sentence and action a steward sees."""

    severity: str
    effect: str
    message: str
    action: str
    source: str


# ruff: noqa: E501  (one line a code reads best)
CODES: dict[str, Code] = {
    "format.npi_shape": Code("high", REFUSE, "the NPI is not 10 digits", "correct the NPI", "R01, 45 CFR 162.406"),
    "format.npi_check_digit": Code("high", REFUSE, "the NPI fails its check digit", "correct the NPI", "R01, 45 CFR 162.406"),
    "format.dea_shape": Code("medium", REFUSE, "the DEA number has the wrong shape", "verify with the issuer", "R07"),
    "format.dea_check_digit": Code("medium", REFUSE, "the DEA number fails its check digit", "verify with the issuer", "R07"),
    "format.taxonomy_shape": Code("high", REFUSE, "the taxonomy code has no NUCC shape", "pick a valid NUCC code", "R04"),
    "format.zip_shape": Code("medium", REFUSE, "the ZIP code has the wrong shape", "correct the address", "R23"),
    "format.state_unknown": Code("medium", REFUSE, "the state code is unknown", "correct the state", "R23"),
    "format.phone_shape": Code("medium", REFUSE, "the number is no North American telephone number", "correct the number", "R23"),
    "format.dates_order": Code("high", REFUSE, "the end date lies before the start date", "correct the dates", "R15"),
    "identity.root_missing": Code("medium", HOLD, "rows arrived for an entity whose own row is not there", "check the source row", "P05"),
    "identity.npi_missing": Code("high", HOLD, "no valid NPI is known", "enter a valid NPI", "R01"),
    "identity.name_missing": Code("high", HOLD, "no last or legal name is known", "enter the name", "G04"),
    "reference.unknown": Code("medium", HOLD, "a referenced organization or location is not known yet", "check that its row exists and is captured", "G03"),
    "capture.gap": Code("medium", HOLD, "a large value was never delivered by capture", "re-read the row (incremental snapshot)", "P03"),
    "internal.decide_failed": Code("high", HOLD, "a defect of ours stopped the decision; every sink keeps what it has", "report it with the worker's log", "invariant 12"),
    "capture.quarantined": Code("medium", WARN, "a change of this row was quarantined, so its newest values are missing", "look at the quarantine topic, correct the row at its source", "P01"),
}  # fmt: skip
"""Every code a finding can have; docs/codes.md is generated from it."""


class Found(Struct, frozen=True):
    """A finding that holds now."""

    code: str
    subject: str


class Event(Struct, frozen=True):
    """What happened to a finding; the value of topic `finding`."""

    kind: str
    entity_id: str
    code: str
    subject: str
    state: str
    severity: str
    effect: str
    message: str
    action: str
    opened: Position
    position: Position


def refused(entity: Entity) -> Iterator[Found]:
    """Fields that keep their last good value because the newest one fails its own check."""
    for record, row_id, claim in _troubled(entity):
        now = claim.claims(record) if claim.refused else None
        if now is not None:
            for field in claim.refused:
                yield Found(refusal_code(record, field, now), f"{record}/{row_id}/{field}")


def gaps(entity: Entity) -> Iterator[Found]:
    """Values that capture did not deliver."""
    for subject in entity.gaps:
        yield Found("capture.quarantined", subject)
    for record, row_id, claim in _troubled(entity):
        for field in claim.gaps:
            yield Found("capture.gap", f"{record}/{row_id}/{field}")


def of_values(entity: Entity) -> Iterator[Found]:
    """What single values give: refused ones, and those that are missing."""
    if entity.gaps or _troubled(entity):
        yield from refused(entity)
        yield from gaps(entity)


def _troubled(entity: Entity) -> list[tuple[str, str, Claim]]:
    return [
        (record, row_id, claim)
        for tables in entity.claims.values()
        for record, rows in tables.items()
        for row_id, claim in rows.items()
        if claim.refused or claim.gaps
    ]


_NAME = {"provider": "last_name", "organization": "legal_name", "location": "name"}
_NEEDS_NPI = frozenset({"provider"})


def identity(golden: Golden) -> Iterator[Found]:
    """What an entity must have before any system may hear of it."""
    if golden.kind not in _NAME:
        return
    root = golden.root
    if root is None:
        if any(golden.named(record) for record in golden.records):
            yield Found("identity.root_missing", golden.kind)
        return
    if golden.kind in _NEEDS_NPI and not root.npi:
        yield Found("identity.npi_missing", f"{golden.kind}/npi")
    name = _NAME[golden.kind]
    if not getattr(root, name):
        yield Found("identity.name_missing", f"{golden.kind}/{name}")


def settle(entity: Entity, found: set[Found], position: Position) -> list[Event]:
    """Open what is new, close what is gone; `entity.findings` becomes `found`. Nothing flaps: no change, no event."""
    if not found and not entity.findings:
        return []
    now = {f"{f.code} {f.subject}": f for f in sorted(found, key=lambda f: (f.code, f.subject))}
    events = [_event(entity, key, "closed", position) for key in entity.findings if key not in now]
    for key in [key for key in entity.findings if key not in now]:
        del entity.findings[key]
    for key, item in now.items():
        if key not in entity.findings:
            code = CODES[item.code]
            entity.findings[key] = Open(position, code.severity, code.effect, code.message, code.action)
            events.append(_event(entity, key, "opened", position))
    return events


def failed(entity: Entity, position: Position) -> list[Event]:
    """A decision raised: nothing else changes, and it is said until one succeeds (invariant 12)."""
    found = {Found(*key.split(" ", 1)) for key in entity.findings}
    return settle(entity, found | {Found("internal.decide_failed", entity.kind)}, position)


def _event(entity: Entity, key: str, state: str, position: Position) -> Event:
    code, _, subject = key.partition(" ")
    is_open = entity.findings[key]
    return Event(
        entity.kind,
        entity.id,
        code,
        subject,
        state,
        is_open.severity,
        is_open.effect,
        is_open.message,
        is_open.action,
        is_open.position,
        position,
    )
