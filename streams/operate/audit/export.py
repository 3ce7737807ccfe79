"""The audit as a file that can be checked without the database: JSON Lines, and a manifest with the chain's head.

    the chain, oldest first --one row a line--> FILE       head, count, SHA-256 of the file --> FILE.manifest.json
    both --check--> whole, or the first row that is not

A line carries the row for people and the text that was hashed; they must say the same. A manifest kept elsewhere also
proves that nothing was taken off the end of the database's chain since: `concord audit verify --manifest`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import EnvironmentFault, InvalidInput
from streams.operate.audit.chain import Broken, Chain, Link, entry
from streams.operate.audit.ledger import connected, walked
from streams.settings import Settings

VERSION = 1
SUFFIX = ".manifest.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file holds. `head`: the hash of its last row."""

    version: int
    file: str
    sha256: str
    entries: int
    first: int
    last: int
    head: str | None
    exported_at: str


def take(settings: Settings, to: Path) -> Manifest:
    """Write the whole chain; a broken one is written up to its end, too, and its head is that of its last row."""
    part, chain, digest = to.with_name(to.name + ".part"), Chain(), hashlib.sha256()
    try:
        with connected(settings) as connection, part.open("wb") as out:
            for link in walked(connection):
                chain.take(link)
                text = line(link)
                digest.update(text)
                out.write(text)
            out.flush()
            os.fsync(out.fileno())
        made = _manifest(to, chain, digest.hexdigest())
        part.replace(to)
        manifest_of(to).write_bytes(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    except OSError as fault:
        said = f"{to} can't be written: {fault.strerror}"
        raise EnvironmentFault("audit.file", said, "name a folder that exists and has room") from fault
    return made


def line(link: Link) -> bytes:
    """A row, readable, and the text its hash is of."""
    said = {**entry(link), "text": link.text}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def check(file: Path) -> Chain:
    """A file against its manifest and its own chain, one line at a time."""
    known = read_manifest(manifest_of(file))
    digest = hashlib.sha256()
    with _opened(file) as lines:
        found = Chain().walk(_links(lines, digest))
    if found.broken is None and (why := _differs(known, found, digest.hexdigest())):
        found.broken = Broken(found.last, why)
    return found


def read_manifest(file: Path) -> Manifest:
    """Or InvalidInput."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except OSError as fault:
        raise InvalidInput(
            "audit.manifest", f"{file}: {fault.strerror}", "keep it beside its file"
        ) from fault
    except msgspec.MsgspecError as fault:
        raise InvalidInput("audit.manifest", f"{file} is no manifest: {fault}", "export it again") from fault


def manifest_of(file: Path) -> Path:
    """Where a file's manifest stands."""
    return file.with_name(file.name + SUFFIX)


def _manifest(to: Path, chain: Chain, digest: str) -> Manifest:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(VERSION, to.name, digest, chain.entries, chain.first, chain.last, chain.head, now)


def _differs(known: Manifest, found: Chain, digest: str) -> str:
    """Why a whole chain is not the one of the manifest."""
    if (found.entries, found.head) != (known.entries, known.head):
        return f"the manifest ends elsewhere: {known.entries:,} rows, the last {known.last}"
    return "" if digest == known.sha256 else "the manifest has another SHA-256 of the file"


def _links(lines: Iterator[bytes], digest: Any) -> Iterator[Link]:
    """A line that is not as `line` writes it stands as a link that can't be right."""
    last = 0
    for text in lines:
        digest.update(text)
        found = _link(text)
        last = found.audit_id if found else last + 1
        yield found or Link(last, "", "")


def _link(text: bytes) -> Link | None:
    try:
        said = json.loads(text)
        found = Link(said["audit_id"], said["text"], said["hash"])
        return found if line(found) == text else None
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None


def _opened(file: Path) -> Any:
    try:
        return file.open("rb")
    except OSError as fault:
        raise InvalidInput("audit.file", f"{file}: {fault.strerror}", "name the exported file") from fault
