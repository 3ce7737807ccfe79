"""Loading one published file of a source: read it whole or leave everything as it is.

    path --opened--> File --Source.read--> rows --Draft--> delta --questions--> keep

A file that is broken, or none of its source's, leaves the last good version in use and is remembered as the source's
failed attempt. The same file again changes nothing. Knows neither Kafka nor the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from connectors.reference.delta import Delta, Question, delta, questions
from connectors.reference.files import File, opened, sha256
from connectors.reference.ledger import Attempt, Ledger
from connectors.reference.refusal import Unusable
from connectors.reference.secret import Secret
from connectors.reference.source import MODES, Mode, Parcel, Row, Source, Version
from connectors.reference.store import Draft, Folder
from streams.errors import InvalidInput

Ask: TypeAlias = Callable[[Question], bool]
Progress: TypeAlias = Callable[[int, int], None]
"""(bytes read, bytes there are)"""

TOLD_EVERY = 2_000
"""Rows between two tellings of the progress."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be taken. `as_of`: the publisher's date, where the file's name doesn't tell it."""

    mode: Mode | None = None
    as_of: date | None = None
    most: float = 0.05
    """the share of rows that may go, or be deactivated, without a question"""


class Declined(InvalidInput):
    """A person must accept first what the load would do, and nobody did (exit code 2)."""

    def __init__(self, question: Question) -> None:
        super().__init__(
            question.code, question.text, "look at the file; --yes accepts it. What is in use stays"
        )
        self.suspect = question.suspect


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: read = kept + duplicates + everything left out. `counts`: dark, deactivated on a list, ..."""

    source: str
    version: Version
    already: bool
    read: int = 0
    kept: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    delta: Delta | None = None
    warnings: Sequence[str] = ()


def load(
    folder: Folder,
    source: Source,
    path: Path,
    options: Options,
    ask: Ask,
    now: datetime,
    progress: Progress = lambda done, size: None,
) -> Loaded:
    """Load a file; Unusable, Declined or InvalidInput say why it did not become a version."""
    with folder.locked(source.name), Ledger(folder) as ledger:
        versions = folder.versions(source.name)
        job = _Job(folder, source, path, options, ask, now, progress, sha256(path), versions)
        try:
            loaded = job.run()
        except (Unusable, Declined) as fault:
            if not isinstance(fault, Declined) or fault.suspect:
                ledger.failed(source.name, Attempt(now.isoformat(), path.name, fault.code, fault.message))
            raise
        ledger.succeeded(source.name)
        return loaded


@dataclass(frozen=True, slots=True)
class _Job:
    folder: Folder
    source: Source
    path: Path
    options: Options
    ask: Ask
    now: datetime
    progress: Progress
    digest: str
    versions: Sequence[Version]

    def run(self) -> Loaded:
        secret = self.folder.secret()
        with opened(self.path, self.source.member) as file:
            parcel = self.source.read(file, secret, self.options.mode)
            self._check_mode(parcel.mode, file.name)
            if self._is_known(parcel, secret):
                return Loaded(self.source.name, self.versions[0], already=True)
            draft = Draft(self.folder, self.source, over=parcel.mode != "full")
            try:
                return self._fill(draft, file, parcel, secret)
            finally:
                draft.discard()

    def _is_known(self, parcel: Parcel, secret: Secret) -> bool:
        """The newest version is of this very file, read in the same way."""
        known = self.versions[0] if self.versions else None
        told = self.options.as_of.isoformat() if self.options.as_of else parcel.as_of
        return (
            known is not None
            and (known.sha256, known.mode) == (self.digest, parcel.mode)
            and (known.parser, known.secret) == (self.source.parser, secret.fingerprint)
            and told in (None, known.as_of)
        )

    def _check_mode(self, mode: Mode, name: str) -> None:
        if mode not in self.source.modes:
            message = f"{self.source.name} has no {mode} files"
            raise InvalidInput("reference.mode", message, f"use one of: {', '.join(self.source.modes)}")
        if mode != "full" and not self.versions:
            message = f"{name} goes over a full file of {self.source.name}, and none is loaded"
            raise InvalidInput("reference.no_base", message, "load the full file first")

    def _fill(self, draft: Draft, file: File, parcel: Parcel, secret: Secret) -> Loaded:
        draft.add(self._told(parcel.rows, file))
        if parcel.read == parcel.left_out.total():
            raise Unusable("no_rows", f"{file.name}: none of its {parcel.read:,} rows can be used")
        version = self._version(file, parcel, secret)
        parcel.counts += draft.settle(version, self.source.merge.get(parcel.mode))
        found = delta(draft.db)
        for question in (*self._older(version), *questions(found, self.options.most)):
            self._accept(question)
        version = replace(version, entries=found.after)
        draft.keep(version)
        return self._loaded(version, parcel, found)

    def _loaded(self, version: Version, parcel: Parcel, found: Delta) -> Loaded:
        return Loaded(
            source=self.source.name,
            version=version,
            already=False,
            read=parcel.read,
            kept=parcel.read - parcel.left_out.total() - parcel.counts["duplicates"],
            left_out=dict(parcel.left_out),
            counts=dict(parcel.counts),
            delta=found,
            warnings=parcel.warnings,
        )

    def _told(self, rows: Iterable[Row], file: File) -> Iterator[Row]:
        for number, row in enumerate(rows):
            if number % TOLD_EVERY == 0:
                self.progress(file.position(), file.size)
            yield row
        self.progress(file.size, file.size)

    def _accept(self, question: Question) -> None:
        if not self.ask(question):
            raise Declined(question)

    # ---- the version ----

    def _version(self, file: File, parcel: Parcel, secret: Secret) -> Version:
        last = self.versions[0].load if self.versions else 0
        return Version(
            # Seconds, so that it rises even where the folder was lost and began anew: claims compare by it.
            load=max(last + 1, int(self.now.timestamp())),
            mode=parcel.mode,
            file=" / ".join(file.names),
            sha256=self.digest,
            as_of=self._as_of(parcel),
            loaded_at=self.now.isoformat(),
            entries=0,
            header=parcel.header_hash,
            parser=self.source.parser,
            secret=secret.fingerprint,
        )

    def _as_of(self, parcel: Parcel) -> str:
        """The publisher's date as it was given, as the name has it, or the earliest it can be."""
        told = self.options.as_of.isoformat() if self.options.as_of else parcel.as_of
        if told is None:
            told = self._guessed(parcel)
            parcel.warnings.append(f"the file doesn't tell its date: taken as of {told}; say it with --as-of")
        if told > (self.now.date() + timedelta(days=1)).isoformat():
            message = f"{self.path.name} is of {told}, which is to come"
            raise InvalidInput("reference.as_of_future", message, "say the publisher's date with --as-of")
        return told

    def _guessed(self, parcel: Parcel) -> str:
        """Never newer than the data prove: a file that only looks fresh would let an exclusion pass."""
        written = datetime.fromtimestamp(self.path.stat().st_mtime, UTC).date()
        latest = min(written, self.now.date()).isoformat()
        return min(latest, parcel.newest) if parcel.newest else latest

    def _older(self, version: Version) -> Iterator[Question]:
        """A list of who left only follows its like; everything else would put older rows over newer ones."""
        alike = (version.mode,) if version.mode in ("deactivated", "reinstated") else MODES
        newest = max((v.as_of for v in self.versions if v.mode in alike), default="")
        if version.as_of < newest:
            text = (
                f"the file is of {version.as_of}, and one of {newest} is loaded: rows would go back in time"
            )
            yield Question("reference.older", text, suspect=False)
