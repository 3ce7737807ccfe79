"""A published file as rows: plain, or the one that matters within a zip; text, or the list that comes as a workbook.

    path --opened--> File(lines | rows, position for the progress) --> a source's `read`

Streams: memory doesn't grow with the file. Bytes that are not UTF-8 are read as Windows-1252, which publishers mix
in. A zip that ends too soon is refused wherever in it that shows.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from connectors.reference import delimited, workbook
from connectors.reference.refusal import unusable
from streams.errors import InvalidInput

ENCODING = "utf-8-sig"
MIXED = "concord-windows-1252"
DATA = (".csv", ".txt", ".dat", ".xlsx")
ZIP = b"PK\x03\x04"
LARGEST_WORKBOOK = 256 * 1024 * 1024
"""A workbook within a zip is read whole, since its own parts stand at its end."""


@dataclass(frozen=True, slots=True)
class File:
    """What a source reads. `names`: the path's name, then the zip's member; dates and kinds are told by them."""

    names: tuple[str, ...]
    lines: Iterable[str]
    workbook: delimited.Rows | None
    size: int
    position: Callable[[], int]

    @property
    def name(self) -> str:
        return self.names[-1]

    def rows(self) -> delimited.Rows:
        """Fields of each row that is not blank."""
        return self.workbook or delimited.rows_of(self.lines, self.name, unusable)

    def named(self, pattern: str) -> re.Match[str] | None:
        """Where a name matches, the member's before the zip's."""
        found = (re.search(pattern, name, re.IGNORECASE) for name in reversed(self.names))
        return next((match for match in found if match), None)


def sha256(path: Path) -> str:
    """Of the file as it was published; InvalidInput when it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        message = f"{path.name}: {fault.strerror or fault}"
        raise InvalidInput("reference.unreadable", message, "check the path and its permissions") from fault


@contextmanager
def opened(path: Path, member: str) -> Iterator[File]:
    """The file; of a zip's members the data file whose name matches `member`, or the only one there is."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if file.read(4) != ZIP:
            file.seek(0)
            yield _text(stack, (path.name,), file, path.stat().st_size)
            return
        file.seek(0)
        archive = stack.enter_context(_archive(file, path.name))
        if workbook.is_one(archive):
            yield _workbook(stack, (path.name,), archive)
            return
        yield _member(stack, archive, path.name, member)


def _archive(file: IO[bytes], name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as fault:
        raise unusable("bad_zip", f"{name}: {fault}; is the zip cut off?") from fault


def _member(stack: ExitStack, archive: zipfile.ZipFile, name: str, member: str) -> File:
    info = _chosen(archive, name, member)
    names = (name, Path(info.filename).name)
    try:
        inner = stack.enter_context(archive.open(info))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as fault:
        raise unusable("bad_zip", f"{name}: {names[-1]} can't be unpacked: {fault}") from fault
    if not info.filename.lower().endswith(".xlsx"):
        return _text(stack, names, inner, info.file_size)
    if info.file_size > LARGEST_WORKBOOK:
        raise unusable("too_large", f"{name}: {names[-1]} has {info.file_size:,} bytes")
    whole = io.BytesIO(b"".join(_readable(iter(lambda: inner.read(1 << 20), b""), names[-1])))
    return _workbook(stack, names, stack.enter_context(_archive(whole, names[-1])))


def _chosen(archive: zipfile.ZipFile, name: str, member: str) -> zipfile.ZipInfo:
    data = [info for info in archive.infolist() if _is_data(info.filename)]
    matching = [info for info in data if re.search(member, Path(info.filename).name, re.IGNORECASE)]
    for found in (matching, data):
        if len(found) == 1:
            return found[0]
    listed = ", ".join(sorted(Path(info.filename).name for info in matching or data)[:5])
    raise unusable("several_files", f"{name} holds {listed or 'no data file'}")


def _is_data(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(DATA) and "fileheader" not in lower and not lower.startswith("__macosx")


def _text(stack: ExitStack, names: tuple[str, ...], file: IO[bytes], size: int) -> File:
    lines = stack.enter_context(io.TextIOWrapper(file, ENCODING, errors=MIXED, newline=""))
    return File(names, _readable(lines, names[-1]), None, size, file.tell)


def _workbook(stack: ExitStack, names: tuple[str, ...], archive: zipfile.ZipFile) -> File:
    sheet = workbook.first_sheet(archive, names[-1])
    file = stack.enter_context(sheet.file)
    return File(names, (), _readable(sheet.rows(), names[-1]), sheet.size, file.tell)


T = TypeVar("T")


def _readable(parts: Iterable[T], name: str) -> Iterator[T]:
    try:
        yield from parts
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as fault:
        raise unusable("bad_zip", f"{name}: it can't be read to its end: {fault}") from fault


def _windows_1252(fault: UnicodeError) -> tuple[str, int]:
    assert isinstance(fault, UnicodeDecodeError)
    return fault.object[fault.start : fault.end].decode("cp1252", "replace"), fault.end


codecs.register_error(MIXED, _windows_1252)
