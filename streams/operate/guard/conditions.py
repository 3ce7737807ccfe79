"""What can be wrong with a source's capture, in one table: code, words, cure, and the function that sees it.

    Facts --judge--> code -> [Seen] | None --book.py--> findings

docs/capture-guard.md has a section a code; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.operate.guard import judging
from streams.operate.guard.facts import Facts
from streams.operate.guard.judging import Seen

Judge = Callable[[Facts], list[Seen] | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """after: seconds it must have held before anybody is told. gap: capture may have missed changes meanwhile.
    stays: it tells of something that happened, and is settled by a person or by verification only."""

    code: str
    severity: str
    title: str
    action: str
    judge: Judge
    after: float = 0.0
    gap: bool = False
    stays: bool = False


_VERIFY = "concord verify source {system} --repair"
_RESNAPSHOT = "concord sources apply {system} --resnapshot"
_STATUS = "concord sources status {system} says why; then concord sources apply {system}"

CONDITIONS: tuple[Condition, ...] = (
    # ---- the source ----
    Condition(
        "source.unreachable", "high", "the source's database does not answer",
        "check that it runs and lets the capture role in", judging.unreachable, after=2,
    ),
    Condition(
        "source.replaced", "high", "the source was restored from a backup or failed over",
        _RESNAPSHOT, judging.replaced,
    ),
    Condition(
        "canary.unwritten", "medium", "the canary can't be written",
        "concord systems apply; check CONCORD_CANARY_<SYSTEM>", judging.canary_unwritten, after=2,
    ),
    # ---- the slot ----
    Condition("slot.missing", "high", "the replication slot is gone", _RESNAPSHOT, judging.slot_missing, 1, gap=True),
    Condition("slot.lost", "high", "the replication slot is invalidated", _RESNAPSHOT, judging.slot_lost, gap=True),
    Condition(
        "slot.replaced", "high", "the replication slot was dropped and made anew",
        _VERIFY, judging.slot_replaced, stays=True,
    ),
    Condition(
        "slot.ahead", "high", "the replication slot stands after Connect's offset",
        _VERIFY, judging.slot_ahead, after=3, gap=True,
    ),
    Condition("slot.unread", "high", "nobody reads the replication slot", _STATUS, judging.slot_unread, after=4),
    Condition(
        "slot.grown", "medium", "the source keeps much WAL for the replication slot",
        "see why capture is behind; beyond max_slot_wal_keep_size the slot is lost", judging.slot_grown, after=2,
    ),
    # ---- the connector ----
    Condition(
        "connect.unanswered", "high", "Kafka Connect does not answer",
        "check that its worker runs; capture goes on where it stopped", judging.connect_unanswered, after=4,
    ),
    Condition(
        "connector.missing", "high", "there is no connector",
        "concord sources apply {system}", judging.connector_missing, after=15,
    ),
    Condition("connector.failed", "high", "the connector's task has failed", _STATUS, judging.connector_failed),
    Condition(
        "connector.unprocessable", "high", "Debezium can't process a change",
        "concord mapping check {system}; while its task fails, concord sources status {system}",
        judging.unprocessable,
    ),
    Condition(
        "connector.passes_over", "high", "changes that Debezium can't process are passed over",
        "concord mapping check {system}; it ends by itself, and everything of the system is verified then",
        judging.passes_over, gap=True,
    ),
    Condition(
        "connector.stopped", "medium", "the connector is paused or stopped",
        "PUT /connectors/<name>/resume in Connect", judging.connector_stopped, after=2,
    ),
    # ---- what arrives ----
    Condition("capture.stalled", "high", "nothing that is committed arrives", _STATUS, judging.capture_stalled),
    Condition(
        "capture.behind", "medium", "what is committed arrives late",
        "a bulk load passes by itself; else look at Connect and the source", judging.capture_behind, after=5,
    ),
    Condition("capture.skipped", "high", "committed changes never arrived", _VERIFY, judging.skipped, stays=True),
    Condition("capture.incomplete", "high", "a transaction lacks rows", _VERIFY, judging.incomplete, stays=True),
    Condition(
        "decide.stalled", "high", "no worker takes what is captured",
        "concord status; then concord up, or concord worker", judging.decide_stalled, after=3,
    ),
    Condition(
        "reader.overtaken", "high", "retention deleted records before a worker read them",
        _RESNAPSHOT, judging.overtaken,
    ),
    Condition(
        "reader.late", "medium", "retention is about to delete records that no worker has read",
        "start more workers, or raise retention.ms of the topic", judging.nearly_overtaken, after=5,
    ),
    # ---- the mapping ----
    Condition(
        "publication.differs", "high", "the publication lacks what the mapping names",
        "concord mapping check {system}", judging.unpublished, gap=True,
    ),
    Condition(
        "mapping.differs", "high", "a mapped table or column is gone or of another type",
        "concord mapping check {system}", judging.differs, gap=True,
    ),
    Condition(
        "mapping.forbidden", "high", "the capture role may not read what the mapping names",
        "concord mapping check {system}", judging.forbidden, after=2,
    ),
    Condition(
        "column.altered", "medium", "a mapped column was altered, and its values may be others",
        _VERIFY, judging.altered, stays=True,
    ),
    Condition(
        "column.unmapped", "low", "a mapped table has a column that the mapping says nothing of",
        "concord mapping check {system}", judging.unmapped, after=2,
    ),
)  # fmt: skip

CODES: Mapping[str, Condition] = {condition.code: condition for condition in CONDITIONS}
UNVERIFIED = Condition(
    "capture.unverified", "high", "changes may be missing", _VERIFY, lambda _: [], stays=True
)
"""What a condition with `gap` leaves behind when it closes."""


def judge(facts: Facts) -> dict[str, list[Seen] | None]:
    """Every condition of a source."""
    return {condition.code: condition.judge(facts) for condition in CONDITIONS}


def cure(condition: Condition, system: str, seen: Seen) -> str:
    """What to do, for this source."""
    return seen.action or condition.action.format(system=system)
