"""What a Debezium connector is told: a pure function from a system's mapping to its configuration.

    mapping + connectors/<system>/source.json + epoch + address --render--> config --sources.py--> Connect

Everything Concord's correctness rests on is derived here, so a new table is a line in the mapping and
nothing else; source.json holds only what an operator of that system may tune. Nothing here does I/O,
reads a clock or holds a password: Connect looks the password up by reference.

How a row gets its key: Debezium's own key is (entity id, row id), unique as incremental snapshots need;
one ExtractField a distinct id column then leaves the entity id alone, as plain text (Invariant 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass

from schemas.catalog import Mapping, Table
from streams.errors import InvalidInput

CAPTURE_PASSWORD = "${env:CONCORD_CAPTURE_PASSWORD}"  # noqa: S105 (a reference, resolved inside Connect)
EPOCH = "transforms.epoch.value.literal"
IDENTITY = "concord.source.identity"
"""Not Debezium's: which server this connector's positions belong to (docs/decisions/20261122-source-identity.md)."""

SIGNAL = "public.concord_signal"
SIGNAL_COLUMNS = ("id", "type", "data")  # Debezium finds none of them unless they are included too
HEARTBEAT = "public.concord_heartbeat"
APPLIED = Table(
    name="concord_applied",
    kind="any",
    record="applied",
    entity="local_id",
    row="kind",
    mode="state",
    columns={
        "entity_id": "entity_id",
        "revision": "revision",
        "view_hash": "view_hash",
        "applied_at": "applied_at",
    },
)
"""The platform's own mark in every system: the first row of each transaction it writes (Invariant 8)."""
CANARY = Table(
    name="concord_canary",
    kind="canary",
    record="canary",
    entity="name",
    row="name",
    mode="state",
    columns={"beat": "beat", "at": "at"},
)
"""A count that `concord guard` raises each second: what is captured of it shows that capture lives."""
OWN = (APPLIED, CANARY)
_APPLIED_KEY = ("local_id", "kind", "entity_id")

_TRANSFORM = "org.apache.kafka.connect.transforms"

PROVEN: ReadOnly[str, str] = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "plugin.name": "pgoutput",
    "publication.autocreate.mode": "disabled",
    "snapshot.mode": "initial",  # never when_needed: a new snapshot is our command, with a new epoch
    "slot.drop.on.stop": "false",
    "slot.failover": "true",  # kept on standbys too, where the source is PostgreSQL 17 or newer
    "tombstones.on.delete": "false",
    "skipped.operations": "none",  # truncates arrive: a finding and a verification, never deletes
    "provide.transaction.metadata": "true",
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "notification.enabled.channels": "sink",
    "signal.enabled.channels": "source",
    "signal.data.collection": SIGNAL,
    "heartbeat.action.query": "update public.concord_heartbeat set at = now()",
    "producer.override.max.request.size": str(16 * 1024 * 1024),
    "producer.override.linger.ms": "0",
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the source's database answers, without the password."""

    host: str
    port: int
    user: str
    database: str


@dataclass(frozen=True, slots=True)
class Names:
    """Names that tests change: a prefix of every topic and connector, the slot and the publication."""

    system: str
    prefix: str = ""
    slot: str = ""
    publication: str = "concord"

    @property
    def connector(self) -> str:
        """The connector's name in Connect, also the prefix of Debezium's own topics."""
        return f"{self.prefix}{self.system}"

    @property
    def topic(self) -> str:
        """The one topic all of the system's rows go to."""
        return f"{self.prefix}cdc.{self.system}"

    @property
    def slot_name(self) -> str:
        """The replication slot: lower case letters, digits and underscores, as PostgreSQL demands."""
        return self.slot or "concord_" + re.sub(r"[^a-z0-9_]", "_", self.connector.lower())


def render(
    template: ReadOnly[str, str],
    mapping: Mapping,
    names: Names,
    *,
    epoch: int,
    connection: Connection,
    identity: str = "",
    capture_password_ref: str = CAPTURE_PASSWORD,
) -> dict[str, str]:
    """The complete connector configuration, sorted by name; pure and deterministic."""
    derived = {
        **PROVEN,
        **_address(connection, capture_password_ref),
        **_naming(names),
        **_tables(mapping),
        **_transforms(mapping, names, epoch),
        IDENTITY: identity,
    }
    _refuse_overrides(template, derived, mapping.system)
    return dict(sorted({**template, **derived}.items()))


def _address(connection: Connection, password: str) -> dict[str, str]:
    return {
        "database.hostname": connection.host,
        "database.port": str(connection.port),
        "database.user": connection.user,
        "database.dbname": connection.database,
        "database.password": password,
    }


def _naming(names: Names) -> dict[str, str]:
    return {
        "topic.prefix": names.connector,
        "slot.name": names.slot_name,
        "publication.name": names.publication,
        "notification.sink.topic.name": f"{names.connector}.notification",
    }


def _tables(mapping: Mapping) -> dict[str, str]:
    tables = captured(mapping)
    return {
        "table.include.list": ",".join(table.qualified for table in tables),
        "column.include.list": ",".join(
            [*_columns(tables), *(f"{SIGNAL}.{name}" for name in SIGNAL_COLUMNS)]
        ),
        "message.key.columns": ";".join(
            f"{table.qualified}:{','.join(message_key(table))}" for table in tables
        ),
    }


def _columns(tables: Iterable[Table]) -> list[str]:
    return [f"{table.qualified}.{column}" for table in tables for column in table.captured]


def captured(mapping: Mapping) -> tuple[Table, ...]:
    """The mapping's tables and the platform's own."""
    return (*mapping.tables.values(), *OWN)


def message_key(table: Table) -> tuple[str, ...]:
    """The unique key Debezium gives a row before ExtractField leaves the entity's id."""
    return _APPLIED_KEY if table is APPLIED else table.key


def _transforms(mapping: Mapping, names: Names, epoch: int) -> dict[str, str]:
    """Keys first (they know the original topic), then the epoch header, then one topic for all."""
    tables = captured(mapping)
    columns = list(dict.fromkeys(table.entity for table in tables))
    config = {
        "transforms": ",".join(["drop_signal", *(f"key_{column}" for column in columns), "epoch", "route"]),
        "predicates": ",".join(["signal", "data", *(f"by_{column}" for column in columns)]),
        **_drop_signal(names),
        **_predicate("data", _pattern(names, (table.qualified for table in tables))),
    }
    for column in columns:
        config |= _key_step(column, names, [table for table in tables if table.entity == column])
    return config | _epoch_step(epoch) | _route_step(names, tables)


def _drop_signal(names: Names) -> dict[str, str]:
    """Debezium emits the signals it has read, to a topic that isn't there: that would halt capture."""
    return {
        **_predicate("signal", _pattern(names, [SIGNAL])),
        "transforms.drop_signal.type": f"{_TRANSFORM}.Filter",
        "transforms.drop_signal.predicate": "signal",
    }


def _predicate(name: str, pattern: str) -> dict[str, str]:
    return {
        f"predicates.{name}.type": f"{_TRANSFORM}.predicates.TopicNameMatches",
        f"predicates.{name}.pattern": pattern,
    }


def _pattern(names: Names, tables: Iterable[str]) -> str:
    """A Java pattern of exactly these tables' topics: heartbeats and transactions never match.

    The end is anchored although matches() is whole: RegexRouter then replaces the first *find*, which would
    be `provider` within `provider_location` and leave `cdc.<system>_location` (seen on Kafka 4.3.1).
    """
    either = "|".join(re.escape(table) for table in tables)
    return f"^{re.escape(names.connector)}\\.({either})$"


def _key_step(column: str, names: Names, tables: Iterable[Table]) -> dict[str, str]:
    step = f"transforms.key_{column}"
    return {
        **_predicate(f"by_{column}", _pattern(names, (table.qualified for table in tables))),
        f"{step}.type": f"{_TRANSFORM}.ExtractField$Key",
        f"{step}.field": column,
        f"{step}.predicate": f"by_{column}",
    }


def _epoch_step(epoch: int) -> dict[str, str]:
    return {
        "transforms.epoch.type": f"{_TRANSFORM}.InsertHeader",
        "transforms.epoch.header": "concord-epoch",
        EPOCH: str(epoch),
        "transforms.epoch.predicate": "data",
    }


def _route_step(names: Names, tables: Iterable[Table]) -> dict[str, str]:
    return {
        "transforms.route.type": f"{_TRANSFORM}.RegexRouter",
        "transforms.route.regex": _pattern(names, (table.qualified for table in tables)),
        "transforms.route.replacement": names.topic,
        "transforms.route.predicate": "data",
    }


def _refuse_overrides(template: ReadOnly[str, str], derived: ReadOnly[str, str], system: str) -> None:
    clash = sorted(template.keys() & derived.keys())
    if clash:
        message = f"connectors/{system}/source.json sets {', '.join(clash)}, which follow from the mapping"
        raise InvalidInput("source.derived", message, "remove them from source.json")
