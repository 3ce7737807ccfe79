"""Continuous verification: what it may repair by itself, and what it says when it may not or can't look."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from connectors.checksum import Key
from streams.core.verify import DIFFERENT, EXTRA, MISSING
from streams.errors import Unavailable
from streams.operate.verify import repair
from streams.operate.verify.findings import _of_table
from streams.operate.verify.follow import Follow, Meter
from streams.operate.verify.found import Divergence, Verified, lsn_text
from streams.operate.verify.repair import Bounds, TooMany
from streams.settings import Settings

SETTINGS = Settings(kafka="nowhere:1", running_sources="credentialing")


def table(rows: int, *states: str, repaired: bool = False) -> Verified:
    found = [
        Divergence("credentialing", "license", "provider", "p1", f"l{n}", state, repaired=repaired)
        for n, state in enumerate(states)
    ]
    return Verified("credentialing", "license", rows, "0/10", 1.0, 0.1, divergences=found)


@pytest.mark.parametrize(
    ("rows", "diverging", "allowed"),
    [
        (10, 5, True),
        (10, 6, False),
        (1_000, 50, True),
        (1_000, 51, False),
        (1_000_000, 1_000, True),
        (1_000_000, 1_001, False),
        (0, 3, True),
    ],
)
def test_a_few_rows_are_always_repaired_more_only_up_to_a_share_and_never_more_than_so_many(
    rows: int, diverging: int, allowed: bool
) -> None:
    bounds = Bounds(rows=1_000, share=0.05, few=5)
    assert bounds.allow(table(rows, *[DIFFERENT] * diverging)) is allowed


def test_where_one_table_may_not_be_repaired_none_is_and_the_table_is_named() -> None:
    with pytest.raises(TooMany) as caught:
        repair.check([table(10), table(100, *[MISSING] * 30)], Bounds())
    assert "credentialing.license (30 of 100 rows)" in caught.value.message
    assert caught.value.exit_code == 1


def test_what_was_repaired_counts_no_more() -> None:
    found = table(10, MISSING, EXTRA, repaired=True)
    assert (found.counts, found.repaired, found.standing) == ({MISSING: 0, EXTRA: 0, DIFFERENT: 0}, 2, [])


def test_a_position_is_written_as_postgres_writes_it() -> None:
    assert lsn_text(0x1_0000_00AB) == "1/AB"


@pytest.mark.parametrize(
    ("type_name", "row_id", "fits"),
    [
        ("uuid", "00000000-0000-4000-8000-000000000001", True),
        ("uuid", "17", False),
        ("bigint", "17", True),
        ("bigint", "-1", True),
        ("bigint", "17; drop table x", False),
        ("text", "anything", True),
    ],
)
def test_a_forged_id_that_no_row_can_have_is_never_asked_for(type_name: str, row_id: str, fits: bool) -> None:
    assert Key("id", type_name).fits(row_id) is fits


def test_numbers_are_ordered_as_numbers() -> None:
    assert sorted(["9", "10", "-1"], key=Key("id", "bigint")) == ["-1", "9", "10"]


def test_what_diverges_is_told_to_its_entity_and_what_no_longer_does_is_taken_back() -> None:
    found = table(10, MISSING)
    records = _of_table(SETTINGS, found, {b"provider/p1": "provider/p1"}, {"provider/p1", "provider/p2"})
    assert found.told == ["provider/p1"]
    first, second = (record.value for record in records)
    assert first is not None and b'"rows":{"l0":"verify.missing"}' in first  # noqa: PT018
    assert second is not None and b'"entity":"p2"' in second and b'"rows":{}' in second  # noqa: PT018


class Faulty:
    """Verifies, or fails as told."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)
        self.asked: list[Any] = []

    def __call__(self, settings: Settings, names: list[str], **options: Any) -> list[Verified]:
        self.asked.append((names, options["bounds"]))
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, list)
        return outcome


def test_a_fault_is_said_once_an_outage_and_only_too_much_is_an_error() -> None:
    down, much = Unavailable("verify.not_captured", "late"), TooMany("verify.too_many", "much")
    follow = Follow(SETTINGS, Meter(), Faulty(down, down, [table(3)], down, much, much))
    with structlog.testing.capture_logs() as logs:
        for _ in range(6):
            follow.turn("credentialing")
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("verify.not_captured", "warning"),
        ("verify.not_captured", "warning"),
        ("verify.too_many", "error"),
    ]


def test_what_was_found_and_what_failed_stands_in_the_metrics() -> None:
    meter = Meter()
    follow = Follow(SETTINGS, meter, Faulty([table(7, MISSING)], Unavailable("verify.not_captured", "late")))
    with structlog.testing.capture_logs():
        follow.turn("credentialing")
        follow.turn("credentialing")
    told = meter.metrics().decode()
    assert 'concord_verify_diverging_rows{state="missing",table="credentialing.license"} 1.0' in told
    assert 'concord_verify_rows{table="credentialing.license"} 7.0' in told
    assert meter.status()["faults"] == {"credentialing": "verify.not_captured"}
    assert meter.status()["tables"]["credentialing.license"]["missing"] == 1


def test_it_only_looks_where_it_may_not_repair() -> None:
    looks = Faulty([table(3)])
    Follow(SETTINGS.model_copy(update={"verify_repair": False}), Meter(), looks).turn("credentialing")
    assert looks.asked == [(["credentialing"], None)]
