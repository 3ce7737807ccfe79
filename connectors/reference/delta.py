"""What a load changes against the version in use: counted before anybody sees it.

    Draft --delta--> Delta --questions--> what a person must accept first

Two merges over the indexes of both files; the bodies of changed rows only are read. A load that would drop much, or
deactivate much, is more likely a broken file than the truth: it stops and asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from sqlite3 import Connection

from connectors.reference.nppes import ACTIVE, DEACTIVATED
from connectors.reference.source import Values
from connectors.reference.store import decode

ADDED = "select count(*) from entry e where not exists (select 1 from before.entry where key = e.key)"
REMOVED = "select count(*) from before.entry b where not exists (select 1 from entry where key = b.key)"
CHANGED = """
    with pair as materialized (
        select e.rowid as new, b.rowid as old
        from before.entry b join entry e on e.key = b.key and e.hash <> b.hash)
    select old.body, new.body from pair
    join before.entry old on old.rowid = pair.old join entry new on new.rowid = pair.new
"""


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows before and after. `fields`: how many changed rows differ in each field."""

    before: int
    after: int
    added: int
    removed: int
    changed: int
    fields: Mapping[str, int]
    deactivated: int = 0
    reactivated: int = 0
    retired: int = 0

    @property
    def lost(self) -> int:
        return self.removed + self.retired


@dataclass(frozen=True, slots=True)
class Question:
    """What a person must accept before the load goes on; `suspect`: the file may be broken."""

    code: str
    text: str
    suspect: bool = True


def delta(db: Connection) -> Delta:
    """Between `before` and what the draft holds."""
    counts: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    for old, new in _pairs(db):
        counts["changed"] += 1
        fields.update(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        counts[f"{old.get('status')} {new.get('status')}"] += 1
        counts["retired"] += "retired_on" in new and "retired_on" not in old
    return Delta(
        before=_one(db, "select count(*) from before.entry"),
        after=_one(db, "select count(*) from entry"),
        added=_one(db, ADDED),
        removed=_one(db, REMOVED),
        changed=counts["changed"],
        fields=dict(fields.most_common()),
        deactivated=counts[f"{ACTIVE} {DEACTIVATED}"],
        reactivated=counts[f"{DEACTIVATED} {ACTIVE}"],
        retired=counts["retired"],
    )


def _pairs(db: Connection) -> Iterator[tuple[Values, Values]]:
    for old, new in db.execute(CHANGED):
        yield decode(old), decode(new)


def _one(db: Connection, query: str) -> int:
    (found,) = db.execute(query).fetchone()
    return int(found)


def questions(found: Delta, most: float) -> Iterator[Question]:
    """More than this share of the rows gone, or deactivated at once."""
    if found.lost > most * found.before:
        text = f"{found.lost:,} of {found.before:,} rows would go ({_share(found.lost, found)}"
        yield Question(
            "reference.would_drop", f"{text}, the limit is {most:.0%}); {found.after:,} would stay"
        )
    if found.deactivated > most * found.before:
        text = f"{found.deactivated:,} of {found.before:,} NPIs would become deactivated"
        share = _share(found.deactivated, found)
        yield Question("reference.would_deactivate", f"{text} ({share}, the limit is {most:.0%})")


def _share(part: int, found: Delta) -> str:
    return f"{part / found.before:.1%}"
