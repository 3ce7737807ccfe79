"""`concord rewind`: only back, only what it is asked for, and never the platform's own groups."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.cli import rewind as spoken
from streams.errors import ConcordError, InvalidInput
from streams.operate import rewinding
from streams.operate.rewinding import Move, Rewound, moves
from streams.settings import Settings

T = "sink.billing.provider"
ENDS = {(T, 0): (10, 100), (T, 1): (0, 50)}


def found(now: dict[int, int], to: dict[int, int]) -> list[Move]:
    return list(moves({(T, p): at for p, at in now.items()}, {(T, p): at for p, at in to.items()}, ENDS))


def test_a_partition_goes_back_and_says_how_much_comes_again() -> None:
    assert found({0: 90, 1: 50}, {0: 40, 1: 0}) == [Move(0, 90, 40, 50), Move(1, 50, 0, 50)]


def test_nothing_ever_goes_forward() -> None:
    assert found({0: 20, 1: 50}, {0: 60, 1: 50}) == []


def test_where_a_group_has_no_place_it_begins_as_it_is_set_to() -> None:
    assert found({0: 90}, {0: 10, 1: 0}) == [Move(0, 90, 10, 80)]


def test_what_retention_has_taken_does_not_come_again() -> None:
    assert found({0: 90}, {0: 0}) == [Move(0, 90, 0, 80)]


def test_a_place_past_the_end_counts_from_the_end() -> None:
    assert found({0: 500}, {0: 99}) == [Move(0, 500, 99, 1)]


@pytest.mark.parametrize("group", ["concord-decide", "t1.concord-billing", "t1.concord-directory.confirmed"])
def test_the_platforms_own_groups_are_refused(group: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rewinding.rewind(Settings(topic_prefix="t1."), group, T, "beginning", apply=True)
    assert caught.value.code == "rewind.own"


@pytest.mark.parametrize(("to", "code"), [("yesterday", "rewind.to"), ("2999-01-01", "rewind.future")])
def test_a_moment_must_be_one_that_was(to: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rewinding.rewind(Settings(), "reader", T, to, apply=False)
    assert caught.value.code == code


def test_a_time_without_a_zone_is_utc() -> None:
    assert (
        rewinding._moment("2026-01-01T00:00:00") == rewinding._moment("2026-01-01T00:00:00Z") == 1767225600000
    )
    assert rewinding._moment("beginning") is None


def test_a_topic_that_is_no_sink_is_refused() -> None:
    with pytest.raises(InvalidInput):
        rewinding.rewind(Settings(), "reader", "entity", "beginning", apply=False)


def test_an_active_group_is_refused_with_who_is_in_it() -> None:
    from concurrent.futures import Future

    from confluent_kafka import ConsumerGroupState

    future: Future[Any] = Future()
    member = SimpleNamespace(client_id="portal-1")
    future.set_result(SimpleNamespace(state=ConsumerGroupState.STABLE, members=[member]))
    admin: Any = SimpleNamespace(describe_consumer_groups=lambda groups: {groups[0]: future})
    with pytest.raises(ConcordError, match="portal-1") as caught:
        rewinding._require_alone(admin, "reader")
    assert (caught.value.code, caught.value.exit_code) == ("rewind.active", 1)


def test_the_text_sums_up_and_says_what_stays() -> None:
    text = spoken.text(Rewound("reader", T, "beginning", [Move(0, 90, 40, 50)], [1], applied=False))
    assert (
        text.splitlines()[-1]
        == "reader: at most 50 records would come again; --apply does it; left where they are: partitions 1"
    )
    assert "nothing to rewind" in spoken.text(Rewound("reader", T, "beginning", [], [0, 1], applied=True))
