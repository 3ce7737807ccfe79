"""Verification's pure half: one text a row, sums of ranges, and rounds that tell a divergence from a row in flight."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from schemas.tables import mapped_tables
from streams.core import canonical, verify
from streams.core import entity as core_entity
from streams.core.entity import NIL, Claim, Entity
from streams.core.verify import (
    DIFFERENT,
    EXTRA,
    MISSING,
    QUARANTINED,
    STANDS,
    Hash,
    Name,
    Shape,
    Shapes,
    Standing,
    joined,
)
from tests.strategies import texts

LICENSE = next(t for t in mapped_tables("credentialing") if t.name == "license")
SHAPE = Shape(7, "credentialing", LICENSE, local=False)
NAMES = st.tuples(st.sampled_from("abc"), st.sampled_from("123"))
HASHES = st.dictionaries(NAMES, st.integers(1, 3))


VALUES = st.none() | texts.map(lambda text: text.translate({ord(verify.UNIT): "-", ord(verify.NULL): "-"}))
ROWS = st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(VALUES, min_size=n, max_size=n)] * 2))


@given(ROWS)
def test_two_rows_have_one_text_only_when_they_are_the_same(
    rows: tuple[list[str | None], list[str | None]],
) -> None:
    """Else a difference could hide: that null is not empty follows."""
    one, other = rows
    assert (joined(one) == joined(other)) == (one == other)


@pytest.mark.parametrize(
    ("type_name", "value", "text"),
    [
        ("integer", 2**63 - 1, "9223372036854775807"),
        ("boolean", False, "false"),
        ("timestamp", "1970-01-01T00:00:00Z", "0"),
        ("timestamp", "1969-12-31T23:59:59.999999Z", "-1"),
        ("timestamp", "2026-11-22T14:00:00.5+02:00", "1795348800500000"),
        ("timestamp", "2026-11-22T12:00:00.500", "1795348800500000"),
        ("timestamp", "+294247-01-10T04:00:25.2Z", "?"),
        ("decimal", "41.881000", "41.881"),
        ("decimal", "100", "100"),
        ("decimal", "1E+3", "1000"),
        ("decimal", "0.00", "0"),
        ("decimal", "NaN", "NaN"),
        ("json", {"bb": 1, "a": [None, "x\n"]}, '{"a": [null, "x\\n"], "bb": 1}'),
        ("json", {"é": 1, "zz": {"b": True, "a": "\u0001"}}, '{"zz": {"a": "\\u0001", "b": true}, "é": 1}'),
        ("text_list", ["a", None], '["a", null]'),
    ],
)
def test_a_value_has_one_text(type_name: str, value: Any, text: str) -> None:
    assert verify.FORMS[type_name](value) == text


def test_every_type_of_the_catalogue_has_a_text() -> None:
    assert {column.type for system in ("credentialing", "directory", "enrollment", "billing", "stewardship")
            for table in mapped_tables(system) for column in table.columns} <= verify.FORMS.keys()  # fmt: skip


def claim(**values: Any) -> Claim:
    row = canonical.License(**values)
    return Claim((1, 2, 3), 4, 5, Raw(canonical.encode(row)))


def stored(**claims: Claim) -> bytes:
    entity = Entity("provider", "p1", claims={"credentialing": {"license": dict(claims)}, "npdb": {}})
    return core_entity.encode(entity)


def test_the_rows_of_a_stored_entity_are_those_of_live_claims() -> None:
    value = stored(l1=claim(state="IL"), l2=Claim((1, 2, 3), 4, 5, NIL))
    found = Shapes([SHAPE]).rows(value)
    expected = verify.hashed(joined(["p1", "l1", "IL", None, None, None, None, None, None]))
    assert found == [(7, "l1", expected)]


def test_a_row_whose_newest_change_is_in_the_quarantine_has_no_hash_of_its_own() -> None:
    entity = Entity("provider", "p1", claims={"credentialing": {"license": {"l1": claim(state="IL")}}})
    entity.gaps["license/l1"] = "change.type_wrong"
    assert Shapes([SHAPE]).rows(core_entity.encode(entity)) == [(7, "l1", QUARANTINED)]


def test_the_rows_of_a_system_with_ids_of_its_own_are_those_of_the_local_entity() -> None:
    listing = next(t for t in mapped_tables("directory") if t.name == "dir_listing")
    shapes = Shapes([Shape(1, "directory", listing, local=True)])
    assert shapes.holds(b"directory.provider/17")
    assert not shapes.holds(b"provider/17"), "what was told of it under the master's id is no source's row"


@given(HASHES, HASHES)
def test_sums_of_a_range_are_equal_when_its_rows_are(
    ours: dict[Name, Hash], theirs: dict[Name, Hash]
) -> None:
    """The converse holds but for a collision of 64 bits; small hashes collide, so only this direction is a property."""
    sums = [verify.Sum(), verify.Sum()]
    for total, rows in zip(sums, (ours, theirs), strict=True):
        for row in rows.values():
            total.add(row)
    if not verify.difference(ours, theirs):
        assert sums[0] == sums[1]


def rounds(*seen: tuple[Hash | None, Hash | None]) -> Standing:
    """One suspected row, as (ours, theirs) in each round."""
    name = ("p1", "l1")
    standing = Standing([name])
    for ours, theirs in seen:
        standing.look({name: [ours]}, {} if theirs is None else {name: theirs})
    return standing


@pytest.mark.parametrize(("seen", "state"), [((None, 5), MISSING), ((5, None), EXTRA), ((5, 6), DIFFERENT)])
def test_a_disagreement_that_stands_still_on_both_sides_is_a_divergence(
    seen: tuple[Hash | None, Hash | None], state: str
) -> None:
    standing = rounds(*[seen] * (STANDS + 1))
    assert standing.confirmed == {("p1", "l1"): state}
    assert standing.open == []


def test_a_row_that_arrives_while_it_is_looked_at_is_none() -> None:
    standing = rounds((None, 5), (None, 5), (5, 5))
    assert (standing.confirmed, standing.open) == ({}, [])


def test_a_row_that_never_stands_still_is_left_open() -> None:
    """The platform is always a change behind a row that is written all the time: no divergence, however often."""
    standing = rounds(*[(n, n + 1) for n in range(50)])
    assert standing.confirmed == {}
    assert standing.open == [("p1", "l1")]


@pytest.mark.parametrize("theirs", [4, 5, 6, None])
def test_a_row_that_moved_on_has_arrived_when_it_was_held_as_the_source_had_it(theirs: Hash | None) -> None:
    """What is written all the time never stands still; that each of its versions comes is seen all the same."""
    name = ("p1", "l1")
    standing = Standing([name])
    standing.look({name: [4, 5, None, 6]}, {} if theirs is None else {name: theirs})
    assert (standing.confirmed, standing.open) == ({}, [])


def test_a_row_that_was_never_held_as_the_source_had_it_is_not_taken_for_arrived() -> None:
    name = ("p1", "l1")
    standing = Standing([name])
    for held in ([4, 5], [5], [5]):
        assert standing.open == [name]
        standing.look({name: held}, {name: 7})
    assert standing.confirmed == {name: DIFFERENT}


def test_a_row_that_is_quarantined_is_no_divergence() -> None:
    standing = rounds(*[(QUARANTINED, 5)] * (STANDS + 1))
    assert (standing.confirmed, standing.quarantined) == ({}, {("p1", "l1")})


def test_a_row_that_is_quarantined_is_missing_when_it_is_to_be_read_again() -> None:
    standing = Standing([("p1", "l1"), ("p1", "l2")], again=True)
    for _ in range(STANDS + 1):
        standing.look({("p1", "l1"): [QUARANTINED], ("p1", "l2"): [QUARANTINED]}, {("p1", "l1"): 5})
    assert standing.confirmed == {("p1", "l1"): MISSING, ("p1", "l2"): EXTRA}


@given(st.lists(st.tuples(st.none() | st.integers(1, 3), st.none() | st.integers(1, 3)), max_size=12))
def test_only_what_was_the_same_in_so_many_rounds_in_a_row_is_reported(
    seen: list[tuple[Hash | None, Hash | None]],
) -> None:
    standing = rounds(*seen)
    if standing.confirmed:
        runs = [seen[i : i + STANDS + 1] for i in range(len(seen) - STANDS)]
        assert any(len(set(run)) == 1 and run[0][0] != run[0][1] for run in runs)
