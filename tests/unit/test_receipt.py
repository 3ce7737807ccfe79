"""Receipts: the newest revision counts in whatever order, a replay is a no-op, and none of them ends a transaction."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from streams.core import receipt
from streams.core.change import Confirmation, Malformed
from streams.core.entity import Confirmed, Entity, Refusal, Sent, confirm
from streams.core.malformed import REASONS
from streams.core.receipt import Receipt
from tests.fixtures.decider import LINGER, PROVIDER, Bench, findings, person, views
from tests.world import belongings

TOPIC = "receipt"
APPLIED = Receipt("directory", "provider", "p", "applied", 1)
FAILED = replace(APPLIED, outcome="failed", code="target.value", message="provider: HTTP 422")


def sent(revision: int) -> Entity:
    return Entity("provider", "p", revision, sent={"directory": Sent(revision, Raw(b"\x90"))})


def of(said: Receipt) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    value = {**{name: getattr(said, name) for name in said.__struct_fields__}, "topic": "sink", "at": "now"}
    return said.entity_id.encode(), json.dumps(value).encode(), []


def told(bench: Bench, said: Receipt) -> str:
    """What became of it in the decide hop."""
    before = dict(bench.state.outcomes.get(TOPIC, {}))
    bench.feed(of(said), topic=TOPIC)
    after = bench.state.outcomes[TOPIC]
    return next(name for name in after if after[name] != before.get(name, 0))


@pytest.fixture
def provider(known: Bench) -> Bench:
    """Sent to all three, confirmed by none."""
    known.commit(person(), *belongings())
    known.settle()
    return known


MINE = replace(APPLIED, entity_id="provider-0")
REFUSED = replace(FAILED, entity_id="provider-0")


@pytest.mark.parametrize(
    "order",
    [*permutations([replace(APPLIED, revision=2), replace(FAILED, revision=1), replace(FAILED, revision=3)])],
)
def test_the_newest_of_each_counts_in_whatever_order(order: tuple[Receipt, ...]) -> None:
    entity = sent(3)
    for said in (*order, *order):
        receipt.take(entity, said, 7)
    assert entity.confirmed["directory"].revision == 2
    assert entity.refused == {"directory": Refusal(3, "target.value", "provider: HTTP 422")}


def test_what_is_applied_later_closes_a_refusal_of_it_or_of_an_older_view() -> None:
    entity = sent(2)
    assert receipt.take(entity, FAILED, 7) == "applied"
    assert receipt.take(entity, APPLIED, 8) == "applied"
    assert entity.refused == {}
    assert receipt.take(entity, FAILED, 9) == "superseded"


def test_a_capture_that_stood_before_stays_known_and_one_that_begins_later_is_newer() -> None:
    entity = sent(3)
    entity.confirmed["directory"] = Confirmed(1, (2, 5, 7), 9, 4, "17", "hash")
    receipt.take(entity, replace(APPLIED, revision=2), 7)
    assert entity.confirmed["directory"] == Confirmed(2, (2, 5, 7), 0, 7, told=True)
    back = Confirmation("directory", "provider", "p", "17", 3, "hash", (3, 1, 1), False, 11, 8, 8)
    assert confirm(entity, back) == "applied"
    assert not entity.confirmed["directory"].told


def test_a_confirmation_by_capture_closes_a_refusal() -> None:
    entity = sent(2)
    receipt.take(entity, FAILED, 7)
    confirm(entity, Confirmation("directory", "provider", "p", "17", 2, "hash", (3, 1, 1), False, 11, 8, 8))
    assert entity.refused == {}


def test_of_a_revision_that_was_never_sent_nothing_is_believed() -> None:
    assert receipt.take(sent(3), replace(APPLIED, revision=4), 7) == receipt.NEVER_SENT
    assert receipt.take(Entity("provider", "p"), APPLIED, 7) == receipt.NEVER_SENT


def test_a_receipt_is_taken_in_once_and_says_nothing_but_that(provider: Bench) -> None:
    assert told(provider, MINE) == "applied"
    assert views(provider.settle()) == []
    assert provider.entity().parity["directory"].state == "equal"
    assert told(provider, MINE) == "superseded"
    assert provider.settle() == []


def test_what_other_systems_than_uncaptured_ones_are_said_to_hold_is_left_aside(provider: Bench) -> None:
    provider.restart(
        decoders={**provider.context.decoders, "directory": provider.context.decoders["credentialing"]}
    )
    assert told(provider, MINE) == "unmapped"
    assert told(provider, REFUSED) == "applied"


@pytest.mark.parametrize(
    "said",
    [
        replace(MINE, outcome="exported"),
        replace(MINE, revision=None),
        replace(MINE, kind="request"),
        replace(MINE, system="nowhere"),
        Receipt("directory", "system", "directory", "resumed", 1),
    ],
)
def test_what_is_for_people_to_read_changes_nothing(provider: Bench, said: Receipt) -> None:
    assert told(provider, said) == "unmapped"
    assert provider.settle() == []


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (b"provider-0", b"{}", "receipt.undecodable"),
        (b"provider-0", None, "receipt.undecodable"),
        (b"another", of(MINE)[1], "change.key_mismatch"),
        (b"provider-0", of(replace(MINE, revision=99))[1], "receipt.never_sent"),
    ],
)
def test_a_bad_receipt_is_quarantined_with_its_code(
    provider: Bench, key: bytes, value: bytes | None, code: str
) -> None:
    outputs = provider.feed((key, value, []), topic=TOPIC)  # type: ignore[arg-type]
    assert [dict(o.headers)["concord-code"] for o in outputs if o.topic == "quarantine"] == [code]
    assert code in REASONS
    assert provider.settle() == []


def test_a_receipt_does_not_end_a_transaction_that_is_still_open(provider: Bench) -> None:
    first, *rest = provider.source.transaction([person(degree="DO"), *belongings()])
    provider.feed(first)
    assert views([*provider.feed(of(MINE), topic=TOPIC), *provider.tick(LINGER - 1)]) == []
    provider.feed(*rest)
    assert views(provider.settle()) == ["directory.provider provider-0 2"]
    assert provider.state.late == 0


def test_a_receipt_that_was_not_decided_on_is_after_a_restart(provider: Bench) -> None:
    provider.handler.decide = lambda *_: None  # type: ignore[method-assign]
    provider.feed(of(REFUSED), topic=TOPIC)
    assert provider.partition.store.dirty() == [PROVIDER]
    provider.restart()
    assert findings(provider.settle()) == ["provider/provider-0 target.refused directory/provider"]


def test_an_open_finding_repeats_no_more_than_the_beginning_of_a_reason() -> None:
    entity = sent(1)
    receipt.take(entity, replace(FAILED, message="x" * 10_000), 7)
    assert len(entity.refused["directory"].message) == receipt.LONGEST


def test_decoding_never_raises() -> None:
    for value in (b"", b"[]", b"\xff", b'{"system":1}', None):
        assert isinstance(receipt.decode(b"k", value), Malformed)
