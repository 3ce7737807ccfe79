"""One export: from where the folder's last one ended to the topics' ends, complete when that can't be known.

    starts --> read, decode, spool --> files, manifest --> receipts confirmed --> one rename --> manifest.json

Order of effects: a record's `exported` receipt is confirmed before the rename that moves the folder's place on
(Invariant 2); a kill before it leaves the old state and what was read so far, and the next export reads on from there.
Joins no group and commits nothing. Never changes a delivery that is in place.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from confluent_kafka import KafkaException, Message, TopicCollection
from confluent_kafka.admin import AdminClient

from connectors.receipt import KafkaReceipts, Receipts, confirmed, producer, unread
from connectors.sink import KINDS, Partition, View
from connectors.wire import Decoder, Undecodable, registry_schemas
from schemas import registry
from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.kafka import broker
from streams.operate import reading
from streams.operate.export import files, manifest
from streams.operate.export.manifest import Form, Kind, Manifest, Span
from streams.operate.export.spool import Progress, Spool
from streams.settings import Settings, need

OLDEST = timedelta(days=25)
"""Tombstones are readable for 30 days: a delta over a longer time could miss that somebody was withdrawn."""

MAKING, DELIVERY = ".making", "delivery"
AT_ONCE = 10_000
SAVE_EVERY = 1_000
"""Records; a killed export reads no more than these again."""


class Begin(NamedTuple):
    """Where an export starts in each partition, and why it is what it is."""

    kind: Kind
    why: str
    starts: Mapping[Partition, int]


@dataclass(slots=True)
class Taken:
    """What was read."""

    spool: Spool
    progress: Progress
    ends: dict[tuple[str, int], int]
    counts: Counter[str]

    def save(self) -> None:
        progress = self.progress
        spans = [
            Span(s.topic, s.partition, s.topic_id, s.start, self.ends[s.topic, s.partition])
            for s in progress.spans
        ]
        self.spool.save(msgspec.structs.replace(progress, spans=spans, counts=dict(self.counts)))


def take(settings: Settings, system: str, folder: Path, full: bool = False, form: Form = "jsonl") -> Manifest:
    """Export a system's views into a folder; the manifest of the new delivery."""
    if system not in KINDS:
        raise InvalidInput("export.unknown", f"no views go to {system!r}", f"use one of: {', '.join(KINDS)}")
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    receipts = KafkaReceipts(producer(kafka), settings.topic("receipt"))
    decoder = Decoder(system, registry_schemas(registry.connect(need(settings.registry, "CONCORD_REGISTRY"))))
    with _alone(folder) as making:
        last = manifest.newest(folder)
        _same_system(last, system, folder)
        topics = [settings.topic(f"sink.{system}.{kind}") for kind in KINDS[system]]
        now = datetime.now(UTC)
        begin = _begin(last, full, _partitions(kafka, topics), kafka, now)
        with closing(Spool(making / "spool")) as spool:
            taken, begin = started(spool, last.number if last else 0, begin, now)
            _read(kafka, decoder, taken)
            return _deliver(folder, making, system, form, last, begin, taken, receipts)


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """One export a folder at a time, in a folder beside the deliveries; what a killed one had read stays in it."""
    making = folder / MAKING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another export is writing into {folder}"
                raise Unavailable("export.busy", message, "wait until it is done") from None
            try:
                making.mkdir(mode=0o750, exist_ok=True)
                shutil.rmtree(making / DELIVERY, ignore_errors=True)
                yield making
                shutil.rmtree(making)
            except (OSError, sqlite3.Error):
                shutil.rmtree(making, ignore_errors=True)  # it may be what fills the disk, or what is broken
                raise
    except (OSError, sqlite3.Error) as fault:
        message = f"{getattr(fault, 'filename', None) or folder}: {getattr(fault, 'strerror', None) or fault}"
        step = "free space or correct the folder's rights, then repeat: nothing of this export was kept"
        raise EnvironmentFault("export.folder", message, step) from None


def _same_system(last: Manifest | None, system: str, folder: Path) -> None:
    if last is not None and last.system != system:
        message = f"{folder} holds the exports of {last.system}"
        raise InvalidInput("export.folder", message, "use a folder for each system")


def _partitions(kafka: str, topics: list[str]) -> list[Partition]:
    admin = AdminClient({**broker(kafka), "log_level": 0})
    try:
        described = admin.describe_topics(TopicCollection(topics), request_timeout=reading.TIMEOUT)
        found = [future.result() for future in described.values()]
    except KafkaException as fault:
        message = f"the topics can't be looked at: {fault.args[0].str()}"
        raise Unavailable("kafka.unavailable", message, "concord topics apply, or start the broker") from None
    return [Partition(t.name, p.id, str(t.topic_id)) for t in found for p in t.partitions]


def _begin(
    last: Manifest | None, full: bool, partitions: list[Partition], kafka: str, now: datetime
) -> Begin:
    known = {Partition(s.topic, s.partition, s.topic_id): s.end for s in last.offsets} if last else {}
    limits = reading.ends(kafka, [p[:2] for p in partitions])
    why = _why_complete(last, full, known, {p: limits[p[:2]] for p in partitions}, now)
    if why or last is None:
        return Begin("complete", why, {p: limits[p[:2]][0] for p in partitions})
    return Begin("delta", f"since delivery {last.number}", {p: known[p] for p in partitions})


def _why_complete(
    last: Manifest | None,
    full: bool,
    known: Mapping[Partition, int],
    limits: Mapping[Partition, tuple[int, int]],
    now: datetime,
) -> str:
    """Why a delta would not do; empty when it does."""
    if last is None:
        return "the first of this folder"
    if full:
        return "asked for"
    if known.keys() != limits.keys():
        return "the topics are not those of the last export: made again, or with other partitions"
    if any(known[p] > end for p, (_, end) in limits.items()):
        return "the topics end before the last export did"
    if now - datetime.fromisoformat(last.created_at) > OLDEST:
        return f"the last export is older than {OLDEST.days} days: deletions may be gone from the topics"
    return ""


def started(spool: Spool, last: int, begin: Begin, now: datetime) -> tuple[Taken, Begin]:
    """Where the export before was killed if it began where this one would, else at the beginning."""
    progress = spool.progress()
    if progress is not None and _goes_on(progress, last, begin, now):
        begin = begin._replace(
            why=f"{begin.why}; an export that was stopped had read {progress.counts['read']:,}"
        )
    else:
        spool.clear()
        spans = [Span(*place, start, start) for place, start in sorted(begin.starts.items())]
        progress = Progress(last, begin.kind, now.isoformat(), spans, {})
    ends = {(span.topic, span.partition): span.end for span in progress.spans}
    return Taken(spool, progress, ends, Counter(progress.counts)), begin


def _goes_on(progress: Progress, last: int, begin: Begin, now: datetime) -> bool:
    starts = {Partition(s.topic, s.partition, s.topic_id): s.start for s in progress.spans}
    young = now - datetime.fromisoformat(progress.started_at) <= OLDEST
    return young and (progress.last, progress.kind, starts) == (last, begin.kind, dict(begin.starts))


def _read(kafka: str, decoder: Decoder, taken: Taken) -> None:
    for message in reading.read(kafka, dict(taken.ends)):
        taken.counts["read"] += 1
        taken.ends[reading.place_of(message)] = (message.offset() or 0) + 1
        _keep(decoder, message, taken)
        if taken.counts["read"] % SAVE_EVERY == 0:
            taken.save()
    taken.save()


def _keep(decoder: Decoder, message: Message, taken: Taken) -> None:
    match decoder.decode(message):
        case View() as view:
            taken.spool.keep(view)
            taken.counts["views"] += 1
        case Undecodable() as record:
            taken.spool.keep_unreadable(record)
            taken.counts["undecodable"] += 1
        case None:
            taken.counts["tombstones"] += 1


def _deliver(
    folder: Path,
    making: Path,
    system: str,
    form: Form,
    last: Manifest | None,
    begin: Begin,
    taken: Taken,
    receipts: Receipts,
) -> Manifest:
    new = making / DELIVERY
    new.mkdir(mode=0o750)
    found = [files.write(new, system, kind, form, taken.spool.of(kind)) for kind in KINDS[system]]
    made = _manifest(system, form, last, begin, taken, found)
    manifest.write(new / manifest.NAME, made)
    _receipt(system, taken, receipts)
    new.rename(folder / made.folder)  # from here on the folder has it
    manifest.sync(folder)
    manifest.write(folder / manifest.NAME, made)
    return made


def _manifest(
    system: str, form: Form, last: Manifest | None, begin: Begin, taken: Taken, found: list[manifest.File]
) -> Manifest:
    return Manifest(
        system=system,
        number=last.number + 1 if last else 1,
        kind=begin.kind,
        why=begin.why,
        previous=last.number if last and begin.kind == "delta" else None,
        form=form,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=found,
        offsets=[Span(*p, start, taken.ends[p[:2]]) for p, start in sorted(begin.starts.items())],
        read=taken.counts["read"],
        superseded=taken.counts["views"] - sum(file.records for file in found),
        tombstones=taken.counts["tombstones"],
        undecodable=taken.counts["undecodable"],
    )


def _receipt(system: str, taken: Taken, receipts: Receipts) -> None:
    receipts.write(unread(system, record) for record in taken.spool.unreadable())
    for kind in KINDS[system]:
        for views in _batches(taken.spool.of(kind)):
            receipts.write(confirmed(system, view, "exported") for view in views)


def _batches(views: Iterable[View]) -> Iterator[list[View]]:
    """As many as the producer takes without waiting."""
    batch: list[View] = []
    for view in views:
        batch.append(view)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    yield batch
