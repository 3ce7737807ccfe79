"""Is `authority.toml` whole: every canonical field in exactly one row, every name known, its head in order.

    AuthorityFile, its entries, the catalogue --> problems, each with its line

Pure: the date of today is an argument. Contradictions within a row: schemas/authority_check.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from schemas.authority_file import AuthorityFile, Entry
from schemas.catalog import Catalog
from schemas.place import Places
from schemas.problem import Problem, nearest

WHY: Mapping[str, str] = {
    "approver_is_owner": "a rule is never approved by who wrote it",
    "review_dates": "a review is due after the last one",
    "review_overdue": "rules nobody looks at grow wrong unnoticed",
    "record_unknown": "canonical.toml has no such record, so the row would never take effect",
    "record_missing": "its fields would have no owner",
    "field_unknown": "canonical.toml has no such field, so the row would never take effect",
    "field_twice": "of two rows nobody could say which one counts",
    "field_missing": "a field without an owner would never get a value",
}
"""Code (after `authority.`) -> why it is a problem."""


def head(parsed: AuthorityFile, places: Places, file: str) -> Iterator[Problem]:
    """The owner writes, someone else approves, and the next review lies ahead."""
    if parsed.approver == parsed.owner:
        what = f"owner and approver are both {parsed.owner}"
        yield _problem("approver_is_owner", f"{file}:{places.of(('approver',))}", what, "name another role")
    if parsed.review_due <= parsed.reviewed_on:
        what = f"reviewed on {parsed.reviewed_on}, due on {parsed.review_due}"
        yield _problem(
            "review_dates", f"{file}:{places.of(('review_due',))}", what, "write a later review_due"
        )


def overdue(due: date, line: int, file: str, today: date) -> Iterator[Problem]:
    """A warning: the file is used as it is, and somebody must look at it."""
    if due < today:
        what = f"the review was due on {due}"
        fix = "review it, then set reviewed_on and review_due"
        yield Problem("authority.review_overdue", f"{file}:{line}", what, WHY["review_overdue"], fix, True)


def records(parsed: AuthorityFile, catalog: Catalog, places: Places, file: str) -> Iterator[Problem]:
    """A table for every canonical record, and for nothing else."""
    for record in parsed.record:
        if record not in catalog.records:
            where = f"{file}:{places.of(('record', record))}"
            yield _problem(
                "record_unknown", where, f"unknown record '{record}'", nearest(record, catalog.records)
            )
    for record in catalog.records:
        if record not in parsed.record:
            fix = f"write [record.{record}] with owner, rule, source and fields"
            yield _problem("record_missing", f"{file}:1", f"record '{record}' has no table", fix)


def fields(found: Sequence[Entry], catalog: Catalog, places: Places, file: str) -> Iterator[Problem]:
    """Every field of every record in one list, once."""
    by_record: dict[str, list[Entry]] = defaultdict(list)
    for entry in found:
        by_record[entry.record].append(entry)
    for record, rows in by_record.items():
        if known := catalog.records.get(record):
            yield from _fields(record, rows, list(known.fields), places, file)


def _fields(
    record: str, rows: Sequence[Entry], known: Sequence[str], places: Places, file: str
) -> Iterator[Problem]:
    said: dict[str, list[int]] = defaultdict(list)
    for entry in rows:
        for field in dict.fromkeys(entry.fields):
            said[field] += places.words((*entry.path, "fields"), field)
    missing = [field for field in known if field not in said]
    for field, lines in said.items():
        if field not in known:
            what, fix = f"record '{record}' has no field '{field}'", nearest(field, missing or known)
            yield _problem("field_unknown", f"{file}:{lines[0]}", what, fix)
        elif len(lines) > 1:
            what = f"{record}.{field} is said twice: on line {lines[0]} and on line {lines[1]}"
            yield _problem("field_twice", f"{file}:{lines[1]}", what, "leave it in one list")
    for field in missing:
        where = f"{file}:{places.of(('record', record))}"
        fix = f"write '{field}' into fields of [record.{record}], or into a row of it"
        yield _problem("field_missing", where, f"{record}.{field} has no owner", fix)


def _problem(code: str, where: str, what: str, fix: str) -> Problem:
    return Problem(f"authority.{code}", where, what, WHY[code], fix)
