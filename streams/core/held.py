"""What a system holds and its view doesn't say: row by row, field by field.

    claims of a system, the views it may have of the entity --> Difference --> edit

Stands between entity and edit: says where a system's rows differ, never whose word counts and what becomes of it. Rows
that the platform begins and ends there (listings, billing affiliations) have no name that both sides know, so each is
taken for the part of the view that it is most like. Looks only at fields that the platform writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from streams.core.authority import Authority, Rule
from streams.core.canonical import Row
from streams.core.change import Position
from streams.core.entity import Claim, Entity, Proposal
from streams.core.equivalent import equivalent
from streams.core.formats import zip4
from streams.core.today import is_current
from streams.core.view import VIEWS, View


class Difference(Struct, frozen=True):
    """A field of a row a system holds, and what the view says of it."""

    record: str
    row_id: str
    field: str
    rule: Rule
    position: Position
    ours: Any
    theirs: Any


ASIDE: Mapping[str, str] = {
    "middle_initial": "middle_name",
    "taxonomy_code": "taxonomy.nucc_code",
    "license_state": "license.state",
    "license_number": "license.number_raw",
    "license_expires": "license.expires",
    "facility_npi": "location_npi",
}
"""A view's field -> the canonical name of what the system holds of it, where it isn't the same name."""

WITHIN: Mapping[str, tuple[str, Callable[[str | None], str | None]]] = {
    "postal_code_extension": ("postal_code", zip4)
}
"""Canonical field -> the view's field that has it within, and how it is got out."""


class Below(Struct, frozen=True):
    """How rows below a system's root row stand in its view: the part, what names one, and canonical field -> part's
    (empty: the view says nothing of it). `begin`: the field that says since when there is such a row, where the
    platform says which rows there are; empty: the system does."""

    parts: str
    key: Mapping[str, str]
    fields: Mapping[str, str]
    begin: str = ""


END = "effective_to"

BELOW: Mapping[str, Below] = {
    "listing": Below(
        "listings",
        {},
        {
            "effective_from": "listed_from",
            END: "",
            "group_name": "group_name",
            "taxonomy.nucc_code": "specialty_nucc",
        },
        "effective_from",
    ),
    "enrollment": Below(
        "groups", {"location_id": "location_id"}, {"group_npi": "group_npi", "group_tin": "group_tax_id"}
    ),
    "affiliation": Below(
        "affiliations", {}, {"effective_from": "effective_from", END: "effective_to"}, "effective_from"
    ),
}


@lru_cache(64)
def _shown(kind: str, system: str) -> tuple[tuple[str, str, str], ...]:
    """(view's field, canonical record, canonical field) of a system's view of a kind."""
    found = []
    names = VIEWS[kind][system].view.__struct_fields__
    for name in names:
        record, _, field = ASIDE.get(name, name).rpartition(".")
        found.append((name, record or kind, field))
    return (*found, *((name, kind, field) for field, (name, _) in WITHIN.items() if name in names))


def written(kind: str, system: str, authority: Authority) -> list[tuple[str, str, str, Rule]]:
    """What the platform writes of a root row into a system whose word isn't the last: (view's field, record, field)."""
    return [
        (name, record, field, rule)
        for name, record, field in _shown(kind, system)
        if (rule := _rule(system, record, field, authority)) is not None
    ]


def _rule(system: str, record: str, field: str, authority: Authority) -> Rule | None:
    """The rule of a field that the platform writes there and that the system can't simply say."""
    rule = authority.rules.get(record, {}).get(field)
    if rule is None or rule.write.get(system, "never") == "never" or system in rule.sole:
        return None
    return rule


def of_root(
    kind: str, system: str, row_id: str, claim: Claim, views: Sequence[View], authority: Authority
) -> list[Difference]:
    """Where the root row differs from the view it is to have, `views[0]`, and from every other it may have."""
    image = claim.image(kind)
    if image is None:
        return []
    by_view = [_root(kind, system, row_id, claim, image, view, authority) for view in views]
    fields = {d.field for d in min(by_view, key=len)}
    return [d for d in by_view[0] if d.field in fields]


def _root(
    kind: str, system: str, row_id: str, claim: Claim, image: Row, view: View, authority: Authority
) -> list[Difference]:
    found = []
    for name, record, field, rule in written(kind, system, authority):
        ours = shown(view, name, field)
        theirs = getattr(image, field) if record == kind else claim.beside.get(f"{record}.{field}")
        if not equivalent(field, ours, theirs):
            found.append(Difference(record, row_id, field, rule, claim.position, ours, theirs))
    return found


def shown(view: View, name: str, field: str) -> Any:
    """What a view says of a canonical field."""
    value = getattr(view, name)
    return WITHIN[field][1](value) if field in WITHIN else value


def root_gone(
    kind: str, system: str, claims: Mapping[str, Claim], newer: Mapping[str, Claim], view: View,
    authority: Authority,
) -> Iterator[Difference]:  # fmt: skip
    """The system has no root row of it any more: somebody deleted it there, or made it another entity's."""
    rule = _rule(system, kind, f"{kind}_id", authority)
    if rule is None or not newer or not all(claim.is_deleted for claim in claims.values()):
        return
    row_id, claim = max(newer.items(), key=lambda item: item[1].position)
    ours = getattr(view, f"{kind}_id")
    yield Difference(kind, row_id, f"{kind}_id", rule, claim.position, ours, None)


def root_begun(
    kind: str, system: str, row_id: str, claim: Claim, authority: Authority
) -> Iterator[Difference]:
    """The system has a root row where it is to have none."""
    rule, image = _rule(system, kind, f"{kind}_id", authority), claim.image(kind)
    if rule is not None and image is not None:
        theirs = getattr(image, f"{kind}_id")
        yield Difference(kind, row_id, f"{kind}_id", rule, claim.position, None, theirs)


def of_below(
    system: str, record: str, claims: Mapping[str, Claim], newer: Mapping[str, Claim],
    views: Sequence[View], authority: Authority, as_of: str,
) -> list[Difference]:  # fmt: skip
    """Where rows that somebody wrote since the last confirmation differ from the view they are most like."""
    if not newer:
        return []
    compare = _listed if BELOW[record].begin else _own
    found = [_Rows(system, record, claims, newer, authority, as_of).differ(compare, view) for view in views]
    return min(found, key=len)


class _Rows:
    """The rows of one record below a system's root row."""

    def __init__(
        self, system: str, record: str, claims: Mapping[str, Claim], newer: Mapping[str, Claim],
        authority: Authority, as_of: str,
    ) -> None:  # fmt: skip
        self.record, self.below = record, BELOW[record]
        self.claims, self.newer, self.as_of = claims, newer, as_of
        self.rules = {
            path: rule
            for path in self.below.fields
            if (rule := _rule(system, *self.canonical(path), authority)) is not None
        }

    def canonical(self, path: str) -> tuple[str, str]:
        """(record, field) of a path of `below.fields`."""
        aside, _, field = path.rpartition(".")
        return aside or self.record, field

    def differ(
        self, compare: Callable[[_Rows, list[Any]], Iterator[Difference]], view: View
    ) -> list[Difference]:
        """The differences from this view."""
        return list(compare(self, list(getattr(view, self.below.parts, []))))

    def images(self, claims: Mapping[str, Claim]) -> dict[str, Row]:
        """The rows that are there today, by row id; the oldest first."""
        return current(self.record, claims, self.as_of)

    def fields(self, row_id: str, row: Row, part: Any) -> list[Difference]:
        """Where a row differs from a part of the view."""
        return [
            d
            for path, name in self.below.fields.items()
            if path in self.rules
            and not self._alike(path, (d := self.difference(row_id, path, _of(part, name), row)))
        ]

    def _alike(self, path: str, d: Difference) -> bool:
        """A part that doesn't say since when began when the platform wrote it."""
        return (path == self.below.begin and d.ours is None) or equivalent(d.field, d.ours, d.theirs)

    def difference(self, row_id: str, path: str, ours: Any, row: Row | None) -> Difference:
        """That a row holds something else under a path."""
        claim, (record, field) = self.claims[row_id], self.canonical(path)
        aside = record != self.record
        theirs = claim.beside.get(path) if aside else getattr(row, field, None)
        return Difference(record, row_id, field, self.rules[path], claim.position, ours, theirs)


def current(record: str, claims: Mapping[str, Claim], as_of: str) -> dict[str, Row]:
    """The rows that are there on a day, by row id; the oldest first."""
    rows = {i: claims[i].image(record) for i in sorted(claims, key=lambda i: (len(i), i))}
    return {i: r for i, r in rows.items() if r is not None and is_current(None, getattr(r, END, None), as_of)}


def _of(part: Any, name: str) -> Any:
    return getattr(part, name) if name else None


def _own(rows: _Rows, parts: list[Any]) -> Iterator[Difference]:
    """Of rows that are the system's own: only what the platform keeps equal on them."""
    key = rows.below.key
    for row_id, row in rows.images(rows.newer).items():
        mine = [
            p for p in parts if all(getattr(p, there) == getattr(row, here) for here, there in key.items())
        ]
        yield from min((rows.fields(row_id, row, part) for part in mine), key=len, default=[])


def _listed(rows: _Rows, parts: list[Any]) -> Iterator[Difference]:
    """Of rows that the platform begins and ends: each is one part of the view, and each part is one row."""
    begin, left, odd = rows.below.begin, parts, {}
    there = rows.images(rows.claims)
    for row_id in sorted(there, key=lambda row_id: row_id in rows.newer):
        part = next((p for p in left if not rows.fields(row_id, there[row_id], p)), None)
        if part is not None:
            left.remove(part)
        elif row_id in rows.newer:
            odd[row_id] = there[row_id]
    for row_id, row in odd.items():
        if not left:  # nobody told it of this one
            yield rows.difference(row_id, begin, None, row)
            continue
        part = min(left, key=lambda p, i=row_id, r=row: len(rows.fields(i, r, p)))  # type: ignore[misc]
        left.remove(part)
        yield from rows.fields(row_id, row, part)
    for row_id in [i for i in rows.newer if i not in there][: len(left)]:
        row_gone = rows.newer[row_id].image(rows.record)  # ended, where it isn't deleted
        path, part = END if row_gone is not None else begin, left.pop(0)
        yield rows.difference(row_id, path, _of(part, rows.below.fields[path]), row_gone)


def is_gone(entity: Entity, proposal: Proposal) -> bool:
    """Whether the row that a proposal stood in is no longer there; that a row goes can itself be proposed."""
    tables = entity.claims.get(proposal.system, {})
    claim = tables.get(_stands_in(entity.kind, proposal), {}).get(proposal.row_id)
    return claim is not None and claim.is_deleted and claim.position > proposal.position


def _stands_in(kind: str, proposal: Proposal) -> str:
    """The record whose rows in its system have the field."""
    path = f"{proposal.record}.{proposal.field}"
    if any((r, f) == (proposal.record, proposal.field) for _, r, f in _shown(kind, proposal.system)):
        return kind
    return next((record for record, below in BELOW.items() if path in below.fields), proposal.record)


def said_now(kind: str, proposal: Proposal, root: Row | None, view: View | None) -> list[Any]:
    """What the platform says now of what is proposed: of a row below, every part that it may be."""
    record, field = proposal.record, proposal.field
    if view is None:
        return [getattr(root, field)] if record == kind and root is not None else []
    for name, in_record, in_field in _shown(kind, proposal.system):
        if (in_record, in_field) == (record, field):
            return [shown(view, name, field)]
    below = BELOW.get(_stands_in(kind, proposal))
    if below is None:
        return []
    name = below.fields[field if field in below.fields else f"{record}.{field}"]
    return [_of(part, name) for part in getattr(view, below.parts, [])] or [None]
