"""`concord sources plan|apply|status`: makes Connect run what the mappings say, and says how it stands.

    mapping + source.json --render--> wanted --plan--> difference --apply--> running connectors

Keeps the epoch: a counter in every captured row's header that rises with each initial snapshot, so that
positions of different snapshots are never compared (docs/decisions/20261122-source-identity.md). A new snapshot is
always a command, never a side effect. Never reads or changes rows of a source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Literal

from psycopg.conninfo import conninfo_to_dict

from connectors import lenient, origin
from connectors.connect import TIMEOUT, Connect
from connectors.source import EPOCH, IDENTITY, Connection, Names, render
from schemas.catalog import load_mapping
from streams.errors import EnvironmentFault, InvalidInput, Unavailable

Action = Literal["create", "update", "none", "resnapshot"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One system to capture: `dsn` is the capture role's, `address` where Connect reaches it if elsewhere."""

    names: Names
    dsn: str = field(repr=False)
    address: str = ""

    @property
    def connection(self) -> Connection:
        """Where Connect finds the database; the password never leaves this process."""
        known = conninfo_to_dict(self.dsn)
        host, _, port = (self.address or f"{known['host']}:{known.get('port', 5432)}").rpartition(":")
        return Connection(host, int(port), str(known["user"]), str(known["dbname"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do with one source. `resnapshot` needs a person's word; `reasons` says why.

    `for_now`: what the guard has set and sets back by itself; `apply` leaves it, a new snapshot ends it.
    """

    system: str
    connector: str
    action: Action
    epoch: int
    settings: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    for_now: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The initial snapshot of an epoch: finished once Connect's committed offset is past it.

    `streamed_us`: when the newest transaction streamed after it was committed (epoch us), 0 before the first.
    """

    epoch: int
    finished: bool
    streamed_us: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a connector; `trace` is Connect's, of a failed one."""

    id: int
    state: str
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """How capture of one system stands; `lsn` is the last position known to be in Kafka."""

    system: str
    connector: str
    state: str
    tasks: tuple[Task, ...] = ()
    epoch: int | None = None
    identity: str = ""
    snapshot_finished: bool = False
    lsn: int | None = None
    slot: origin.Slot | None = None


def plan(connect: Connect, kafka: str, sources: Iterable[Source], epoch: int | None = None) -> list[Plan]:
    """What differs between the mappings and the running connectors, secrets masked."""
    return [_plan(connect, kafka, source, epoch) for source in sources]


def apply(
    connect: Connect,
    kafka: str,
    sources: Iterable[Source],
    *,
    resnapshot: bool = False,
    epoch: int | None = None,
    say: Say = lambda text: None,
) -> list[Plan]:
    """Make the connectors what the mappings say; idempotent. `resnapshot` takes a new initial snapshot."""
    return [_apply(connect, kafka, source, resnapshot, epoch, say) for source in sources]


def status(connect: Connect, sources: Iterable[Source]) -> list[Status]:
    """State, committed position, snapshot and slot of each source."""
    return [_status(connect, source) for source in sources]


def snapshot(connect: Connect, connector: str) -> Snapshot | None:
    """The running epoch and whether its initial snapshot is wholly in Kafka; None without a connector."""
    config = connect.config(connector)
    if not config:
        return None
    offset = connect.offset(connector)
    return Snapshot(int(config[EPOCH]), finished(offset), _streamed_us(offset))


def snapshot_finished(connect: Connect, connector: str) -> bool:
    """Whether the initial snapshot is wholly in Kafka."""
    return finished(connect.offset(connector))


def wanted(source: Source, epoch: int, identity: str) -> dict[str, str]:
    """The configuration the mapping asks for."""
    system = source.names.system
    return render(
        _template(system),
        load_mapping(system),
        source.names,
        epoch=epoch,
        connection=source.connection,
        identity=identity,
    )


def finished(offset: Mapping[str, Any] | None) -> bool:
    """Seen on Debezium 3.7: `snapshot` stands in the offset while one runs, with `snapshot_completed` true
    on its last record; the first streamed record or heartbeat drops both. No offset: nothing captured."""
    if not offset:
        return False
    return not offset.get("snapshot") or bool(offset.get("snapshot_completed"))


def _streamed_us(offset: Mapping[str, Any] | None) -> int:
    return 0 if not offset or offset.get("snapshot") else int(offset.get("ts_usec", 0))


def _template(system: str) -> dict[str, str]:
    file = files("connectors") / system / "source.json"
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as fault:
        raise InvalidInput(
            "source.template", f"connectors/{system}/source.json: {fault}", "correct it"
        ) from fault
    return {str(key): str(value) for key, value in found.items()}


def _plan(connect: Connect, kafka: str, source: Source, epoch: int | None) -> Plan:
    running = connect.config(source.names.connector)
    identity = origin.identity(source.dsn)
    now = int(running[EPOCH]) if running else _first_epoch(kafka, source, epoch)
    reasons = tuple(_reasons(connect, source, running, identity)) if running else ()
    for_now = lenient.deviation(running or {})
    settings = _difference(running or {}, {**wanted(source, now, identity), **for_now})
    action: Action = (
        "create" if not running else "resnapshot" if reasons else "update" if settings else "none"
    )
    return Plan(source.names.system, source.names.connector, action, now, settings, reasons, for_now)


def _first_epoch(kafka: str, source: Source, epoch: int | None) -> int:
    """One more than any epoch the topic has seen: a connector deleted and made anew starts over."""
    return epoch if epoch is not None else origin.last_epoch(kafka, source.names.topic) + 1


def _reasons(connect: Connect, source: Source, running: Mapping[str, str], identity: str) -> Iterable[str]:
    """Why positions before and after could not be compared, or changes are already gone."""
    known = running.get(IDENTITY, "")
    if known and known != identity:
        yield f"the source was server/timeline {known}, now it is {identity}: its positions start anew"
    slot = origin.slot(source.dsn, source.names.slot_name)
    if connect.offset(source.names.connector) is not None:
        if slot is None:
            yield f"slot {source.names.slot_name} is gone: changes since the last captured one are missing"
        elif slot.lost:
            yield f"slot {source.names.slot_name} is lost: the source removed WAL that was not yet captured"


def _difference(
    running: Mapping[str, str], rendered: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    keys = sorted((running.keys() | rendered.keys()) - {"name"})
    return {
        key: (_masked(key, running.get(key)), _masked(key, rendered.get(key)))
        for key in keys
        if running.get(key) != rendered.get(key)
    }


def _masked(key: str, value: str | None) -> str | None:
    """References are shown, a password that somebody put in by hand is not."""
    return "***" if value and "password" in key and not value.startswith("${") else value


def _apply(
    connect: Connect, kafka: str, source: Source, resnapshot: bool, epoch: int | None, say: Say
) -> Plan:
    planned = _plan(connect, kafka, source, epoch)
    if planned.action == "create":
        _create(connect, source, planned.epoch, say)
    elif resnapshot:
        return _resnapshot(connect, source, planned, epoch, say)
    elif planned.action == "resnapshot":
        _refuse(connect, planned)
    elif planned.action == "update":
        config = wanted(source, planned.epoch, origin.identity(source.dsn))
        connect.update(planned.connector, {**config, **planned.for_now})
    return planned


def _create(connect: Connect, source: Source, epoch: int, say: Say) -> None:
    """Offsets outlive a deleted connector; without the slot they point at changes that are gone."""
    name = source.names.connector
    connect.create_stopped(name, wanted(source, epoch, origin.identity(source.dsn)))
    slot = origin.slot(source.dsn, source.names.slot_name)
    if connect.offset(name) is not None and (slot is None or slot.lost):
        _start_over(connect, source)
    _resume(connect, source, say)


def _resnapshot(connect: Connect, source: Source, planned: Plan, epoch: int | None, say: Say) -> Plan:
    """Stop (offsets are flushed), forget them and the slot, raise the epoch, start: in this order, so that
    no moment shows the new epoch with the old snapshot's offset."""
    raised = epoch if epoch is not None else planned.epoch + 1
    if raised <= planned.epoch:
        message = f"epoch {raised} is not above {planned.epoch}, the running one"
        raise InvalidInput("source.epoch", message, "leave --epoch out, or name a higher one")
    origin.wait_for_writers(source.dsn)  # before anything is stopped: the new slot would wait for them
    connect.stop(planned.connector)
    _start_over(connect, source)
    connect.update(planned.connector, wanted(source, raised, origin.identity(source.dsn)))
    _resume(connect, source, say)
    settings = {**planned.settings, EPOCH: (str(planned.epoch), str(raised))}
    return replace(planned, action="resnapshot", epoch=raised, settings=settings, for_now={})


def _resume(connect: Connect, source: Source, say: Say) -> None:
    """Connect only says that a task doesn't start; a transaction that its new slot waits for is the likely reason."""
    while True:
        try:
            return connect.resume(source.names.connector)
        except Unavailable as fault:
            if fault.code != TIMEOUT:  # a Connect that doesn't answer says nothing of the slot
                raise
            left = origin.writers(source.dsn)
            if not left:
                raise
            if not all(writer.is_snapshot for writer in left):
                raise origin.blocked(left) from None
            # Another source's snapshot on this server: however long it takes, this one begins when it is over.
            say(f"{source.names.connector} waits for the end of {'; '.join(map(str, left))}")


def _start_over(connect: Connect, source: Source) -> None:
    origin.wait_released(source.dsn)
    connect.forget_offset(source.names.connector)
    origin.drop_slot(source.dsn, source.names.slot_name)


def renew_slot(connect: Connect, source: Source) -> int:
    """Capture goes on under the same epoch from where its slot can: a new one where there is none, or it is lost. What
    was committed between the last captured change and there is left out, for verification to find. The LSN of there.

    Debezium (3.7) refuses to start where its slot can't give what its offset asks for: the offset is moved.
    """
    name, slot_name = source.names.connector, source.names.slot_name
    connect.stop(name)
    origin.wait_released(source.dsn)
    slot = origin.slot(source.dsn, slot_name)
    if slot is None or slot.lost:
        origin.drop_slot(source.dsn, slot_name)
        origin.make_slot(source.dsn, slot_name)
    begins = origin.begins(source.dsn, slot_name)
    offset = connect.offset(name)
    if offset is not None:
        kept = {key: value for key, value in offset.items() if not key.startswith("transaction")}
        connect.place_offset(name, kept | dict.fromkeys(_LSNS & kept.keys(), begins))
    connect.resume(name)
    return begins


_LSNS = frozenset({"lsn", "lsn_proc", "lsn_commit"})


def _refuse(connect: Connect, planned: Plan) -> None:
    """Pause what would capture wrong positions, and say what it takes."""
    connect.pause(planned.connector)
    step = f"`concord sources apply {planned.system} --resnapshot` raises the epoch and takes a new snapshot"
    message = f"{planned.connector} is paused: {'; '.join(planned.reasons)}"
    raise EnvironmentFault("source.resnapshot_needed", message, step)


def _status(connect: Connect, source: Source) -> Status:
    names = source.names
    found, config = connect.status(names.connector), connect.config(names.connector)
    slot = origin.slot(source.dsn, names.slot_name)
    if found is None or config is None:
        return Status(names.system, names.connector, "MISSING", slot=slot)
    offset = connect.offset(names.connector)
    return Status(
        names.system,
        names.connector,
        found["connector"]["state"],
        tuple(Task(task["id"], task["state"], task.get("trace", "")) for task in found["tasks"]),
        int(config[EPOCH]),
        config.get(IDENTITY, ""),
        finished(offset),
        offset.get("lsn") if offset else None,
        slot,
    )
