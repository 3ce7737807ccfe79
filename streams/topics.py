"""The topic catalogue: every topic Concord uses, in one table, and the command that makes a cluster agree.

    CATALOGUE --plan--> what differs --apply--> topics exist, configured

The broker creates nothing by itself (auto-creation is off), so a topic that is not here does not exist.
The partition count of an existing topic is never altered: a key would land elsewhere, and co-partitioned
topics would part (Invariant 1). This module never deletes a topic and never reads a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.errors import ConcordError, EnvironmentFault, InvalidInput, Unavailable
from streams.kafka import asked_who, broker
from streams.systems import REKEYED, SYSTEMS, TAKEN, WORK

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""A larger row would fail the connector's task and halt capture; producers set the same limit."""

QUARANTINE_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""The largest record still fits with the headers that say why: else its chunk would be tried again without end."""

PARTITIONS = 4
BROKER_DEFAULT = -1
TIMEOUT = 30.0
INSYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `one` = a single partition whatever the setting says; `config` = what we insist on."""

    name: str
    config: Mapping[str, str]
    one: bool = False
    why: str = ""


def _log(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY)}


_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""For ever: what has to be accounted for, and stands nowhere else."""


def _table(lag: int, tombstones: int) -> dict[str, str]:
    """Compacted: `lag` is how long every version stays readable, `tombstones` how long a deletion does."""
    return {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(lag),
        "delete.retention.ms": str(tombstones),
        "min.cleanable.dirty.ratio": "0.2",
        "segment.bytes": str(128 * 1024 * 1024),
    }


_REPLAY = _log(days=7)
_TOLD = _table(lag=7 * DAY, tombstones=30 * DAY)
"""Claims of several witnesses share an entity's key: as long as a replay may reach back, each must stay readable."""
_STORE = _table(lag=MINUTE, tombstones=7 * DAY)
_VIEW = _table(lag=HOUR, tombstones=30 * DAY)

CATALOGUE: tuple[Topic, ...] = (
    *(Topic(f"cdc.{system}", _REPLAY, why="captured rows, keyed by entity") for system in SYSTEMS),
    *(Topic(f"claims.{system}", _REPLAY, why="re-keyed rows, keyed by provider") for system in REKEYED),
    Topic("claims.npi", _REPLAY, why="who holds an NPI, keyed by NPI"),
    Topic("claims.witness", _TOLD, why="rows of NPPES, LEIE, SAM about known NPIs, keyed by entity"),
    Topic(
        "clock",
        {**_REPLAY, "message.timestamp.type": "LogAppendTime"},
        why="as-of dates, snapshot complete; one record a partition",
    ),
    Topic("entity", _STORE, why="the state; a worker's store is a cache of it"),
    Topic("reference", _STORE, why="golden records of the reference kinds, read whole by every worker"),
    Topic(
        "workers", _table(lag=0, tombstones=HOUR), one=True, why="which worker answers for which partition"
    ),
    Topic("control", _table(lag=0, tombstones=7 * DAY), one=True, why="which systems operators have paused"),
    Topic("finding", _table(lag=DAY, tombstones=30 * DAY), why="findings opened, changed, closed"),
    Topic(
        "quarantine",
        {**_log(days=90), "max.message.bytes": str(QUARANTINE_BYTES)},
        why="bad records: original bytes, headers, reason",
    ),
    *(
        Topic(f"rejection.{system}", _KEPT, why="why an edit made there was not taken over, for ever")
        for system in REKEYED
    ),
    Topic(
        "verification",
        _table(lag=HOUR, tombstones=7 * DAY),
        one=True,
        why="how each table stood when it was last verified; every repair",
    ),
    Topic(
        "receipt",
        _REPLAY,
        why="what became of views: refused, confirmed by an API, exported; keyed by entity",
    ),
    *(
        Topic(f"sink.{system}.{kind}", _VIEW, why="whole view, keyed by entity")
        for system, kinds in TAKEN.items()
        for kind in kinds
    ),
    *(
        Topic(
            f"sink.{system}.{kind}", _VIEW, why="proposals to rule on, or approved changes, keyed by entity"
        )
        for system, kinds in WORK.items()
        for kind in kinds
    ),
    *(
        Topic(f"{system}.notification", _log(days=30), one=True, why="Debezium: snapshots")
        for system in SYSTEMS
    ),
    *(Topic(f"{system}.transaction", _REPLAY, one=True, why="Debezium: BEGIN and END") for system in SYSTEMS),
    *(Topic(f"__debezium-heartbeat.{system}", _log(days=1), one=True, why="Debezium") for system in SYSTEMS),
)


@dataclass(frozen=True, slots=True)
class Change:
    """What differs of one topic: setting -> (now, wanted). `refuse` needs a person, `apply` won't do it."""

    topic: str
    action: Literal["create", "configure", "refuse"]
    settings: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the catalogue lies on one cluster: partition count, replication, and a name prefix for tests."""

    partitions: int = PARTITIONS
    replication: int = BROKER_DEFAULT
    prefix: str = ""

    def name(self, topic: Topic) -> str:
        """The topic's name here; Debezium puts its own `__debezium-heartbeat.` before any prefix."""
        head, mark, tail = topic.name.rpartition("__debezium-heartbeat.")
        return f"{head}{mark}{self.prefix}{tail}"

    def count(self, topic: Topic) -> int:
        """How many partitions the topic has here."""
        return 1 if topic.one else self.partitions

    def config(self, topic: Topic) -> dict[str, str]:
        """Every setting we insist on; compression stays what the producer chose."""
        return {"max.message.bytes": str(MAX_MESSAGE_BYTES), "compression.type": "producer", **topic.config}


DEFAULT = Layout()


def plan(
    admin: AdminClient,
    layout: Layout = DEFAULT,
    catalogue: Sequence[Topic] = CATALOGUE,
) -> list[Change]:
    """What `apply` would do; an empty list means the cluster agrees with the catalogue."""
    existing = _existing(admin)
    present = [layout.name(topic) for topic in catalogue if layout.name(topic) in existing]
    configs = _configs(admin, present)
    changes = (_compare(topic, layout, existing, configs) for topic in catalogue)
    return [change for change in changes if change]


def apply(
    admin: AdminClient,
    layout: Layout = DEFAULT,
    catalogue: Sequence[Topic] = CATALOGUE,
) -> list[Change]:
    """Create what is missing and set what differs; refuses before it changes anything. Idempotent."""
    changes = plan(admin, layout, catalogue)
    _refuse([change for change in changes if change.action == "refuse"])
    created = {change.topic for change in changes if change.action == "create"}
    _create(admin, [topic for topic in catalogue if layout.name(topic) in created], layout)
    # How many replicas a new topic has, the broker alone decides; what must have a record follows from it.
    differing = plan(admin, layout, catalogue) if created else changes
    _configure(admin, [change for change in differing if change.action == "configure"])
    return changes


def kept_seconds(kafka: str, names: Sequence[str]) -> dict[str, float]:
    """How long each of these topics keeps a record, as the cluster has it; those that are compacted are left out."""
    found = _configs(AdminClient({**broker(kafka), "log_level": 0}), names)
    logs = {name: config for name, config in found.items() if "compact" not in config["cleanup.policy"]}
    return {name: ms / 1000 for name, config in logs.items() if (ms := int(config["retention.ms"])) > 0}


def _compare(
    topic: Topic, layout: Layout, existing: Mapping[str, _Laid], configs: Mapping[str, Mapping[str, str]]
) -> Change | None:
    name = layout.name(topic)
    if name not in existing:
        wanted = {"partitions": str(layout.count(topic)), **layout.config(topic)}
        return Change(name, "create", {key: (None, value) for key, value in wanted.items()})
    if existing[name].partitions != layout.count(topic):
        return _misplaced(name, existing[name].partitions, layout.count(topic))
    now = configs[name]
    insisted = {**layout.config(topic), **durable(now.get(INSYNC), existing[name].replicas)}
    differing = {key: (now.get(key), value) for key, value in insisted.items() if now.get(key) != value}
    return Change(name, "configure", differing) if differing else None


def durable(insync: str | None, replicas: int) -> dict[str, str]:
    """min.insync.replicas, where it is wrong: more than there are takes no record, and one alone of three or more
    would confirm what is lost with it."""
    now = int(insync or 1)
    sound = now <= replicas and (now > 1 or replicas < 3)
    return {} if sound else {INSYNC: str(max(1, replicas - 1))}


def _misplaced(name: str, now: int, wanted: int) -> Change:
    reason = (
        f"has {now} partitions, the setting says {wanted}; altering it would move keys to other partitions "
        "and part the co-partitioned topics"
    )
    return Change(name, "refuse", {"partitions": (str(now), str(wanted))}, reason)


def _refuse(refused: Sequence[Change]) -> None:
    if refused:
        listed = "; ".join(f"{change.topic} {change.reason}" for change in refused)
        step = "set the partition count to what the topics have, or move to new topics with a name prefix"
        raise InvalidInput("topics.partitions", listed, step)


class _Laid(NamedTuple):
    """How a topic lies on the cluster."""

    partitions: int
    replicas: int


def _existing(admin: AdminClient) -> dict[str, _Laid]:
    try:
        topics = admin.list_topics(timeout=TIMEOUT).topics
    except KafkaException as fault:
        raise _unavailable("list the topics", fault) from fault
    return {name: _laid(topic.partitions.values()) for name, topic in topics.items()}


def _laid(partitions: Collection[Any]) -> _Laid:
    return _Laid(len(partitions), min((len(partition.replicas) for partition in partitions), default=1))


def _configs(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    answers = {resource.name: _result(future, resource.name) for resource, future in asked.items()}
    return {name: {key: entry.value for key, entry in answer.items()} for name, answer in answers.items()}


def _create(admin: AdminClient, topics: Iterable[Topic], layout: Layout) -> None:
    new = [
        NewTopic(layout.name(topic), layout.count(topic), layout.replication, config=layout.config(topic))
        for topic in topics
    ]
    if new:
        for name, future in admin.create_topics(new, operation_timeout=TIMEOUT).items():
            _result(future, name, ignore=KafkaError.TOPIC_ALREADY_EXISTS)
        _until_known(admin, {topic.topic for topic in new})


def _until_known(admin: AdminClient, names: set[str]) -> None:
    """The controller has made them; the brokers learn of it a moment later."""
    deadline = monotonic() + TIMEOUT
    while missing := names - _existing(admin).keys():
        if monotonic() > deadline:
            message = f"created, but the brokers do not know of {', '.join(sorted(missing))}"
            raise Unavailable("kafka.unavailable", message, "check the brokers' logs, then repeat")
        sleep(0.05)


def _configure(admin: AdminClient, changes: Iterable[Change]) -> None:
    resources = [_resource(change) for change in changes]
    if resources:
        for resource, future in admin.incremental_alter_configs(resources).items():
            _result(future, resource.name)


def _resource(change: Change) -> ConfigResource:
    entries = [
        ConfigEntry(key, wanted, incremental_operation=AlterConfigOpType.SET)
        for key, (_, wanted) in change.settings.items()
    ]
    return ConfigResource(ResourceType.TOPIC, change.topic, incremental_configs=entries)


def _result(future: Future[Any], topic: str, ignore: int | None = None) -> Any:
    try:
        return future.result(TIMEOUT)
    except TimeoutError:
        message = f"the Kafka cluster did not look at or change topic {topic} within {TIMEOUT:.0f} s"
        raise Unavailable("kafka.unavailable", message, "check that the broker runs, then repeat") from None
    except KafkaException as fault:
        if ignore is not None and fault.args[0].code() == ignore:
            return None
        raise _unavailable(f"look at or change topic {topic}", fault) from fault


def _unavailable(act: str, fault: KafkaException) -> ConcordError:
    message = f"the Kafka cluster did not {act}: {fault.args[0].str()}"
    if fault.args[0].code() in _NOT_ALLOWED:
        step = "an administrator grants what is missing: concord acls apply --platform USER"
        return EnvironmentFault("kafka.not_allowed", message, step)
    step = f"check that the broker runs (`concord status`){asked_who()}, then repeat"
    return Unavailable("kafka.unavailable", message, step)


_NOT_ALLOWED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
