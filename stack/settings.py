"""How the services are set, as tables: rendered for the native start and compared with docker-compose.yml.

Addresses, ports and passwords are no settings: they differ per start and come from state.py.
"""

from __future__ import annotations

from streams.systems import SYSTEMS

CAPTURE_ROLE = "concord_capture"
CANARY_ROLE = "concord_canary"
ADAPTER_ROLES = {system: f"concord_adapter_{system}" for system in SYSTEMS}
STEWARD_ROLE = "concord_steward"
STEWARD_DATABASE = "stewardship"
AUDIT_ROLE = "concord_audit"
REGISTRY_ROLE = "concord_registry"
REGISTRY_DATABASE = "registry"

# Connect resolves this from its own environment, so no connector configuration holds the password.
CAPTURE_PASSWORD_REF = "${env:CONCORD_CAPTURE_PASSWORD}"  # noqa: S105  (a reference, not a password)

LARGEST_RECORD = 16 * 1024 * 1024  # a 16 MiB row must pass: Debezium's task would fail on it and halt capture
_RECORD_LIMIT = str(LARGEST_RECORD + 1024 * 1024)  # plus what the batch and its headers add

POSTGRES = {
    "wal_level": "logical",
    "max_replication_slots": "32",
    "max_wal_senders": "32",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # A consumer that is away for long loses its slot (and is told so) before the disk is full.
    "max_slot_wal_keep_size": "8GB",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
}

POSTGRES_INITDB = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",  # the same order of text on every platform
    "--locale=C",
    "--auth=scram-sha-256",
)

KAFKA = {
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "message.max.bytes": _RECORD_LIMIT,
    "replica.fetch.max.bytes": _RECORD_LIMIT,
    # Unbounded, compaction of `entity` takes half a core for seconds, and every change waits for it.
    "log.cleaner.io.max.bytes.per.second": "16777216",
}

REGISTRY = {
    "APICURIO_STORAGE_KIND": "sql",
    "APICURIO_STORAGE_SQL_KIND": "postgresql",
    # Its default pool opens 20 connections at once, a tenth of what the server has.
    "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "1",
    "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "1",
    "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "8",
}

HEAP_MB = {"kafka": 512, "connect": 512, "registry": 384}
