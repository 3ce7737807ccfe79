"""Why a record can end in the quarantine topic: every code with its meaning and what to do.

Beside the flow: `change.decode` and the decide agent give these codes (header `concord-code`), a steward or
operator reads them. `REASONS` is the one table; docs/codes.md is written from it. Never holds a value.
"""

from __future__ import annotations

from msgspec import Struct


class Reason(Struct, frozen=True):
    """One code: what was wrong with the record, and the next step."""

    message: str
    action: str


# ruff: noqa: E501  (one line a code reads best)
REASONS: dict[str, Reason] = {
    "change.value_missing": Reason("the record has no value (a tombstone)", "check tombstones.on.delete of the connector"),
    "change.undecodable": Reason("the value is not UTF-8, not JSON, or nested too deeply", "find what else writes to the topic"),
    "change.envelope_unknown": Reason("JSON, but no Debezium envelope, or its row image is no object", "check the connector's converters and transforms"),
    "change.operation_unknown": Reason("the operation is none of create, update, delete, read, truncate", "check the connector's version"),
    "change.topic_unknown": Reason("no mapping belongs to the topic", "add the system's mapping, or unsubscribe"),
    "claim.undecodable": Reason("not a claim of the rekey hop", "report it: only the platform writes there"),
    "claim.record_unknown": Reason("a re-keyed row of no known record", "report it: only the platform writes there"),
    "change.table_unknown": Reason("the table is in no mapping", "map the table or take it out of the capture"),
    "change.truncated": Reason("the table was truncated at its source; its rows stay as they were", "re-snapshot the table"),
    "change.key_missing": Reason("a row without key", "check message.key.columns of the connector"),
    "change.key_mismatch": Reason("the key is not the id of the row's entity", "check message.key.columns of the connector"),
    "change.partition_wrong": Reason("the key belongs to another partition", "let the producer place keys with murmur2"),
    "change.position_unknown": Reason("header concord-epoch, source.sequence or source.lsn is missing or unreadable", "run `concord sources apply`, then re-read the row"),
    "change.row_too_large": Reason("the row is larger than 2 MiB", "shrink the row at its source"),
    "change.column_missing": Reason("a column the mapping names is not in the row", "run `concord mapping check`, then re-read the row"),
    "change.type_wrong": Reason("a column's value has another type than its canonical field", "run `concord mapping check`, then correct the row"),
    "change.value_out_of_range": Reason("an infinite or ancient date, a number beyond 64 bits, or a document nested too deeply", "correct the row at its source"),
    "clock.undecodable": Reason("no control record of a known kind", "find what else writes to the topic"),
    "witness.undecodable": Reason("no claim of a witness", "find what else writes to the topic"),
    "witness.record_unknown": Reason("a witness names a record the catalogue lacks", "deploy the worker and `concord reference` from one version"),
    "clock.too_far": Reason("a tick more than a day ahead of the broker's clock", "check the clock of the machine that wrote it; a right tick follows by itself"),
    "npi.undecodable": Reason("no announcement of an NPI's holder", "find what else writes to the topic"),
    "receipt.undecodable": Reason("no receipt of an adapter", "find what else writes to the topic"),
    "receipt.never_sent": Reason("a receipt for a revision that the system was never sent", "correct the receipt file, or find what else writes to the topic"),
    "internal.decode_failed": Reason("a defect of ours while reading the record", "report it with the record's origin"),
    "internal.take_failed": Reason("a defect of ours while aggregating the record", "report it with the record's origin"),
}  # fmt: skip
"""Every code a quarantined record can have."""
