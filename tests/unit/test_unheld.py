"""What a system was told and doesn't hold: found in every row that is known of it, and only where nobody knows of it."""

from __future__ import annotations

from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from streams.core import canonical, parity
from streams.core.entity import NIL, Claim, Confirmed, Entity, Parity, Sent
from streams.core.unheld import unheld
from streams.core.view import DirectoryProvider, Listing, encode
from tests.world import AUTHORITY, TODAY

LISTING = Listing(
    "loc", "payer", None, None, None, None, None, "2026-01-01", None, None, None, None, None, None, None
)
VIEW = DirectoryProvider(
    status="active",
    reason=None,
    provider_id="p1",
    npi="1234567893",
    display_name="Ann Example",
    last_name="Example",
    first_name="Ann",
    listings=[LISTING],
)


def claim(row: canonical.Row) -> Claim:
    return Claim((1, 2, 3), 7, 5, Raw(canonical.encode(row)))


def held(*, listing: bool = True, **values: Any) -> Entity:
    """An entity that the directory confirmed long ago, and what it holds of it."""
    root = canonical.Provider(
        provider_id="p1", npi="1234567893", display_name="Ann Example", last_name="Example", first_name="Ann"
    )
    rows: dict[str, dict[str, Claim]] = {"provider": {"17": claim(replace(root, **values))}}
    if listing:
        rows["listing"] = {"3": claim(canonical.Listing(effective_from="2026-01-01"))}
    return Entity(
        "provider",
        "p1",
        4,
        {"directory": rows},
        {"directory": Sent(4, Raw(encode(VIEW)))},
        confirmed={"directory": Confirmed(4, (1, 9, 9), 9, 9, "17")},
        parity={"directory": Parity(parity.EQUAL)},
    )


def found(entity: Entity) -> list[str]:
    return unheld(entity, "directory", AUTHORITY, TODAY)


def test_a_system_that_holds_its_view_lacks_nothing() -> None:
    assert found(held()) == []


def test_another_value_in_an_old_row_is_found() -> None:
    assert found(held(last_name="Meddled")) == ["provider/17/last_name"]


def test_what_counts_as_equal_is_no_difference() -> None:
    assert found(held(last_name="EXAMPLE")) == []


def test_a_row_that_was_never_written_is_found() -> None:
    assert found(held(listing=False)) == ["listing//effective_from"]


def test_a_root_row_that_is_gone_is_found() -> None:
    entity = held()
    entity.claims["directory"]["provider"]["17"] = Claim((1, 2, 3), 7, 5, NIL)
    assert found(entity) == ["provider//provider_id"]


def test_what_the_platform_knows_to_differ_is_left_to_who_was_told() -> None:
    entity = held(last_name="Meddled")
    for state in (parity.DIFFERING, parity.IN_FLIGHT, parity.HELD, parity.LET_BE):
        entity.parity["directory"] = Parity(state, 1)
        assert found(entity) == []


def test_what_is_on_its_way_is_not_looked_at() -> None:
    entity = held(last_name="Meddled")
    entity.again = ["directory"]
    assert found(entity) == []
