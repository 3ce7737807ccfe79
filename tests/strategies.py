"""The one home of Hypothesis strategies: rows of each credentialing table, changes in commit order, transactions.

Values lean to what breaks things: nulls, empty texts, bad check digits, inverted dates, odd JSON documents. Row and
entity ids are few, so that changes of one row, and rows of one entity, meet often. All names are invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from connectors.envelope import TEXT_ARRAYS, UNAVAILABLE, Change, Source
from schemas.catalog import Table, load_catalog, load_mapping
from schemas.tables import decoders
from streams.core import change as core_change
from streams.core.advance import REFERENCE_KINDS

# Deadlines would be timed assertions; a busy machine is no failure.
settings.register_profile(
    "concord", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("concord")

MAPPING = load_mapping("credentialing")
CATALOG = load_catalog()
DECODER = decoders(["credentialing"])["credentialing"]
STATE_TABLES = tuple(
    name for name, table in MAPPING.tables.items() if table.mode == "state" and table.kind != "any"
)
PROVIDER_TABLES = tuple(name for name in STATE_TABLES if MAPPING.tables[name].kind == "provider")
GOOD_NPIS = ("1234567893", "1245319599", "1407071236")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
dates = st.dates().map(lambda day: day.isoformat())
near_dates = st.sampled_from(
    ["2019-01-01", "2024-02-29", "2026-06-01", "2026-06-02", "2030-01-01", "9999-12-31"]
)
npis = st.sampled_from([*GOOD_NPIS, "1234567890", "123", ""]) | texts
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
languages = st.lists(
    st.sampled_from([{"code": "en"}, {"code": "es", "proficiency": "50"}, {"proficiency": "1"}, "fr", None]),
    max_size=3,
)
hours = st.lists(
    st.fixed_dictionaries(
        {"day": st.sampled_from(["mon", "tue", "", None, 3])},
        optional={"open": documents, "close": st.just("17:00"), "all_day": documents},
    ),
    max_size=3,
)

SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "npi": npis,
    "location_npi": npis,
    "languages": languages | documents,
    "hours": hours | documents,
    "accessibility": st.lists(st.sampled_from(["adacomp", "pubtrans", "", None]), max_size=3),
    "provider_status": st.sampled_from(["active", "active", "active", "terminated", "suspended", ""]),
    "par_status": st.sampled_from(["par", "par", "nonpar"]),
    "status": st.sampled_from(["active", "probation", "expired"]),
    "state": st.sampled_from(["IL", "WI", "ZZ", ""]),
    "postal_code": st.sampled_from(["62701", "627011234", "62701-1234", "6270"]),
    "phone": st.sampled_from(["+12175550142", "(217) 555-0142", "555", ""]),
    "fax": st.sampled_from(["2175550142", "1"]),
    "number": st.sampled_from(["AP5836727", "BB1388568", "AP5836728", "x"]) | texts,
    "nucc_code": st.sampled_from(["207Q00000X", "363L00000X", "bad"]),
    "license_id": st.sampled_from(["license-0", "license-1"]),
    "location_id": st.sampled_from(["location-0", "location-1", "location-9"]),
    "organization_id": st.sampled_from(["organization-0", "organization-1", "organization-9"]),
    "middle_name": texts,
}  # fmt: skip
"""Canonical fields whose values matter to checks and views; the rest is drawn by type."""

BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": near_dates | dates,
    "timestamp": st.just("2026-01-02T03:04:05.678901Z"),
    "decimal": st.sampled_from(["1.50", "-0", "NAN", "1000000"]),
    "json": documents,
    "text_list": st.lists(texts | st.none(), max_size=3),
    "uuid": st.sampled_from(["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]),
}


GOOD: dict[str, Any] = {
    "npi": GOOD_NPIS[0],
    "last_name": "Example",
    "legal_name": "Example Group",
    "name": "Example Clinic",
    "provider_status": "active",
    "par_status": "par",
    "status": "active",
    "state": "IL",
    "postal_code": "62701",
    "phone": "+12175550142",
    "nucc_code": "207Q00000X",
    "is_primary": True,
    "bills_under": True,
    "location_id": "location-0",
    "organization_id": "organization-0",
    "effective_from": "2020-01-01",
    "payer": "Fernhollow Health Plan",
}
"""A row that says something; what is drawn stands over it."""


def column_type(table: Table, column: str) -> str:
    """The canonical type of a mapped column."""
    known = CATALOG.field(*table.target(column))
    assert known is not None
    return known.type


def values(table: Table, column: str) -> st.SearchStrategy[Any]:
    """Values of a column that pass decode, null and unchanged TOAST among them."""
    kind, field = column_type(table, column), table.target(column)[1]
    if ("credentialing", table.name, column) in TEXT_ARRAYS:
        kind = "text_list"
    special = SPECIAL.get(field) if kind in ("text", "uuid", "json") else None
    drawn = st.none() | (BY_TYPE[kind] if special is None else special)
    return drawn | st.just(UNAVAILABLE) if kind in ("text", "json", "text_list") else drawn


def ids(table: Table) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """(entity ids, row ids) of a table: few, so that they meet."""
    entities = st.sampled_from([f"{table.kind}-0", f"{table.kind}-1"])
    return entities, st.sampled_from([f"{table.record}-{n}" for n in range(3)])


@st.composite
def rows(
    draw: st.DrawFn, names: Sequence[str] = STATE_TABLES, entity: str | None = None
) -> tuple[str, dict[str, Any]]:
    """(table, row): a good row with a few columns drawn anew; any such row passes decode."""
    name = draw(st.sampled_from(list(names)))
    table = MAPPING.tables[name]
    row = {column: GOOD.get(table.target(column)[1]) for column in table.columns}
    free = [column for column in table.columns if column not in table.key]
    for column in draw(st.lists(st.sampled_from(free), max_size=5, unique=True)):
        row[column] = draw(values(table, column))
    entities, row_ids = ids(table)
    row[table.entity] = entity or draw(entities)
    if table.row != table.entity:
        row[table.row] = draw(row_ids)
    return name, row


@st.composite
def changes(draw: st.DrawFn, names: Sequence[str] = STATE_TABLES, entity: str | None = None) -> Change:
    """One row change; every sixth a delete."""
    name, row = draw(rows(names, entity))
    return Change(name, row, draw(st.sampled_from(["u", "u", "u", "u", "c", "d"])))


def transactions(
    names: Sequence[str] = STATE_TABLES, entity: str | None = None, most: int = 6
) -> st.SearchStrategy[list[list[Change]]]:
    """Transactions in commit order."""
    return st.lists(st.lists(changes(names, entity), min_size=1, max_size=4), min_size=1, max_size=most)


def decoded(history: Sequence[Sequence[Change]], source: Source | None = None) -> list[core_change.Change]:
    """The changes as the decoder gives them, with the positions their transactions had."""
    source = source or Source("credentialing")
    said = [DECODER.decode(*message) for tx in history for message in source.transaction(tx)]
    assert all(isinstance(item, core_change.Change) for item in said), said
    return [item for item in said if isinstance(item, core_change.Change)]


def one_entity(kind: str = "provider", most: int = 6) -> st.SearchStrategy[list[core_change.Change]]:
    """The changes of one entity, in commit order."""
    names = [name for name in STATE_TABLES if MAPPING.tables[name].kind == kind]
    return transactions(names, f"{kind}-0", most).map(decoded)


kinds = st.sampled_from(["provider", *sorted(REFERENCE_KINDS & {t.kind for t in MAPPING.tables.values()})])
any_entity = kinds.flatmap(one_entity)
"""The changes of one entity of any kind."""


@st.composite
def reordered(draw: st.DrawFn, items: Sequence[core_change.Change]) -> list[core_change.Change]:
    """The same changes with rows interleaved anew: each row keeps its own order, as one partition's log does."""
    lanes: dict[tuple[str, str], list[core_change.Change]] = {}
    for item in items:
        lanes.setdefault((item.record, item.row_id), []).append(item)
    order = draw(st.permutations([lane for lane, held in lanes.items() for _ in held]))
    queues = {lane: iter(held) for lane, held in lanes.items()}
    return [next(queues[lane]) for lane in order]


@st.composite
def replayed(draw: st.DrawFn, items: Sequence[core_change.Change]) -> list[core_change.Change]:
    """The same changes with stretches sent again, as after a restart: from an earlier point on, in order."""
    sent: list[core_change.Change] = []
    for number, item in enumerate(items, 1):
        sent.append(item)
        if draw(st.integers(0, 3)) == 0:
            sent += items[draw(st.integers(0, number - 1)) : number]
    return sent
