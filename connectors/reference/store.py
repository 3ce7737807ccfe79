"""Where a source's rows are kept: one SQLite file each, replaced whole. Readers never see half a load.

    rows --Draft.add--> table incoming --settle--> table entry --keep--> <source>.sqlite      (rename: atomic)

A draft is a file beside the one in use: empty for a full load, a copy for rows that are put over what is known. It
becomes the source's file by one rename, or is thrown away; a kill in between leaves the old file and a draft that the
next load removes. A file in use is never written to, so that readers need no lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path

import msgspec

from connectors.reference.secret import Secret
from connectors.reference.secret import load as load_secret
from connectors.reference.source import Merge, Row, Source, Version
from streams.errors import EnvironmentFault, Unavailable

CACHE_KILOBYTES = 65_536
COLUMNS = "(key text not null, npi text, name text, subject text, hash blob not null, body text not null)"
VERSION = ", ".join(field.name for field in fields(Version))
SCHEMA = f"""
create table entry {COLUMNS};
create table gone (key text primary key, npi text not null) without rowid;
create table listed (npi text primary key, since text not null) without rowid;
create table version ({VERSION}, primary key (load));
"""
"""gone: rows about an NPI that there were once · listed: NPPES's last list of deactivated NPIs"""
INDEXES = """
create index entry_npi on entry (npi) where npi is not null;
create index entry_name on entry (name) where name is not null;
create index entry_subject on entry (subject) where subject is not null;
"""
DUPLICATES = "select max(rowid), key from incoming group by key having count(*) > 1"

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(dict).decode


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of all sources' files; only its owner may read it (DEA numbers, addresses)."""

    path: Path

    def file(self, source: str) -> Path:
        return self.path / f"{source}.sqlite"

    @property
    def holders(self) -> Path:
        return self.path / "holders.sqlite"

    def secret(self) -> Secret:
        self.make()
        return load_secret(self.path / "screening.key")

    def make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as fault:
            message = f"{self.path}: {fault.strerror or fault}"
            raise EnvironmentFault(
                "reference.folder", message, "set CONCORD_REFERENCE_DIR to a folder of yours"
            ) from fault

    @contextmanager
    def locked(self, source: str) -> Iterator[None]:
        """One load of a source at a time."""
        self.make()
        with (self.path / f"{source}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"{source} is being loaded by another process"
                raise Unavailable("reference.busy", message, "wait for its end, then repeat") from None
            yield

    def versions(self, source: str) -> list[Version]:
        """Every load, the newest first."""
        if not self.file(source).exists():
            return []
        with closing(reading(self.file(source))) as db:
            return versions_of(db)


def reading(path: Path) -> sqlite3.Connection:
    """A file in use never changes, so it is read without locks."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)


def versions_of(db: sqlite3.Connection) -> list[Version]:
    return [Version(*row) for row in db.execute(f"select {VERSION} from version order by load desc")]  # noqa: S608


class Draft:
    """A source's next file. `db` has the file in use attached as `before`, or as empty tables where there is none."""

    def __init__(self, folder: Folder, source: Source, *, over: bool) -> None:
        self._final = folder.file(source.name)
        self.path = self._final.with_suffix(".sqlite.next")
        self.path.unlink(missing_ok=True)
        _private(self.path)
        if over:
            shutil.copyfile(self._final, self.path)
        self._over = over
        self.source = source
        self.db = sqlite3.connect(self.path, isolation_level=None, uri=True)
        self._prepare()

    def _prepare(self) -> None:
        # A draft that breaks is thrown away: it needs neither a journal nor flushes until it is kept.
        for pragma in ("journal_mode = off", "synchronous = off", f"cache_size = -{CACHE_KILOBYTES}"):
            self.db.execute(f"pragma {pragma}")
        self.db.create_function("digest", 1, digest, deterministic=True)
        exists = self._final.exists()
        uri = f"{self._final.absolute().as_uri()}?immutable=1" if exists else ":memory:"
        self.db.execute("attach ? as before", [uri])
        if not exists:
            self.db.execute(f"create table before.entry {COLUMNS}")
        if not self._over:
            self.db.executescript(SCHEMA)
            if exists:
                self._carry()
        self.db.execute(f"create table incoming {COLUMNS}")
        self.db.execute("begin")

    def _carry(self) -> None:
        for table in ("gone", "listed", "version"):
            self.db.execute(f"insert into {table} select * from before.{table}")  # noqa: S608

    def add(self, rows: Iterable[Row]) -> None:
        """Take the rows in as they come."""
        self.db.executemany("insert into incoming values (?, ?, ?, ?, ?, ?)", map(_stored, rows))

    def settle(self, version: Version, merge: Merge | None) -> Counter[str]:
        """From what came to what is known now; rows that came twice count once, the last one."""
        counts = Counter(duplicates=self._single())
        counts += merge(self.db, version) if merge else Counter()
        if self._over:
            self.db.execute("delete from entry where key in (select key from incoming)")
            self.db.execute("insert into entry select * from incoming")
            self.db.execute("drop table incoming")
        else:
            self.db.execute("drop table entry")
            self.db.execute("alter table incoming rename to entry")
            for index in filter(str.strip, INDEXES.split(";")):
                self.db.execute(index)
        return counts

    def _single(self) -> int:
        name = (
            "incoming_key" if self._over else "entry_key"
        )  # an index stays with its table when that is renamed
        self.db.execute(f"create index {name} on incoming (key, hash)")
        twice = self.db.execute(DUPLICATES).fetchall()
        deleted = [
            self.db.execute("delete from incoming where key = ? and rowid < ?", [key, last]).rowcount
            for last, key in twice
        ]
        return sum(deleted)

    def count(self) -> int:
        (found,) = self.db.execute("select count(*) from entry").fetchone()
        return int(found)

    def keep(self, version: Version) -> None:
        """Make it the file in use."""
        self._note_gone()
        marks = ", ".join("?" * len(fields(Version)))
        self.db.execute(f"insert into version values ({marks})", list(asdict(version).values()))  # noqa: S608
        self.db.execute("commit")
        self.db.close()
        _flush(self.path)
        self.path.replace(self._final)
        _flush(self._final.parent)

    def _note_gone(self) -> None:
        """Rows about an NPI that are no more: their claims must end, also for whoever holds the NPI later."""
        if self.source.by is None:
            return
        about = "key" if self.source.by == "key" else "npi"
        self.db.execute(
            f"""insert or replace into gone select key, {about} from before.entry b
                where {about} is not null and not exists (select 1 from entry where key = b.key)"""  # noqa: S608
        )
        self.db.execute("delete from gone where exists (select 1 from entry where key = gone.key)")

    def discard(self) -> None:
        """As if nothing had been loaded. After `keep` there is nothing to discard."""
        with suppress(sqlite3.Error):
            self.db.close()
        self.path.unlink(missing_ok=True)


def _stored(row: Row) -> tuple[str, str | None, str | None, str | None, bytes, str]:
    """A field that says nothing takes no place."""
    body = encode({name: value for name, value in row.values.items() if value is not None}).decode()
    return row.key, row.npi, row.name, row.subject, digest(body), body


def digest(body: str) -> bytes:
    """Tells whether a row says something else than before."""
    return blake2b(body.encode(), digest_size=8).digest()


def _private(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
