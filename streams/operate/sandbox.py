"""The whole decide hop on one machine's memory: commit rows, see the views and findings that follow.

    rows --connectors.envelope--> records --Decide on the engine in memory--> views, findings, entities

The decoder, the core, the agent, the store and the Avro contracts are the real ones; Kafka, Debezium and time are
not. Used by `concord test` and by the tests; never touches a running system.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from connectors.envelope import Change, Message, Source
from connectors.sink import RANK
from connectors.stewardship.verdict import Word
from schemas import registry
from schemas.authority import load_authority
from schemas.tables import decoders
from streams import codec
from streams.agents import control
from streams.agents.context import Context
from streams.agents.control import SnapshotComplete, TickProposed
from streams.agents.decide import Decide
from streams.agents.said import CLOCK_TOPIC, RECEIPT_TOPIC, WITNESS_TOPIC
from streams.core import entity as core_entity
from streams.core.advance import Decision, World, decide
from streams.core.canonical import Row
from streams.core.entity import Entity
from streams.core.gate import Verdict, Verdicts
from streams.core.receipt import Receipt
from streams.core.witness import Said
from streams.engine.memory import MemoryPartition, MemoryReferences, Record
from streams.engine.producer import Output
from streams.engine.store import Shared, Store
from streams.operate import rehearsal

SYSTEM = "credentialing"
TOPIC = f"cdc.{SYSTEM}"
WIRE_HEADER_BYTES = 5
DAY_SECONDS = 86_400


def encoders() -> codec.Encoders:
    """Encoders of the packaged contracts, with numbers of our own instead of a registry's."""
    return codec.Encoders({topic: (schema, number) for number, (topic, schema) in enumerate(contracts())})


def contracts() -> list[tuple[str, Any]]:
    """(topic, newest schema) of every packaged contract."""
    return list(
        {file.topic: (file.topic, json.loads(file.text)) for file in registry.schema_files()}.values()
    )


def context(references: MemoryReferences, rules: str = "1", systems: Sequence[str] = (SYSTEM,)) -> Context:
    """What a worker of one partition would share."""
    return Context(
        prefix="",
        partitions=1,
        decoders=decoders(systems),
        authority=load_authority(),
        encoders=encoders(),
        references=references,
        rules=rules,
        places=lambda key: 0,
    )


@dataclass(slots=True)
class Told:
    """What the platform has said so far: the newest view by 'system/kind/id', and the open findings by entity."""

    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: dict[str, set[str]] = field(default_factory=dict)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """'kind/id code subject' -> what was last said of that finding, and as `times` how often"""
    quarantined: list[str] = field(default_factory=list)
    rejections: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, output: Output, schemas: dict[str, Any]) -> None:
        """Take in what was written to a topic."""
        if output.topic == "quarantine":
            self.quarantined += [str(value) for name, value in output.headers if name == "concord-code"]
        if output.topic not in schemas or output.value is None:
            return
        body = io.BytesIO(output.value[WIRE_HEADER_BYTES:])
        content: Any = fastavro.schemaless_reader(body, schemas[output.topic], None)
        if output.topic == "finding":
            self._finding(content)
        elif output.topic.startswith("rejection."):
            self.rejections.append(content)
        else:
            _, system, kind = output.topic.split(".")
            self.views[f"{system}/{kind}/{(output.key or b'').decode()}"] = content

    def _finding(self, content: dict[str, Any]) -> None:
        known = self.findings.setdefault(f"{content['kind']}/{content['entity_id']}", set())
        name = f"{content['code']} {content['subject']}"
        identity = f"{content['kind']}/{content['entity_id']} {name}"
        self.said[identity] = {**content, "times": self.said.get(identity, {}).get("times", 0) + 1}
        known.discard(name) if content["state"] == "closed" else known.add(name)


class Sandbox:
    """One partition that holds everything."""

    def __init__(self, folder: Path, targets: Sequence[str] = ()) -> None:
        self.source = Source(SYSTEM)
        self.targets = {name: rehearsal.target(name) for name in targets}
        self.deliveries: int | None = None
        """how often the targets' adapters run before the next step; None: until nothing is left to do"""
        self.references = MemoryReferences()
        self.handler = Decide(0, context(self.references, systems=(SYSTEM, *targets)))
        self.partition = MemoryPartition(Store(folder, Shared()), self.handler)
        self.told = Told()
        self._schemas = {topic: fastavro.parse_schema(schema) for topic, schema in contracts()}
        self._now_ms = 0.0
        self._broker_ms = 0
        self._offsets: dict[str, int] = {}

    def snapshot(self, rows: Sequence[Change], system: str = SYSTEM) -> None:
        """An initial snapshot of these rows, and the notice that it is complete."""
        self.snapshots({system: rows})

    def snapshots(self, rows: Mapping[str, Sequence[Change]]) -> None:
        """Initial snapshots that run beside each other: the rows of all of them, then the notices."""
        sources = {name: self.source if name == SYSTEM else self.targets[name].source for name in rows}
        for name, source in sources.items():
            self._work(self._records(f"cdc.{name}", source.snapshot(rows[name])))
        for name, source in sources.items():
            notice = SnapshotComplete(name, source.epoch, self._offsets.get(f"cdc.{name}", 0))
            self._work([self._record(CLOCK_TOPIC, name.encode(), control.encode(notice))])
        self.settle()

    def commit(self, changes: Sequence[Change]) -> None:
        """One transaction of the source, decided."""
        self.send(self.source.transaction(changes))
        self.settle()

    def at(self, day: int) -> None:
        """What is committed from now on is committed on this day (since 1970)."""
        self.source.day = day
        for target in self.targets.values():
            target.source.day = day

    def edit(self, system: str, table: str, row: dict[str, Any], *, delete: bool = False) -> None:
        """Somebody edits a row in a target, and it is decided on."""
        target = self.targets[system]
        messages = target.source.transaction([target.edit(table, row, delete=delete)])
        self._work(self._records(f"cdc.{system}", messages))
        self.settle()

    def rule(self, name: str, subject: str, word: Word) -> None:
        """Somebody rules on a proposal of `kind/id`, and it is decided on."""
        desk = self.targets["stewardship"]
        assert isinstance(desk, rehearsal.Desk)
        self._work(self._records("cdc.stewardship", desk.rule(name, subject, word)))
        self.settle()

    def number(self, subject: str) -> str:
        """The number of the newest proposal of `system/record/row/field`."""
        desk = self.targets["stewardship"]
        assert isinstance(desk, rehearsal.Desk)
        return desk.number(subject)

    def deliver(self) -> None:
        """The adapters apply what was sent."""
        for name, content in sorted(self.told.views.items(), key=_references_first):
            system, kind, entity_id = name.split("/", 2)
            if system in self.targets:
                messages = self.targets[system].apply(kind, entity_id, content)
                self._work(self._records(f"cdc.{system}", messages))

    def tick(self, day: int) -> None:
        """It would be this day (since 1970): it is proposed, counted and told; what time alone changes is decided."""
        self._broker_ms = day * DAY_SECONDS * 1_000
        as_of = control.today(day * DAY_SECONDS).isoformat()
        self._work([self._record(CLOCK_TOPIC, None, control.encode(TickProposed(as_of, "sandbox")))])
        self.settle()

    def tell(self, claims: Sequence[Said]) -> None:
        """What witnesses say, or systems that nobody captures yet: claims under the entity's own id."""
        said = [self._record(WITNESS_TOPIC, c.id.encode(), msgspec.json.encode(c)) for c in claims]
        self._work(said)
        self.settle()

    def receive(self, said: Receipt) -> None:
        """An adapter, or a system itself, says what became of a view; without a revision, of the last one sent."""
        entity = self.entity(f"{said.kind}/{said.entity_id}")
        sent = entity.sent.get(said.system) if entity is not None else None
        at_us = self.source.day * DAY_SECONDS * 1_000_000 + self._offsets.get(RECEIPT_TOPIC, 0) + 1
        revision = sent.revision if sent is not None else at_us
        whole = said if said.revision is not None else msgspec.structs.replace(said, revision=revision)
        self._work([self._record(RECEIPT_TOPIC, said.entity_id.encode(), msgspec.json.encode(whole))])
        self.settle()

    def send(self, messages: Sequence[Message]) -> list[Output]:
        """Records as they come; nothing more is waited for."""
        return self._work(self._records(TOPIC, messages))

    def settle(self) -> None:
        """Let time pass until nothing is due and every target has what it was sent."""
        while True:
            while (due := self.handler.next_ms(self._now_ms)) is not None:
                self._now_ms = max(self._now_ms, due)
                self._work([])
            if self.deliveries != 0:
                self.deliver()
                self.deliveries = self.deliveries - 1 if self.deliveries is not None else None
            if self.handler.next_ms(self._now_ms) is None:
                return

    def entity(self, name: str) -> Entity | None:
        """The stored entity `kind/id`."""
        value = self.partition.store.get(name.encode())
        return core_entity.decode(value) if value is not None else None

    def golden(self, name: str) -> dict[str, dict[str, Row]]:
        """What is true of an entity now, by record and row."""
        entity = self.entity(name)
        if entity is None:
            return {}
        record = core_entity.golden(entity, self.handler.context.authority)
        return {name: record.named(name) for name in record.records}

    def verdict(self, name: str) -> Verdict | None:
        """What the gates say of an entity now, whatever the sink."""
        decision = self._decided(name)
        return decision.verdict if decision is not None else None

    def verdicts(self, name: str) -> Verdicts | None:
        """What the gates say of an entity now, by sink; of a kind without sinks, whatever the sink."""
        decision = self._decided(name)
        return (decision.sinks or {"": decision.verdict}) if decision is not None else None

    def _decided(self, name: str) -> Decision | None:
        entity = self.entity(name)
        if entity is None:
            return None
        shared = self.handler.context
        world = World(shared.authority, self.references.get, self.handler.state.as_of, shared.decoders)
        return decide(entity, world, 0)

    def close(self) -> None:
        """Release the store."""
        self.partition.store.close()

    def _work(self, records: Sequence[Record]) -> list[Output]:
        outputs = self.partition.work(records, self._now_ms)
        self.references.hear(output for output in outputs if output.topic == "reference")
        for output in outputs:
            self.told.hear(output, self._schemas)
        back = [
            self._record(o.topic, o.key, o.value)
            for o in outputs
            if o.topic == CLOCK_TOPIC or o.topic.startswith("claims.")
        ]
        if back:
            self._work(back)
        return outputs

    def _records(self, topic: str, messages: Sequence[Message]) -> list[Record]:
        return [self._record(topic, key, value, [*headers]) for key, value, headers in messages]

    def _record(
        self, topic: str, key: bytes | None, value: bytes | None, headers: codec.Headers | None = None
    ) -> Record:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        taken_ms = max(self._broker_ms, self.source.day * DAY_SECONDS * 1_000)
        return Record(topic, 0, offset, key, value, headers or [], taken_ms)


def _references_first(sent: tuple[str, Any]) -> int:
    """Places and groups before the providers who name them."""
    return RANK.get(sent[0].split("/")[1], len(RANK))
