"""Kafka as this installation needs it: does it answer, may we, and are the topics as the catalogue says.

    broker --look--> Broker --judge--> kafka, acl, partitions, retention, topics, min_insync

Nothing is written, not even to try: the broker itself says what we are authorized to do. `concord topics apply` and
`concord acls apply` are the fixes; they change what differs and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streams import topics
from streams.errors import ConcordError, EnvironmentFault, Unavailable
from streams.kafka import broker
from streams.operate import reading, rights
from streams.operate.doctor.judge_database import SKEW, SYNCHRONISE
from streams.operate.doctor.result import Result, error, finding, judged, ok, shown, skipped
from streams.settings import Settings, need

SUBJECT = "kafka"
CHECKS = ("kafka", "acl", "partitions", "retention", "topics", "min_insync")
NEEDED = ("DESCRIBE", "READ", "WRITE")
TIMEOUT = 15.0
_KEEPS = frozenset({"retention.ms", "cleanup.policy", "min.compaction.lag.ms", "delete.retention.ms"})
_INSYNC = topics.INSYNC


@dataclass(frozen=True, slots=True)
class Broker:
    """What was seen of it. `allowed`: topic -> what we may do there; `rights`: what the contracts still lack."""

    address: str
    brokers: int
    there: int
    changes: tuple[topics.Change, ...]
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rights: rights.Plan | None = None
    rights_fault: ConcordError | None = None
    ahead: bool | None = None
    """its newest time stamp is later than this machine's time; None: it has given none yet"""


def look(settings: Settings) -> Broker:
    """The broker now; Unavailable when it could not be looked at."""
    address = need(settings.kafka, "CONCORD_KAFKA")
    admin = AdminClient({**broker(address), "log_level": 0, "socket.connection.setup.timeout.ms": 5_000})
    try:
        known = admin.list_topics(timeout=TIMEOUT)
        layout = topics.Layout(partitions=settings.partitions, prefix=settings.topic_prefix)
        present = [name for t in topics.CATALOGUE if (name := layout.name(t)) in known.topics]
        changes = topics.plan(admin, layout)
        plan, fault = _rights(settings)
        return Broker(
            address, len(known.brokers), len(present), tuple(changes), _allowed(admin, present), plan, fault,
            _ahead(settings, settings.topic("clock") in present),
        )  # fmt: skip
    except KafkaException as fault:
        raise Unavailable("doctor.kafka", fault.args[0].str(), "") from None


def _rights(settings: Settings) -> tuple[rights.Plan | None, ConcordError | None]:
    try:
        return rights.plan(settings), None
    except ConcordError as fault:
        return None, fault


def _allowed(admin: AdminClient, names: list[str]) -> dict[str, frozenset[str]]:
    if not names:
        return {}
    asked = admin.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=TIMEOUT
    )
    return {name: _operations(answer.result(TIMEOUT)) for name, answer in asked.items()}


def _operations(described: Any) -> frozenset[str]:
    return frozenset(operation.name for operation in described.authorized_operations or ())


def _ahead(settings: Settings, told: bool) -> bool | None:
    """`clock` has the broker's own time stamps: is any of them yet to come, by this machine's clock?"""
    if not told:
        return None
    later = int((time.time() + SKEW) * 1_000)
    topic = settings.topic("clock")
    return bool(reading.since(settings.kafka, {(topic, p): later for p in range(settings.partitions)}))


# ---- judging ----


def unreachable(settings: Settings, fault: ConcordError) -> list[Result]:
    """Nobody could look: one error, and the rest follows from it."""
    fix = "# check CONCORD_KAFKA and that the broker runs, then:\nconcord doctor --only kafka"
    head = error("kafka", SUBJECT, ": ".join(filter(None, (shown(settings.kafka), fault.message))), fix)
    return [head, *(skipped(check, SUBJECT, "the broker could not be looked at") for check in CHECKS[1:])]


def judge(broker: Broker) -> list[Result]:
    """Every check, pure."""
    seen = f"{broker.there} of {len(topics.CATALOGUE)} topics are there"
    return [
        ok("kafka", SUBJECT, f"{broker.address} answers, {broker.brokers} brokers"),
        *acl(broker),
        *judged("partitions", SUBJECT, partitions(broker), seen),
        *judged("retention", SUBJECT, differing(broker, "retention"), seen),
        *judged("topics", SUBJECT, differing(broker, "topics"), seen),
        *judged("min_insync", SUBJECT, differing(broker, "min_insync"), seen),
        *clock(broker),
    ]


def clock(broker: Broker) -> list[Result]:
    """One side only: a broker gives its time with what it takes, and nothing is written to ask it."""
    subject = f"{SUBJECT}/clock"
    if broker.ahead is None:
        return [skipped("clock", subject, "the broker has stamped nothing yet")]
    if broker.ahead:
        seen = f"it has stamped records more than {SKEW:.0f} s after this machine's time"
        return [finding("clock", subject, seen, "retention and `as of` days are told wrongly", SYNCHRONISE)]
    return [ok("clock", subject, "nothing it has stamped is later than this machine's time")]


def partitions(broker: Broker) -> Iterator[Result]:
    """Topics with another count than the setting says: keys would land elsewhere (Invariant 1)."""
    odd = [change for change in broker.changes if change.action == "refuse"]
    counts = {change.settings["partitions"][0] for change in odd}
    wholly = len(counts) == 1 and len(odd) >= broker.there - _ones()
    for change in odd:
        now, wanted = change.settings["partitions"]
        seen = f"{now} partitions, the setting says {wanted}"
        why = "keys would stand in other partitions, and topics read together would part"
        fix = f"export CONCORD_PARTITIONS={now}   # for every process: the topics are older than the setting"
        yield finding("partitions", f"{SUBJECT}/{change.topic}", seen, why, fix if wholly else _MOVE)


_MOVE = """# a count is never altered under records: go on with topics of a new prefix, set for every process
export CONCORD_TOPIC_PREFIX=next.
concord topics apply"""


def _ones() -> int:
    return sum(topic.one for topic in topics.CATALOGUE)


_WHY = {
    "retention": "records may go before a reader that was away has read them, or stay for longer than promised",
    "topics": "nothing that goes to it can be written, or not whole",
    "min_insync": "records would be confirmed by one replica alone, or none could be written at all",
}


def differing(broker: Broker, check: str) -> Iterator[Result]:
    """What of each topic the check is about, and differs."""
    for change in broker.changes:
        told = "no such topic" if change.action == "create" else _told(change, check)
        if told and (change.action == "configure" or (change.action == "create" and check == "topics")):
            yield finding(check, f"{SUBJECT}/{change.topic}", told, _WHY[check], "concord topics apply")


def _told(change: topics.Change, check: str) -> str:
    found = {key: pair for key, pair in change.settings.items() if _check(key) == check}
    return ", ".join(f"{key} is {now}, not {wanted}" for key, (now, wanted) in found.items())


def _check(key: str) -> str:
    return "min_insync" if key == _INSYNC else "retention" if key in _KEEPS else "topics"


def acl(broker: Broker) -> list[Result]:
    """What we may do, then what the contracts give consumers."""
    own = judged("acl", SUBJECT, _own(broker), f"{', '.join(NEEDED).lower()} on {len(broker.allowed)} topics")
    return [*own, *_contracts(broker)]


def _own(broker: Broker) -> Iterator[Result]:
    for topic, allowed in sorted(broker.allowed.items()):
        lacks = [operation for operation in NEEDED if operation not in allowed]
        if lacks:
            fix = "\n".join(
                f"kafka-acls.sh --bootstrap-server {broker.address} --add --allow-principal User:CONCORD"
                f" --operation {operation.title()} --topic {topic}"
                for operation in lacks
            )
            remark = "# as the broker's administrator, with this installation's principal:\n"
            seen = f"this installation may not {', '.join(lacks).lower()}"
            yield finding("acl", f"{SUBJECT}/{topic}", seen, "processes stop there", remark + fix)


def _contracts(broker: Broker) -> Iterator[Result]:
    subject, fault = f"{SUBJECT}/contracts", broker.rights_fault
    if isinstance(fault, EnvironmentFault) and fault.code == "acls.no_authorizer":
        yield skipped("acl", subject, fault.message)
    elif fault is not None:
        yield error("acl", subject, fault.message, f"# {fault.next_step}\nconcord doctor --only acl")
    elif broker.rights is not None and broker.rights.missing:
        seen = f"{len(broker.rights.missing)} rights of the contracts are not granted"
        yield finding("acl", subject, seen, "consumers and writers are refused", "concord acls apply")
    elif broker.rights is not None:
        yield ok("acl", subject, f"{len(broker.rights.held)} rights are granted as the contracts say")
