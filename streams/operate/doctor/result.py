"""What a check says of one subject, and which checks there are, each before those that follow from it. Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "finding", "error", "skipped"]

CHECKS: Mapping[str, str] = {
    "disk": "room on the disks of the state and data folders",
    "kafka": "the broker answers",
    "acl": "this installation may describe, read and write its topics, and consumers what their contracts say",
    "partitions": "as many partitions as the setting says, equal where topics are read together",
    "retention": "how long each topic keeps what, as the catalogue says",
    "topics": "every topic of the catalogue is there, set as it says",
    "min_insync": "replicas that must have a record before it counts as written",
    "registry": "the schema registry answers",
    "schemas": "every schema is registered",
    "compatibility": "every subject is under FULL_TRANSITIVE",
    "connect": "Kafka Connect answers",
    "audit": "the audit's database answers, its role may log in, read it and add to it",
    "database": "the system's database answers, and the roles may log in",
    "clock": "this machine's clock against those of the databases, the broker, Connect and the registry",
    "wal_level": "logical, with slots and senders left",
    "output_plugin_libraries": "pgoutput may be used (PostgreSQL versions that have the setting)",
    "role": "the capture role may log in and replicate",
    "mapping": "every mapped table and column is there, of the right type",
    "publication": "publishes every mapped table, column and event",
    "replica_identity": "deletes and updates carry the row's and the entity's id",
    "grants": "the capture role may read every mapped column, write the heartbeat and signal",
    "adapter_grants": "the adapter's role may do what capture.sql grants it, column by column",
    "connector": "the connector is there and runs, against the server it was made for",
    "slot": "the replication slot is there, read, whole, and of bearable size",
    "heartbeat": "capture's heartbeat moves",
}
"""Check -> what it looks at."""

_USER = re.compile(r"//[^/@]*@")
_ORDER = {name: number for number, name in enumerate(CHECKS)}


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one subject: `machine`, `kafka/<topic>`, `registry/<subject>`, `<system>/<table>`.

    finding  it is wrong: `why` it matters, and the `fix`, to be pasted as it stands
    error    nobody could look: why, and in `fix` what makes looking possible
    skipped  there is nothing to look at here, or an earlier result says why nobody looked
    """

    check: str
    subject: str
    state: State
    seen: str
    why: str = ""
    fix: str = ""

    @property
    def group(self) -> str:
        """What it is told under."""
        return self.subject.partition("/")[0]


def ok(check: str, subject: str, seen: str) -> Result:
    """It is as it must be."""
    return Result(check, subject, "ok", seen)


def finding(check: str, subject: str, seen: str, why: str, fix: str) -> Result:
    """It is wrong."""
    return Result(check, subject, "finding", seen, why, fix)


def error(check: str, subject: str, why: str, fix: str) -> Result:
    """Nobody could look."""
    return Result(check, subject, "error", "", why, fix)


def skipped(check: str, subject: str, why: str) -> Result:
    """Nothing to look at, or not looked at for a reason told before."""
    return Result(check, subject, "skipped", "", why)


def judged(check: str, subject: str, found: Iterable[Result], seen: str) -> list[Result]:
    """The findings, or that there are none."""
    return list(found) or [ok(check, subject, seen)]


def ordered(results: Iterable[Result]) -> list[Result]:
    """Within a group an earlier cause before what follows from it; groups in the order they were looked at."""
    found = list(results)
    groups = {name: number for number, name in enumerate(dict.fromkeys(r.group for r in found))}
    return sorted(found, key=lambda r: (groups[r.group], _ORDER[r.check]))


def shown(address: str) -> str:
    """An address without whoever asks there: a registry's or Connect's may hold a password."""
    return _USER.sub("//***@", address)
