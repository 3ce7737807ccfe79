"""An explanation narrowed to one field: what `concord explain KEY --field PATH` shows.

Beside `explain`, after it. PATH is a canonical field (`license.expires`, `npi`) or the path of a value in a view
(`listings[].city`). Pure; a path that names nothing is refused with the nearest names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from schemas.catalog import load_catalog
from schemas.problem import nearest
from streams.errors import InvalidInput
from streams.operate.explain import Explanation, Row
from streams.operate.provenance import PROVENANCE
from streams.operate.told import Sink, Told, plain_path


def narrow(found: Sequence[Explanation], path: str) -> list[Explanation]:
    """The same explanations with only the claims and view values this path names."""
    wanted = sources(path)
    return [
        replace(
            item,
            sinks=[sink for old in item.sinks if (sink := _sink(old, path, wanted)).values],
            claims=[row for old in item.claims if (row := _row(old, wanted)).values],
            fields=[each for each in item.fields if (each.record, each.field) in wanted],
            decisions=[each for each in item.decisions if (each.record, each.field) in wanted],
        )
        for item in found
    ]


def sources(path: str) -> frozenset[tuple[str, str]]:
    """The (record, field) pairs a path stands for: its own, or those a view's value is made of."""
    records = load_catalog().records
    record, dot, field = path.partition(".")
    if dot and record in records and field in records[record].fields:
        return frozenset({(record, field)})
    named = {(name, path) for name, known in records.items() if path in known.fields}
    told = {
        (source.partition(".")[0], source.partition(".")[2])
        for table in PROVENANCE.values()
        for place, leaf in table.items()
        if place == plain_path(path)
        for source in leaf.sources
    }
    if not named and not told:
        raise InvalidInput("explain.field_unknown", f"nothing is called '{path}'", _near(path))
    return frozenset(named | told)


def _near(path: str) -> str:
    records = load_catalog().records
    names = [f"{record}.{field}" for record, known in records.items() for field in known.fields]
    return nearest(path, [*names, *(place for table in PROVENANCE.values() for place in table)])


def _sink(sink: Sink, path: str, wanted: Iterable[tuple[str, str]]) -> Sink:
    return replace(sink, values=[told for told in sink.values if _is_named(told, path, set(wanted))])


def _is_named(told: Told, path: str, wanted: set[tuple[str, str]]) -> bool:
    made_of = {(origin.record, origin.field) for origin in told.origins}
    return plain_path(told.path) == plain_path(path) or bool(made_of & wanted)


def _row(row: Row, wanted: frozenset[tuple[str, str]]) -> Row:
    return replace(row, values=[value for value in row.values if (row.record, value.field) in wanted])
