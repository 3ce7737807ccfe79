"""What a delivery holds and from where to where it reaches: manifest.json, in it and, for the newest, beside it.

A delivery is one folder that appears whole, by one rename. Whoever reads it checks the manifest first (`concord
export --verify`). Written by take; never holds a value of a view.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from streams.errors import InvalidInput

NAME = "manifest.json"
VERSION = 1
CHUNK = 1024 * 1024

Kind = Literal["complete", "delta"]
Form = Literal["jsonl", "csv"]


class File(msgspec.Struct, frozen=True):
    """One file of a delivery: the newest view of each entity of one kind, by id."""

    name: str
    kind: str
    records: int
    withdrawn: int
    bytes: int
    sha256: str
    lowest_revision: int | None
    highest_revision: int | None


class Span(msgspec.Struct, frozen=True):
    """What was read of one partition: records at `start` <= offset < `end`."""

    topic: str
    partition: int
    topic_id: str
    start: int
    end: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery. `previous`: what must be applied before a delta; none before a complete one."""

    version: int = VERSION
    system: str
    number: int
    kind: Kind
    why: str
    previous: int | None
    form: Form
    created_at: str
    files: list[File]
    offsets: list[Span]
    read: int
    superseded: int
    tombstones: int
    undecodable: int

    @property
    def folder(self) -> str:
        return f"{self.system}-{self.number:06}-{self.kind}"


def read(path: Path) -> Manifest:
    """A manifest, or InvalidInput that says what is wrong with it."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        step = "restore it from its newest delivery, or export --full into another folder"
        raise InvalidInput("export.manifest", f"{path}: {reason}", step) from None
    if found.version != VERSION:
        step = "use the version of Concord that wrote it, or export --full into another folder"
        raise InvalidInput("export.manifest", f"{path}: version {found.version} is unknown", step)
    return found


def write(path: Path, manifest: Manifest) -> None:
    """Whole or not at all: a reader sees the old one or the new one."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def newest(folder: Path) -> Manifest | None:
    """Where the folder's last delivery ended. A crash may have come between the delivery and the copy beside it."""
    found = [read(path) for path in (folder / NAME, *(d / NAME for d in deliveries(folder))) if path.exists()]
    return max(found, key=lambda manifest: manifest.number, default=None)


def deliveries(folder: Path) -> list[Path]:
    """The deliveries that are here, oldest first; the system may have taken older ones away."""
    return sorted(path.parent for path in folder.glob(f"[!.]*/{NAME}"))


def verify(folder: Path) -> list[str]:
    """What is wrong with the deliveries of a folder, or with one delivery; nothing when all is whole."""
    if not (folder / NAME).exists():
        step = "name the folder given to --to, or one delivery in it"
        raise InvalidInput("export.manifest", f"{folder} has no {NAME}", step)
    here = deliveries(folder)
    found = [problem for delivery in here or [folder] for problem in _of_one(delivery, bool(here))]
    return [*found, *_chain([read(delivery / NAME) for delivery in here])]


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            found.update(block)
    return found.hexdigest()


def sync(folder: Path) -> None:
    """A rename is kept only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_one(delivery: Path, in_folder: bool) -> Iterator[str]:
    manifest = read(delivery / NAME)
    if not in_folder and delivery.name != manifest.folder:
        return  # the copy beside deliveries that were all taken away
    listed = {file.name: file for file in manifest.files}
    for name, file in listed.items():
        yield from _of_file(delivery, name, file)
    for path in sorted(delivery.iterdir()):
        if path.name not in listed and path.name != NAME:
            yield f"{delivery.name}/{path.name}: the manifest doesn't list it"


def _of_file(delivery: Path, name: str, file: File) -> Iterator[str]:
    path = delivery / name
    if not path.is_file():
        yield f"{delivery.name}/{name}: missing"
    elif path.stat().st_size != file.bytes:
        yield f"{delivery.name}/{name}: {path.stat().st_size:,} bytes, not {file.bytes:,}"
    elif digest(path) != file.sha256:
        yield f"{delivery.name}/{name}: its content is not what was written (sha256)"


def _chain(manifests: list[Manifest]) -> Iterator[str]:
    """Of the deliveries that are here, each delta must begin where the one before it ended."""
    ordered = sorted(manifests, key=lambda manifest: manifest.number)
    for before, after in pairwise(ordered):
        if after.kind == "delta" and after.previous == before.number and _ends(before) != _starts(after):
            yield f"{after.folder}: doesn't begin where {before.folder} ended"
        if after.kind == "delta" and after.previous != before.number:
            yield f"{after.folder}: delivery {after.previous} is missing before it"


def _ends(manifest: Manifest) -> dict[tuple[str, int], int]:
    return {(span.topic, span.partition): span.end for span in manifest.offsets}


def _starts(manifest: Manifest) -> dict[tuple[str, int], int]:
    return {(span.topic, span.partition): span.start for span in manifest.offsets}
