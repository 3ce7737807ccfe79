"""What somebody alters under an adapter: narrower is told, wider is not, and a system's own columns are its own."""

from __future__ import annotations

import pytest

from connectors.shape import Column, differences, fits

WRITTEN = {"person": frozenset({"name", "born"})}
KNOWN = {
    ("person", "name"): Column("character varying(100)", False),
    ("person", "born"): Column("date", False),
    ("person", "note"): Column("", False),
}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("character varying(100)", "character varying(100)"),
        ("character varying(100)", "character varying(200)"),
        ("character varying(100)", "text"),
        ("character(2)", "character varying(2)"),
        ("text[]", "text[]"),
        ("integer", "bigint"),
        ("numeric(9,6)", "numeric(11,6)"),
        ("numeric(9,6)", "numeric"),
        ("numeric(4)", "numeric(6,2)"),
    ],
)
def test_what_is_as_wide_or_wider_fits(was: str, now: str) -> None:
    assert fits(was, now)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("character varying(100)", "character varying(99)"),
        ("text", "character varying(100)"),
        ("text", "integer"),
        ("text", "text[]"),
        ("bigint", "integer"),
        ("numeric", "numeric(9,6)"),
        ("numeric(9,6)", "numeric(9,5)"),
        ("numeric(9,6)", "numeric(10,8)"),
        ("jsonb", "text[]"),
        ("timestamp with time zone", "timestamp without time zone"),
    ],
)
def test_what_is_narrower_or_another_type_does_not(was: str, now: str) -> None:
    assert not fits(was, now)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({}, []),
        ({("person", "name"): Column("character varying(5)", False)}, ["person.name is character varying(5), was character varying(100)"]),
        ({("person", "born"): Column("date", True)}, ["person.born must have a value now"]),
        ({("person", "note"): Column("", True)}, ["person.note must have a value now"]),
        ({("person", "kind"): Column("", True)}, ["person.kind is new and must have a value"]),
        ({("person", "kind"): Column("", False)}, []),
        ({("person", "name"): Column("text", False)}, []),
    ],
)  # fmt: skip
def test_only_what_the_adapter_can_no_longer_write_is_told(
    now: dict[tuple[str, str], Column], told: list[str]
) -> None:
    assert list(differences({**KNOWN, **now}, KNOWN, WRITTEN)) == told


def test_what_is_gone_is_told_also_where_nothing_was_remembered() -> None:
    now = {place: column for place, column in KNOWN.items() if place != ("person", "name")}
    assert list(differences(now, {}, WRITTEN)) == ["person.name is gone"]


def test_a_column_that_the_adapter_begins_to_write_was_not_altered() -> None:
    known = {**KNOWN, ("person", "born"): Column("", False)}
    assert list(differences({**KNOWN, ("person", "born"): Column("date", True)}, known, WRITTEN)) == []
