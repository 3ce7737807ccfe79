"""Findings: what is wrong with an entity, for a steward to read and for the gates to act on.

Sits between the golden record and the gates. A finding has an identity (code and subject), opens once, changes when its
words, its day or the claims it rests on do, and closes by itself when its cause is gone. Messages name paths and never
hold values, so they may stand on a topic that clears no restricted field (invariant 11). Codes and their words stand in
rules/book.py, days in deadline.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from streams.core import awaited, carried, deadline, ruling, unseen
from streams.core.authority import Authority
from streams.core.change import Position
from streams.core.edit import Edit
from streams.core.entity import SYSTEM, Claim, Entity, Evidence, Golden, Open, Proposal
from streams.core.formats import refusal_code
from streams.core.receipt import STANDSTILL
from streams.core.rules import book
from streams.core.rules.book import CODES
from streams.core.today import Today


class Found(Struct, frozen=True):
    """A finding that holds now; by when and by whom something must be done, where that is not its code's."""

    code: str
    subject: str
    due: str = ""
    actor: str = ""


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
    actor: str = ""
    due: str = ""
    evidence: list[Evidence] = []


def of_values(entity: Entity) -> Iterator[Found]:
    """What single values give: refused ones, and those that capture did not deliver; what systems refuse."""
    for subject in entity.gaps:
        yield Found("capture.quarantined", subject)
    for system, refusal in entity.refused.items():
        yield Found(
            STANDSTILL.get(refusal.code, PAUSED) if entity.kind == SYSTEM else REFUSED,
            f"{system}/{entity.kind}",
        )
    for subject, code in entity.diverging.items():
        yield Found(code, subject)
    size, troubled = _walk(entity)
    if size > LARGE_BYTES:
        yield Found("entity.too_large", entity.kind)
    for record, row_id, claim in troubled:
        for field in claim.gaps:
            yield Found("capture.gap", f"{record}/{row_id}/{field}")
        # A refused field keeps its last good value: the newest one fails its own check.
        now = claim.claims(record) if claim.refused else None
        if now is not None:
            for field in claim.refused:
                yield Found(refusal_code(record, field, now), f"{record}/{row_id}/{field}")


REFUSED, PAUSED = "target.refused", "target.paused"
QUOTING = frozenset({REFUSED, PAUSED, *STANDSTILL.values()})
"""The only codes whose words end with what somebody else said: the reason stands in the entity."""

LARGE_BYTES = 1024 * 1024
"""Mostly an entity has 10 to 50 kB; every change of it is written, restored and held in memory whole."""


def _walk(entity: Entity) -> tuple[int, list[tuple[str, str, Claim]]]:
    """Bytes of the rows that systems hold of it (nearly all of its record), and the claims with something wrong: one
    walk over all of them, at every decision."""
    size, troubled = 0, []
    for tables in entity.claims.values():
        for record, rows in tables.items():
            for row_id, claim in rows.items():
                size += len(claim.held)
                if claim.refused or claim.gaps:
                    troubled.append((record, row_id, claim))
    return size, troubled


def of_links(entity: Entity) -> Iterator[Found]:
    """What is wrong between an entity and its counterparts in other systems."""
    if "." in entity.kind:
        system, _, kind = entity.kind.partition(".")
        rows = entity.claims.get(system, {}).get(kind, {})
        if (entity.link is None or not entity.link.entity_id) and any(
            not claim.is_deleted for claim in rows.values()
        ):
            yield Found("identity.unlinked", entity.kind)
        return
    if entity.kind == "npi":
        holders = entity.claims.get("platform", {}).get("holder", {})
        if len([1 for i, c in holders.items() if not c.is_deleted and i.startswith("provider/")]) > 1:
            yield Found("identity.npi_shared", "npi")
        return
    for system, tables in entity.claims.items():
        roots = tables.get(entity.kind, {})
        if len(roots) > 1 and len([1 for claim in roots.values() if not claim.is_deleted]) > 1:
            yield Found("identity.linked_twice", f"{system}/{entity.kind}")


def of_review(entity: Entity, authority: Authority, as_of: str) -> Iterator[Found]:
    """That nobody has looked at the authority file in time: of the entity of kind system, once."""
    if entity.kind == SYSTEM and authority.review_due and as_of > authority.review_due:
        yield Found(
            "authority.review_overdue", "authority.toml/review_due", authority.review_due, authority.answers
        )


def of_awaited(entity: Entity, answering: Iterable[str], as_of: str) -> Iterator[Found]:
    """Views that a system was to confirm by now."""
    for system, by in awaited.overdue(entity, answering, as_of):
        yield Found("view.unconfirmed", f"{system}/{entity.kind}", by)


def of_edits(entity: Entity, edits: Iterable[Edit]) -> Iterator[Found]:
    """What systems hold against their view, by what became of it."""
    for edit in edits:
        code = _OF_POLICY.get(entity.judged[edit.subject].policy)
        if code is not None:
            yield Found(code, edit.subject)


def of_rulings(entity: Entity, golden: Golden, authority: Authority, as_of: str) -> Iterator[Found]:
    """What waits for a ruling, what was approved and isn't true yet, what ended without anybody's doing, and rulings
    from which nothing follows."""
    for proposal in entity.proposals:
        if proposal.state in ruling.WAITING:
            yield _waiting(proposal, authority, as_of)
        elif proposal.state in ruling.IN_WORK:
            yield _in_work(entity, golden, proposal, authority, as_of)
    for code, number in unseen.ends(entity):
        yield Found(code, f"proposal/{number}")
    for code, ruling_id in unseen.rulings(entity):
        yield Found(code, f"ruling/{ruling_id}")


def _waiting(proposal: Proposal, authority: Authority, as_of: str) -> Found:
    """A data steward's; after that day the next role's, until it expires (authority matrix 3)."""
    day = ruling.rule_by(proposal)
    if as_of <= day:
        return Found("edit.proposed", proposal.subject, day)
    approvers = ruling.rule_of(authority, proposal).approvers or ruling.OTHERWISE
    return Found("edit.proposed", proposal.subject, ruling.expires(proposal), approvers[0])


def _in_work(entity: Entity, golden: Golden, proposal: Proposal, authority: Authority, as_of: str) -> Found:
    day, way = ruling.make_by(proposal), carried.way(entity, golden, proposal, authority)
    if way != carried.ASKED:
        return Found(_BY_HAND[way], proposal.subject, day)
    return Found("edit.approved" if as_of <= day else "edit.unanswered", proposal.subject, day)


_BY_HAND = {carried.NO_OWNER: "edit.by_hand", carried.NO_ROW: "edit.row_unclear"}


_OF_POLICY = {
    "revert": "edit.reverted",
    "conflict": "edit.conflict",
    "altered": "target.altered",
    "departed": "edit.departed",
}

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


def by_rules(today: Today) -> set[Found]:
    """What the rule book finds."""
    found = book.findings(today)
    return {Found(code, subject) for code, subject in found} if found else set()


def settle(
    entity: Entity, found: set[Found], position: Position, as_of: str = "", facts: Today | None = None
) -> list[Event]:
    """Open what is new, say what is different, close what is gone; `entity.findings` becomes `found`.

    Nothing flaps: no change, no event.
    """
    if not found and not entity.findings:
        return []
    now = {f"{f.code} {f.subject}": f for f in found}
    events = [_event(entity, key, "closed", position) for key in entity.findings if key not in now]
    for key in [key for key in entity.findings if key not in now]:
        del entity.findings[key]
    for key in sorted(now):
        known = entity.findings.get(key)
        told = _told(entity, now[key], known, position, as_of, facts)
        if told != known:
            entity.findings[key] = told
            events.append(_event(entity, key, "changed" if known else "opened", position))
    return events


def _told(
    entity: Entity, item: Found, known: Open | None, position: Position, as_of: str, facts: Today | None
) -> Open:
    """What is said of a finding now; when it opened, and by when a restriction is reviewed, stay."""
    rule = CODES[item.code]
    day = item.due or (deadline.due(item.code, item.subject, facts) if facts is not None else "")
    left = deadline.left(item.code, as_of, day) if day else None
    more = f"{left} days or less are left" if left is not None else _reason(entity, item)
    return Open(
        known.position if known else position,
        rule.severity,
        rule.effect_text,
        f"{rule.message}: {more}" if more else rule.message,
        rule.action,
        item.actor or rule.actor,
        day or (known.due if known else deadline.review(rule, as_of)),
        _evidence(entity, item.subject, rule.records),
    )


def _reason(entity: Entity, item: Found) -> str:
    """Why a system refuses a view, or since when and why its adapter stands still, as that one told it."""
    refused = entity.refused.get(item.subject.partition("/")[0]) if item.code in QUOTING else None
    if refused is None:
        return ""
    return f"since {_minute(refused.since)}, {refused.reason}" if refused.since else refused.reason


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US = 253_402_300_799_000_000
"""The calendar's last second: a receipt may say any number."""


def _minute(at_us: int) -> str:
    at = EPOCH + timedelta(microseconds=min(max(at_us, 0), LAST_US))
    return at.strftime("%Y-%m-%d %H:%M UTC")


MOST_EVIDENCE = 16


def _evidence(entity: Entity, subject: str, reads: tuple[str, ...]) -> list[Evidence]:
    """The claims about the row that the subject names, else about its record, else about all that the rule reads."""
    record, _, rest = subject.partition("/")
    row_id = rest.partition("/")[0]
    found = _claims(entity, (record,), row_id) or _claims(entity, (record,)) or _claims(entity, reads)
    return sorted(found, key=_place)[:MOST_EVIDENCE]


def _claims(entity: Entity, records: tuple[str, ...], row_id: str = "") -> list[Evidence]:
    return [
        Evidence(system, record, i, claim.position)
        for system, tables in entity.claims.items()
        for record in records
        for i, claim in tables.get(record, _NO_ROWS).items()
        if not row_id or i == row_id
    ]


_NO_ROWS: dict[str, Claim] = {}


def _place(evidence: Evidence) -> tuple[str, str, str]:
    return evidence.system, evidence.record, evidence.row_id


def failed(entity: Entity, position: Position, rule: str = "") -> list[Event]:
    """A decision raised, by that rule if one did: said until one succeeds; nothing else changes (invariant 12)."""
    item = Found("internal.decide_failed", f"rule/{rule}" if rule else entity.kind)
    key = f"{item.code} {item.subject}"
    if key in entity.findings:
        return []
    entity.findings[key] = _told(entity, item, None, position, "", None)
    return [_event(entity, key, "opened", position)]


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
        is_open.actor,
        is_open.due,
        is_open.evidence,
    )
