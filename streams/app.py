"""The composition root of a worker: every client is built here and nowhere else, in the order of the flow.

    transport (chunks) -> agent decide -> Partition (engine) -> Decide (handler) -> core -> producer, store

`run` is what `concord worker` starts; it ends when the process is told to stop, or leaves with an exit code the
supervisor understands.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import time
from functools import partial
from typing import Any

import faust
import structlog
from confluent_kafka import Producer
from msgspec import Raw, to_builtins

from connectors import origin
from schemas import contracts, registry
from schemas.authority import load_authority
from schemas.tables import decoders
from streams import codec, telemetry, web
from streams.agents import rollout
from streams.agents.clock import ClockHolder
from streams.agents.context import Context
from streams.agents.decide import Decide
from streams.agents.proposal import asked
from streams.core import entity as core_entity
from streams.core import view, worklist
from streams.engine import transport
from streams.engine.references import References
from streams.engine.worker import Partitions, Places
from streams.kafka import broker, faust_login
from streams.placing import partition_of
from streams.settings import Settings, need
from streams.systems import REKEYED

log = structlog.get_logger(__name__)

EXIT_CRASHED = 71


def encoders(settings: Settings) -> codec.Encoders:
    """Avro encoders with the ids the registry knows; a worker never registers a schema."""
    files = registry.schema_files(prefix=settings.topic_prefix)
    client = registry.connect(settings.registry)
    numbers = registry.ids(client, files)
    newest = {file.topic.removeprefix(settings.topic_prefix): file for file in files}
    return codec.Encoders(
        {topic: (json.loads(file.text), numbers[file.topic]) for topic, file in newest.items()}
    )


def context(settings: Settings, references: References) -> Context:
    """What all partitions share."""
    return Context(
        prefix=settings.topic_prefix,
        partitions=settings.partitions,
        decoders=decoders(settings.sources),
        authority=load_authority(),
        encoders=encoders(settings),
        references=references,
        rules=str(rollout.installed()),
        places=partial(partition_of, partitions=settings.partitions),
        linger_ms=settings.transaction_linger_ms,
        withdraw_linger_ms=settings.withdraw_linger_ms,
        withdraw_share=settings.tick_withdraw_share,
        withdraw_least=settings.tick_withdraw_least,
        accept=settings.accept,
    )


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.references = References(
            need(settings.kafka, "CONCORD_KAFKA"), settings.topic("reference"), settings.partitions
        )
        shared = context(settings, self.references)
        places = Places(
            settings.kafka,
            settings.topic("entity"),
            settings.data_dir,
            f"{settings.topic_prefix}concord",
            settings.store_buffer_mb * 1024 * 1024,
        )
        self.partitions = Partitions(places, self.references, lambda number: Decide(number, shared))
        shared.heard.listen(self.partitions.wake)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.app = self._faust()
        # One chunk out a partition: while it is worked the next grows, and other partitions fill the time.
        self.transport = transport.configure(
            self.app, gate=self.partitions, settings=transport.Settings(in_flight=1)
        )
        self.clock = ClockHolder(
            settings.kafka,
            settings.connect,
            settings.topic_prefix,
            settings.partitions,
            settings.sources,
            lambda: self.partitions.ready(0),
            self._beat,
        )
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self.started_at = time.time()

    def _beat(self, system: str) -> None:
        """An idle source streams nothing until its next heartbeat: don't wait for it."""
        if dsn := self.settings.capture.get(system):
            origin.beat(dsn)

    def _faust(self) -> faust.App:
        settings = self.settings
        transport.register()
        app = faust.App(
            settings.topic(settings.group),
            broker=f"{transport.SCHEME}://{settings.kafka}",
            broker_credentials=faust_login(),
            value_serializer="raw",
            key_serializer="raw",
            stream_buffer_maxsize=8,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 4,
            broker_commit_interval=1.0,
            stream_wait_empty=True,
            web_enabled=False,
            datadir=str(settings.data_dir / "faust"),
        )
        inputs = [
            *(f"cdc.{system}" for system in settings.sources),
            *(f"claims.{system}" for system in settings.sources if system in REKEYED),
            *("claims.npi", "claims.witness", "clock", "receipt"),
        ]
        topic = app.topic(
            *(settings.topic(name) for name in inputs), value_serializer="raw", key_serializer="raw"
        )

        @app.agent(topic, isolated_partitions=True, name="decide")  # type: ignore[untyped-decorator]
        async def decide(stream: Any) -> None:
            async for event in stream.noack().events():
                chunk = event.value
                partition = self.partitions.get(chunk.tp.partition)
                if partition is not None and await partition.work(chunk):
                    event.ack()

        return app

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        self.references.start()
        runner, port = await web.serve(
            self.settings.web_port,
            self.stored,
            describe_stored,
            self.status,
            self.metrics,
            self.due,
            self.reached,
        )
        self._announce(port)
        await self.app.start()
        clock = asyncio.create_task(self.clock.run(), name="clock")
        tune_gc()
        garbage = asyncio.create_task(collect_garbage(), name="garbage")
        log.info("worker.started", id=self.id, port=port)
        crashed = asyncio.create_task(self.app.wait_until_stopped(), name="crashed")
        asked = asyncio.create_task(stopped.wait(), name="asked")
        await asyncio.wait({crashed, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            # Nothing half done may be acknowledged by an orderly stop: leave as after a kill.
            log.critical("worker.crashed", id=self.id, reason=repr(self.app.crash_reason))
            os._exit(EXIT_CRASHED)
        crashed.cancel()
        log.info("worker.stopping", id=self.id)
        for task in (clock, garbage):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.app.stop()
        await runner.cleanup()
        self.references.stop()

    # ---- what it answers ----

    def stored(self, kind: str, entity_id: str) -> bytes | None:
        """The stored entity, when it lives here."""
        key = f"{kind}/{entity_id}".encode()
        partition = self.partitions.get(partition_of(entity_id.encode(), self.settings.partitions))
        return partition.store.get(key) if partition is not None else None

    async def status(self) -> Any:
        """Positions, pending work and outcome counts by partition."""
        progress = await self.transport.progress()
        return {
            "id": self.id,
            "pid": os.getpid(),
            "started_at": self.started_at,
            "references": len(self.references),
            "gaps": [str(gap) for gap in self.partitions.gaps],
            "inputs": [
                {
                    "topic": tp.topic,
                    "partition": tp.partition,
                    "position": p.position,
                    "end": p.end,
                    "committed": p.committable,
                    "lag": p.behind,
                }
                for tp, p in sorted(progress.items())
            ],
            "partitions": [self._partition_status(number) for number in sorted(self.partitions.open)],
            "restoring": self._restoring(),
            "opened": self.partitions.opened,
            "free_ratio": telemetry.free_ratio(self.settings.data_dir),
        }

    def reached(self) -> Any:
        """How far inputs and canaries have come, by partition: asked every two seconds, so it costs nothing."""
        found = {}
        for number, partition in self.partitions.open.items():
            assert isinstance(partition.handler, Decide)
            state = partition.handler.state
            canaries = {system: beat.beat for system, beat in state.canaries.items()}
            found[number] = {"inputs": dict(state.inputs), "canaries": canaries}
        return {"pid": os.getpid(), "partitions": found}

    def due(self, until: str) -> dict[int, int]:
        """How many entities are due by time alone up to a date, by partition."""
        found: dict[int, int] = {}
        for number, partition in sorted(self.partitions.open.items()):
            assert isinstance(partition.handler, Decide)
            found[number] = partition.handler.waiting(partition.store, until)
        return found

    def metrics(self) -> str:
        """Prometheus text."""
        opened = [self._partition_status(n) for n in sorted(self.partitions.open)]
        return telemetry.text(opened, self._restoring(), self.partitions.opened, self.settings.data_dir)

    def _restoring(self) -> list[dict[str, int]]:
        """Partitions that are being read from topic `entity`, and how far."""
        found = list(self.partitions.restoring.items())
        return [{"partition": n, "done": r.done, "total": r.total} for n, r in found]

    def _partition_status(self, number: int) -> Any:
        partition = self.partitions.open[number]
        handler = partition.handler
        assert isinstance(handler, Decide)
        restored = self.partitions.restored.get(number)
        return {
            "partition": number,
            "dirty": len(handler.pending) + handler.dependents.count,
            "decided": handler.state.decided,
            "emitted": handler.state.emitted,
            "late": handler.state.late,
            "as_of": handler.state.as_of,
            "ticked": handler.state.ticked,
            "due": handler.waiting(partition.store),
            "asked": to_builtins(asked(handler.state)),
            "consumed": handler.state.consumed,
            "outcomes": handler.state.outcomes,
            "snapshots": {s: core_builtin(v) for s, v in handler.state.snapshots.items()},
            "largest": handler.largest,
            "rules": handler.state.rules,
            "toward": handler.state.toward,
            "again": {"done": handler.again.done, "total": handler.again.total}
            if handler.state.toward
            else None,
            "read_again": handler.state.read_again,
            "parity": handler.parity(partition.store),
            "retries": partition.retries,
            "last_error": partition.last_error,
            "restored": {"records": restored.records, "seconds": restored.seconds} if restored else None,
        }

    def _announce(self, port: int) -> None:
        producer = Producer({**broker(self.settings.kafka), "partitioner": "murmur2_random"})
        value = {"host": web.HOST, "port": port, "pid": os.getpid(), "started_at": self.started_at}
        producer.produce(
            self.settings.topic("workers"), json.dumps(value).encode(), f"worker/{self.id}".encode()
        )
        producer.flush(10)


def core_builtin(value: Any) -> Any:
    """A Struct as a dict with field names (array_like Structs encode as arrays otherwise)."""
    return {name: getattr(value, name) for name in value.__struct_fields__}


def describe(entity: core_entity.Entity) -> Any:
    """An entity as plain data with field names, for people and tools."""
    told = plain(entity)
    for system, sent in entity.sent.items():
        contract = view.VIEWS.get(entity.kind, {}).get(system) or worklist.CONTRACTS.get(system)
        content = view.named(contract.decode(sent.content)) if contract else decode_broadcast(sent.content)
        told["sent"][system] = {"revision": sent.revision, "content": content}
    for system, tables in entity.claims.items():
        for record, rows in tables.items():
            for row_id, claim in rows.items():
                told["claims"][system][record][row_id]["held"] = plain(claim.image(record))
    told["trail"] = plain(entity.steps())
    return told


def decode_broadcast(content: Raw) -> Any:
    """What topic `reference` was told, as plain data."""
    golden = core_entity.decode_golden(content)
    return {record: plain(golden.named(record)) for record in golden.records}


def plain(value: Any) -> Any:
    """Structs as dicts with field names; what is still encoded is left out."""
    if hasattr(value, "__struct_fields__"):
        return {k: plain(v) for k, v in core_builtin(value).items()}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, Raw) else value


def describe_stored(value: bytes) -> Any:
    """A stored entity as plain data."""
    return describe(core_entity.decode(value))


def tune_gc() -> None:
    """What lives now lives long, and the hot path makes no cycles: faust.md measured 1.8 times the speed."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 100, 1000)  # a young collection stops every partition: 5 ms, not 50


M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Of glibc's malloc.h."""
LARGE_BYTES = 256 * 1024


def tune_malloc() -> None:
    """What is freed goes back to the system. Records are made in one thread and freed in another: glibc would keep an
    arena for each thread, and take large blocks from them, too, so that a third of a worker's memory was holes after a
    snapshot. Another C library is left as it is."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 2)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


YOUNG_SECONDS = 10.0
OLD_EVERY = 12


async def collect_garbage() -> None:
    """Collect by time as well: an idle worker makes few objects, but its clients' cycles hold large buffers.

    Measured: 1.5 MB/s of growth at rest with the thresholds alone.
    """
    rounds = 0
    while True:
        await asyncio.sleep(YOUNG_SECONDS)
        rounds += 1
        gc.collect(2 if rounds % OLD_EVERY == 0 else 1)


def run(settings: Settings) -> int:
    """Run a worker in this process; the exit code. InvalidInput when a file it decides by is wrong."""
    contracts.require()
    tune_malloc()
    asyncio.run(Worker(settings).run())
    return 0
