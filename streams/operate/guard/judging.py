"""Does a condition hold? One small pure function each, over what was seen of a source.

    Facts --> [Seen] (it holds), [] (it doesn't), None (nobody can say: neither opened nor closed)

conditions.py lists them with their words. Messages name tables, slots and positions, never values (Invariant 11).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from connectors.sighting import Slot
from streams.operate.guard.facts import Facts

LATE = 4.0
"""Seconds: a canary takes well under one."""
IDLE = 3.0
"""Seconds without any step of a worker, before it is known for how long it takes none."""
STARTING = 60.0
"""Seconds a worker may take to open its partitions and come to the first canary of this guard."""
BEHIND = 60.0
SNAPSHOT_QUIET = 120.0
"""Seconds without a record while an initial snapshot runs: a large table's first rows may take that long."""
NEARLY = 0.75
"""Share of max_slot_wal_keep_size at which a slot is close to being lost."""
GROWN = 4 * 1024**3
"""Bytes a slot may keep where the source sets no limit."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A condition that holds: `where` after the source's name, what was seen, and the cure if a better one is known
    than the condition's. `first`, `last`: the LSNs between which changes may be missing."""

    where: str
    message: str
    action: str = ""
    first: int = 0
    last: int = 0


def _is(holds: bool, message: str, **more: int) -> list[Seen]:
    return [Seen("", message, **more)] if holds else []  # type: ignore[arg-type]


# ---- the source ----


def unreachable(facts: Facts) -> list[Seen]:
    """Its database can't be asked."""
    return _is(bool(facts.unreachable), f"the source's database does not answer: {facts.unreachable}")


def replaced(facts: Facts) -> list[Seen] | None:
    """Another server, or the same on another timeline, than the epoch's positions are of."""
    if facts.server is None or facts.connector is None:
        return None
    known, now = facts.connector.identity, facts.server.identity
    return _is(bool(known) and known != now, f"the source was server/timeline {known}, now it is {now}")


def canary_unwritten(facts: Facts) -> list[Seen] | None:
    """The source is up and takes no canary."""
    if facts.server is None:
        return None
    return _is(bool(facts.beats.fault), f"the canary can't be written: {facts.beats.fault}")


# ---- the slot ----


def slot_missing(facts: Facts) -> list[Seen] | None:
    """A connector that has captured has no slot."""
    if facts.server is None or facts.connector is None:
        return None
    gone = facts.server.slot is None and facts.connector.captured
    lsn = facts.connector.lsn or 0
    return _is(gone, f"replication slot {facts.slot} is gone", first=lsn, last=facts.lsn)


def slot_lost(facts: Facts) -> list[Seen] | None:
    """The slot is there and can't be read any more."""
    slot = _slot(facts)
    if slot is None:
        return None if facts.server is None else []
    why = slot.invalidation or "the source removed WAL it still needed"
    lsn = (facts.connector.lsn if facts.connector else None) or slot.confirmed or 0
    return _is(slot.lost, f"replication slot {facts.slot} is lost: {why}", first=lsn, last=facts.lsn)


def slot_replaced(facts: Facts) -> list[Seen] | None:
    """Its count of transactions went back: it was dropped and made anew since the last look."""
    now, before = _slot(facts), facts.before.slot if facts.before else None
    if now is None or before is None or facts.server is None or facts.before is None:
        return []
    if None in (now.decoded, before.decoded) or facts.server.started != facts.before.started:
        return []  # a crash sets the count back too
    back = now.decoded_since == before.decoded_since and (now.decoded or 0) < (before.decoded or 0)
    message = f"replication slot {facts.slot} was dropped and made anew"
    return _is(back, message, first=before.confirmed or 0, last=now.confirmed or facts.lsn)


def slot_ahead(facts: Facts) -> list[Seen] | None:
    """The slot has confirmed more than Connect has noted, while nothing runs that could be about to note it."""
    slot, connector = _slot(facts), facts.connector
    if slot is None or connector is None or connector.lsn is None or slot.confirmed is None:
        return None if facts.server is None or connector is None else []
    ahead = not slot.active and slot.confirmed > connector.lsn and connector.snapshot_finished
    message = f"replication slot {facts.slot} stands {slot.confirmed - connector.lsn:,} bytes after Connect's offset"
    return _is(ahead, message, first=connector.lsn, last=slot.confirmed)


def slot_unread(facts: Facts) -> list[Seen] | None:
    """Connect says RUNNING, and nobody reads the slot."""
    slot = _slot(facts)
    if facts.connector is None or slot is None:
        return None if facts.server is None or facts.connector is None else []
    unread = facts.connector.runs and facts.connector.snapshot_finished and not slot.active and not slot.lost
    return _is(unread, f"the connector is RUNNING and nobody reads replication slot {facts.slot}")


def slot_grown(facts: Facts) -> list[Seen] | None:
    """The source keeps much WAL for it, and may take it away."""
    slot = _slot(facts)
    if slot is None or facts.server is None:
        return None if facts.server is None else []
    limit = int(facts.server.keep * NEARLY) if facts.server.keep else GROWN
    grown = not slot.lost and ((slot.retained or 0) > limit or slot.wal_status == "unreserved")
    kept = (slot.retained or 0) // MIB
    return _is(grown, f"the source keeps {kept:,} MiB of WAL for replication slot {facts.slot}")


def _slot(facts: Facts) -> Slot | None:
    return facts.server.slot if facts.server else None


# ---- the connector ----


def connect_unanswered(facts: Facts) -> list[Seen]:
    """Kafka Connect can't be asked."""
    return _is(bool(facts.unanswered), facts.unanswered)


def connector_missing(facts: Facts) -> list[Seen] | None:
    """Connect has no such connector."""
    if facts.connector is None:
        return None
    return _is(facts.connector.state == "MISSING", "Connect has none of this name")


def connector_failed(facts: Facts) -> list[Seen] | None:
    """It, or its task, has failed."""
    if facts.connector is None:
        return None
    failed = [task for task in facts.connector.tasks if task.state == "FAILED"]
    fault = next((task.fault for task in failed if task.fault), "no reason given")
    holds = (bool(failed) or facts.connector.state == "FAILED") and not facts.connector.stuck_at
    return _is(holds, f"the connector's task has failed: {fault}")


def unprocessable(facts: Facts) -> list[Seen] | None:
    """It has failed over a change as the log has it. It begins again from its offset: nothing is missing by that."""
    if facts.connector is None:
        return None
    fault = next((task.fault for task in facts.connector.tasks if task.stuck_at), "")
    message = (
        f"Debezium can't process a change ({fault}): where starting again doesn't help, it is passed over"
    )
    return _is(bool(facts.connector.stuck_at), message)


def passes_over(facts: Facts) -> list[Seen] | None:
    """It goes on without the changes that it can't process."""
    if facts.connector is None:
        return None
    first, until = facts.connector.lenient
    message = f"what Debezium can't process is passed over until capture is past LSN {until}"
    return _is(bool(until), message, first=first)


def connector_stopped(facts: Facts) -> list[Seen] | None:
    """Somebody has paused or stopped it, or it has no task."""
    if facts.connector is None:
        return None
    state = facts.connector.state
    idle = state in ("PAUSED", "STOPPED") or (state == "RUNNING" and not facts.connector.tasks)
    return _is(idle, f"the connector is {state}" + ("" if facts.connector.tasks else " and has no task"))


# ---- what arrives ----


def capture_stalled(facts: Facts) -> list[Seen] | None:
    """Canaries are committed, and neither they nor anything else arrives."""
    late = facts.beats.late.get("captured")
    if late is None or facts.heard.fault:
        return None
    connector = facts.connector or facts.known
    if connector is None:
        return None
    if not connector.runs or connector.lenient[1]:
        return []  # said by the connector's own conditions
    limit = LATE if connector.snapshot_finished else SNAPSHOT_QUIET
    state = "the connector is RUNNING" if facts.connector is not None else "Connect does not answer"
    message = f"{state}, and nothing that was committed in the last {late:.0f} s has arrived"
    return _is(late > limit and (facts.heard.quiet is None or facts.heard.quiet > limit), message)


def capture_behind(facts: Facts) -> list[Seen] | None:
    """Changes arrive, and late."""
    late = facts.beats.late.get("captured")
    if late is None or facts.connector is None:
        return None
    arrives = facts.heard.quiet is not None and facts.heard.quiet <= LATE
    behind = arrives and facts.connector.runs and facts.connector.snapshot_finished and late > BEHIND
    return _is(behind, f"what arrives was committed more than {BEHIND:.0f} s ago")


def decide_stalled(facts: Facts) -> list[Seen] | None:
    """The canary is in the topic, and no worker has taken it."""
    captured, decided = facts.beats.late.get("captured"), facts.beats.late.get("decided")
    if captured is None or decided is None or captured > LATE:
        return None  # what does not arrive can't be taken
    stands = facts.idle is None or facts.idle > IDLE  # behind, and moving: a backlog passes by itself
    limit = STARTING if "decided" in facts.beats.new else IDLE
    return _is(decided > limit and stands, "no worker has taken what was captured since")


def skipped(facts: Facts) -> list[Seen]:
    """Canaries are missing between two that arrived."""
    return [
        Seen(
            f"lsn/{gap.first_lsn}-{gap.last_lsn}",
            f"{gap.last_beat - gap.first_beat - 1} canaries never arrived: what was committed between LSN "
            f"{gap.first_lsn} and {gap.last_lsn} may be missing",
            first=gap.first_lsn,
            last=gap.last_lsn,
        )
        for gap in facts.heard.skipped
    ]


def incomplete(facts: Facts) -> list[Seen]:
    """END counts more rows than have arrived."""
    return [
        Seen(
            f"lsn/{found.first_lsn}-{found.last_lsn}",
            f"transaction {found.txid} lacks {', '.join(f'{n} of {t}' for t, n in sorted(found.missing.items()))}",
            f"concord verify source {facts.system}.{min(found.missing)} --repair",
            found.first_lsn,
            found.last_lsn,
        )
        for found in facts.heard.incomplete
    ]


def overtaken(facts: Facts) -> list[Seen] | None:
    """A worker's next record has been deleted by retention."""
    return _overtaken(facts, gone=True)


def nearly_overtaken(facts: Facts) -> list[Seen] | None:
    """A worker is so far behind that retention is about to delete what it has not read."""
    return _overtaken(facts, gone=False)


def _overtaken(facts: Facts, *, gone: bool) -> list[Seen] | None:
    if facts.overtaken is None:
        return None
    return [
        Seen(f"topic/{o.topic}/{o.partition}", f"reads at {o.position}, the topic begins at {o.first}")
        for o in facts.overtaken
        if o.gone is gone
    ]


# ---- the mapping ----

_GAPS = ("mapping.unpublished", "mapping.partly_published", "mapping.publication", "mapping.replica_identity")
_FORBIDDEN = ("mapping.role", "mapping.grant")
_UNMAPPED = ("mapping.unmapped",)
_DIFFERS = ("mapping.missing_table", "mapping.missing_column", "mapping.type", "mapping.nullable")


def unpublished(facts: Facts) -> list[Seen] | None:
    """The publication lacks a table, column, row or event that the mapping names; or there is none at all."""
    found = _mapping(facts, _GAPS)
    whole = [one for one in found or () if one.where.endswith("mapping.publication")]
    return whole or found


def differs(facts: Facts) -> list[Seen] | None:
    """A table or column that the mapping names is gone, of another type, or a key that may be null."""
    return _mapping(facts, _DIFFERS)


def forbidden(facts: Facts) -> list[Seen] | None:
    """The capture role is missing, or lacks a right."""
    return _mapping(facts, _FORBIDDEN)


def unmapped(facts: Facts) -> list[Seen] | None:
    """A mapped table has a column that the mapping says nothing of."""
    return _mapping(facts, _UNMAPPED)


def altered(facts: Facts) -> list[Seen]:
    """A mapped column is of another type, or another column, and its values still fit: they may have been rewritten."""
    return [
        Seen(
            f"{one.where.removeprefix(f'{facts.system}.')} {one.now}",
            f"{one.place}: {one.message}",
            f"concord verify source {facts.system}.{one.table} --repair",
            last=facts.lsn,
        )
        for one in facts.altered
    ]


def _mapping(facts: Facts, codes: Collection[str]) -> list[Seen] | None:
    if facts.problems is None:
        return None
    return [
        Seen(
            f"{p.where.removeprefix(f'{facts.system}.')} {p.code}",
            f"{p.place or p.where}: {p.message}",
            p.fix,
        )
        for p in facts.problems
        if p.code in codes
    ]
