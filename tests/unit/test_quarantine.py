"""The quarantine's book: original bytes come back exact, one item a record however often it returns, marks by order."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from connectors.envelope import Message as Captured
from connectors.envelope import Source
from streams import codec
from streams.cli.main import app
from streams.codec import REPLAYED as LINK
from streams.engine.producer import Output
from streams.errors import InvalidInput
from streams.operate.quarantine import handle
from streams.operate.quarantine.chosen import Asked, Chosen, choose
from streams.operate.quarantine.prospect import Prospects
from streams.operate.quarantine.record import Mark, Origin, Quarantined, read
from streams.operate.quarantine.register import DISCARDED, OPEN, REPLAYED, Item, Register
from streams.operate.quarantine.send import Outgoing
from streams.operate.quarantine.unhandled import Waiting
from streams.settings import Settings
from tests.fixtures.decider import TOPIC, Bench, broken_row, person
from tests.strategies import texts
from tests.world import belongings, row

SETTINGS = Settings(topic_prefix="", partitions=1, running_sources="credentialing")
WHO = "00000000-0000-4000-8000-000000000001"
RESTRICTED = "AP5836727"


@dataclass
class Kept:
    """Topic quarantine in memory: partitions of records, in the order they were written."""

    partitions: dict[int, list[Message]] = field(default_factory=dict)
    clock: int = 1_000

    def write(
        self, headers: codec.Headers, key: bytes | None = None, value: bytes | None = b"{}", at: int = 0
    ) -> Message:
        held = self.partitions.setdefault(at, [])
        self.clock += 1_000
        sent = [(name, v.encode() if isinstance(v, str) else v) for name, v in headers]
        held.append(Message("quarantine", at, len(held), key, value, sent, timestamp=(1, self.clock)))
        return held[-1]

    def bad(
        self, offset: int, first: int | None = None, at: int = 0, code: str = "change.type_wrong"
    ) -> None:
        """A record of cdc.credentialing/0 quarantined, for the first time or sent back."""
        link: codec.Headers = [] if first is None else [(LINK, f"{TOPIC}/0/{first}")]
        self.write(codec.quarantine_headers(link, code, "a path", f"{TOPIC}/0/{offset}"), at=at)

    def hear(self, outputs: list[Output]) -> None:
        for output in outputs:
            if output.topic == "quarantine":
                self.write(output.headers, output.key, output.value)

    def take(self, sent: Outgoing) -> None:
        self.write([*sent.headers], sent.key, sent.value, sent.partition)

    def register(self) -> Register:
        made = Register(Prospects(SETTINGS), "quarantine")
        for partition in sorted(self.partitions):
            for message in self.partitions[partition]:
                made.take(read(message))
        return made

    def items(self) -> list[Item]:
        with closing(self.register()) as register:
            return list(register.items())

    def found(self, item: Item) -> Quarantined:
        place = Origin.parse(item.place)
        said = read(self.partitions[place.partition][place.offset])
        assert isinstance(said, Quarantined)
        return said


@pytest.fixture
def kept() -> Kept:
    return Kept()


# ---- one record ----

headers = st.lists(
    st.tuples(
        texts | st.sampled_from(["concord-code", "concord-origin", LINK]), st.binary(max_size=9) | st.none()
    ),
    max_size=4,
)


@given(headers, st.binary(max_size=9) | st.none(), st.binary(max_size=9) | st.none())
def test_what_came_comes_back_byte_by_byte_whatever_a_stranger_put_into_its_headers(
    original: Any, key: bytes | None, value: bytes | None
) -> None:
    """Invariant 6: for any bytes and headers, also those that look like ours."""
    kept = Kept()
    found = read(
        kept.write(codec.quarantine_headers(original, "a.code", "a path", f"{TOPIC}/0/7"), key, value)
    )
    assert isinstance(found, Quarantined)
    sent = handle.back(found)
    assert (sent.topic, sent.partition, sent.key, sent.value) == (TOPIC, 0, key, value)
    assert sent.headers == [*original, (LINK, b"cdc.credentialing/0/7")]


def test_a_record_that_comes_back_again_and_again_keeps_its_first_origin_and_no_more(kept: Kept) -> None:
    kept.bad(7)
    for offset in (12, 15, 31):
        found = read(kept.partitions[0][-1])
        assert isinstance(found, Quarantined)
        sent = handle.back(found).headers
        assert sent == [(LINK, b"cdc.credentialing/0/7")]
        again = read(kept.write(codec.quarantine_headers([*sent], "a.code", "", f"{TOPIC}/0/{offset}")))
        assert isinstance(again, Quarantined)
        assert (str(again.first), again.origin.offset) == (f"{TOPIC}/0/7", offset)


@pytest.mark.parametrize(
    "link", ["cdc.billing/0/7", f"{TOPIC}/1/7", f"{TOPIC}/0/9", f"{TOPIC}/0/10", "nonsense"]
)
def test_a_link_to_where_the_record_cannot_come_from_is_no_link(kept: Kept, link: str) -> None:
    """Else a stranger's header could hide one record behind another."""
    found = read(kept.write(codec.quarantine_headers([(LINK, link)], "a.code", "", f"{TOPIC}/0/9")))
    assert isinstance(found, Quarantined)
    assert found.first == found.origin


def test_what_is_neither_quarantined_nor_a_mark_is_counted_as_a_strangers(kept: Kept) -> None:
    kept.write([])
    kept.write([("concord-handled", "nonsense")])
    kept.write([("concord-handled", f"{TOPIC}/0/7"), ("concord-action", "shredded")])
    kept.write(codec.quarantine_headers([], "a.code", "", "nowhere"))
    with closing(kept.register()) as register:
        assert (list(register.items()), register.strangers) == ([], 4)


@pytest.mark.parametrize("text", ["", "cdc.x", "cdc.x/1", "/1/2", "cdc.x/a/2", "cdc.x/1/-2", "cdc.x/1/²"])
def test_an_origin_is_a_topic_a_partition_and_an_offset(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Origin.parse(text)


def test_what_may_not_fit_its_topic_any_more_is_not_sent_back(kept: Kept) -> None:
    value = b"x" * (handle.LARGEST + 1)
    found = read(kept.write(codec.quarantine_headers([], "a.code", "", f"{TOPIC}/0/9"), b"k", value))
    assert isinstance(found, Quarantined)
    with pytest.raises(handle.TooLarge) as refused:
        handle.back(found)
    assert "discard" in refused.value.next_step


# ---- items ----


def mark(kept: Kept, action: str = REPLAYED) -> None:
    """What the command writes for the newest item."""
    kept.take(handle.mark(kept.items()[-1], action, "ann", "because" if action == DISCARDED else ""))


def states(kept: Kept) -> list[tuple[str, int]]:
    return [(item.state, item.attempts) for item in kept.items()]


def test_a_record_is_open_until_its_mark_says_otherwise(kept: Kept) -> None:
    kept.bad(7)
    assert states(kept) == [(OPEN, 1)]
    mark(kept, DISCARDED)
    [item] = kept.items()
    assert (item.state, item.by, item.reason, item.attempts) == (DISCARDED, "ann", "because", 1)
    assert item.handled_at > item.at


def test_a_record_sent_back_and_still_bad_is_one_open_item_with_two_attempts(kept: Kept) -> None:
    kept.bad(7)
    mark(kept)
    assert states(kept) == [(REPLAYED, 1)]
    kept.bad(12, first=7)
    [item] = kept.items()
    assert (item.state, item.attempts, item.origin, item.latest) == (OPEN, 2, f"{TOPIC}/0/7", f"{TOPIC}/0/12")
    mark(kept)
    assert states(kept) == [(REPLAYED, 2)]


def test_a_replay_killed_before_its_mark_and_done_again_leaves_one_item(kept: Kept) -> None:
    kept.bad(7)
    kept.bad(12, first=7)  # sent, and nobody lived to mark it
    assert states(kept) == [(OPEN, 2)]
    kept.bad(13, first=7)  # sent again
    mark(kept)
    assert states(kept) == [(REPLAYED, 3)]


def test_a_record_quarantined_twice_at_one_origin_is_one_attempt(kept: Kept) -> None:
    """A chunk that was committed and not yet acknowledged when its worker died."""
    kept.bad(7)
    kept.bad(7)
    assert states(kept) == [(OPEN, 1)]
    mark(kept)
    assert states(kept) == [(REPLAYED, 1)]


def test_a_mark_handles_what_stands_before_it_and_nothing_after(kept: Kept) -> None:
    """Rather shown again than hidden: a topic that was made anew counts its offsets anew."""
    kept.bad(7)
    mark(kept, DISCARDED)
    kept.bad(7)
    assert states(kept) == [(OPEN, 1)]


def test_of_two_copies_in_two_partitions_the_open_one_counts(kept: Kept) -> None:
    """A record without a key has no partition of its own."""
    kept.bad(7, at=0)
    mark(kept)
    kept.bad(7, at=1)
    assert states(kept) == [(OPEN, 1)]


def test_a_reading_does_not_depend_on_which_partition_is_read_first(kept: Kept) -> None:
    kept.bad(7, at=0)
    kept.bad(3, at=1)
    mark(kept)
    kept.bad(9, first=3, at=1)
    expected = kept.items()
    with closing(Register(Prospects(SETTINGS), "quarantine")) as register:
        for partition in (1, 0):
            for message in kept.partitions[partition]:
                register.take(read(message))
        assert list(register.items()) == expected


def test_items_are_listed_by_time_and_sent_back_in_the_order_they_first_came(kept: Kept) -> None:
    for offset in (9, 7, 8):
        kept.bad(offset)
    kept.bad(20, first=7)
    with closing(kept.register()) as register:
        assert [Origin.parse(i.origin).offset for i in register.items("time")] == [9, 8, 7]
        assert [Origin.parse(i.origin).offset for i in register.items("origin")] == [7, 8, 9]


def test_an_item_is_found_by_any_of_its_origins(kept: Kept) -> None:
    kept.bad(7)
    kept.bad(12, first=7)
    kept.bad(8)
    with closing(kept.register()) as register:
        for offset in (7, 12):
            item = register.named(Origin(TOPIC, 0, offset))
            assert item is not None
            assert item.origin == f"{TOPIC}/0/7"
            assert [a.latest for a in register.attempts(item)] == [f"{TOPIC}/0/7", f"{TOPIC}/0/12"]
        assert register.named(Origin(TOPIC, 0, 13)) is None


@given(st.lists(st.sampled_from(["bad", "again", "replay", "discard"]), max_size=12))
def test_whatever_is_done_one_record_stays_one_item_and_is_open_only_if_it_is_bad_since(
    story: list[str],
) -> None:
    kept, offset, expected = Kept(), 0, OPEN
    kept.bad(0)
    for act in story:
        if act in ("replay", "discard"):
            expected = REPLAYED if act == "replay" else DISCARDED
            mark(kept, expected)
        else:
            offset += act == "again"
            kept.bad(offset, first=0 if offset else None)
            expected = OPEN
    [item] = kept.items()
    assert (item.state, item.attempts) == (expected, offset + 1)
    assert Waiting(SETTINGS).fold(kept.partitions[0]).total() == (expected == OPEN)


def test_status_counts_what_nobody_has_handled(kept: Kept) -> None:
    waiting = Waiting(SETTINGS)
    assert waiting.fold([]).total() == 0
    for offset in (7, 8, 9):
        kept.bad(offset)
    mark(kept, DISCARDED)  # the one at 9
    kept.bad(20, first=8)
    records, items = kept.partitions[0], kept.items()
    first = waiting.fold(records[:3]).total()
    codes = waiting.fold(records[3:])
    assert (first, codes.total()) == (3, sum(item.state == OPEN for item in items)) == (3, 2)
    assert codes == Counter(item.code for item in items if item.state == OPEN)


def test_what_retention_took_is_not_counted(kept: Kept) -> None:
    waiting = Waiting(SETTINGS)
    for offset in (7, 8, 9):
        kept.bad(offset)
    waiting.fold(kept.partitions[0])
    waiting.forget(0, 2)
    assert waiting.fold([]).total() == 1


def test_a_quarantine_too_long_to_read_gives_no_number(kept: Kept) -> None:
    kept.bad(7)
    with pytest.raises(TimeoutError):
        Waiting(SETTINGS).fold(kept.partitions[0], patience=-1)


# ---- with the real decide hop ----


def replay(bench: Bench, kept: Kept) -> list[Output]:
    """What the command sends, fed to decide as its input topic would."""
    outputs: list[Output] = []
    for item in [i for i in kept.items() if i.state == OPEN]:
        sent = handle.back(kept.found(item))
        message: Captured = (sent.key or b"", sent.value or b"", [(n, v or b"") for n, v in sent.headers])
        outputs += bench.feed(message)
        kept.take(handle.mark(item, REPLAYED, "ann"))
    kept.hear(outputs)
    return outputs + bench.settle()


def test_a_row_that_is_still_bad_comes_back_as_the_same_item(known: Bench, kept: Kept) -> None:
    known.commit(person(), *belongings())
    kept.hear(known.feed(broken_row(known.source)))
    for attempts in (2, 3, 4):
        replay(known, kept)
        assert states(kept) == [(OPEN, attempts)]
    [item] = kept.items()
    assert (item.kind, item.id, item.record, item.row) == ("provider", "provider-0", "license", "license-0")
    assert item.still == "change.type_wrong"


def test_an_older_change_sent_back_after_a_newer_one_came_changes_nothing(known: Bench, kept: Kept) -> None:
    """Invariant 3."""
    known.commit(person(), *belongings())
    kept.hear(known.feed(broken_row(known.source)))
    known.commit(row("license", license_id="license-0", provider_id="provider-0", number="036-9"))
    known.settle()
    before = known.entity().revision
    assert [o for o in replay(known, kept) if o.topic.startswith("sink.")] == []
    assert known.entity().revision == before
    assert known.entity().findings == {}


def test_the_book_holds_ids_codes_and_places_and_no_value_of_a_row(bench: Bench, kept: Kept) -> None:
    """Invariant 11: it is a file, if only for a moment."""
    [(key, value, told)] = bench.source.transaction(
        [
            row(
                "dea_registration",
                dea_id="dea-0",
                provider_id="provider-0",
                number=RESTRICTED,
                schedules=["II"],
            )
        ]
    )
    bad = value.replace(b'"II"', b"2")
    kept.hear(bench.feed((key, bad, told)))
    with closing(kept.register()) as register:
        held = repr([tuple(r) for r in register._rows.execute("select * from attempt")])
    assert "dea-0" in held
    assert RESTRICTED not in held


# ---- what the mappings of today make of it ----


def prospect(kept: Kept, captured: Captured, code: str, topic: str = TOPIC, offset: int = 7) -> Item:
    key, value, told = captured
    kept.write(codec.quarantine_headers([*told], code, "", f"{topic}/0/{offset}"), key, value)
    return kept.items()[-1]


def test_a_record_whose_table_is_mapped_by_now_shows_its_provider_and_would_pass(kept: Kept) -> None:
    [captured] = Source("credentialing").transaction([row("license", license_id="l", provider_id=WHO)])
    item = prospect(kept, captured, "change.table_unknown")
    assert (item.kind, item.id, item.record, item.row, item.still) == ("provider", WHO, "license", "l", "")
    assert item.position.startswith("1/")


@pytest.mark.parametrize(
    ("topic", "code", "still"),
    [
        (TOPIC, "change.undecodable", "change.undecodable"),
        ("cdc.billing", "change.topic_unknown", "change.topic_unknown"),
        ("claims.npi", "npi.undecodable", "npi.undecodable"),
        ("claims.npi", "internal.take_failed", ""),
        ("clock", "clock.undecodable", "clock.undecodable"),
    ],
)
def test_what_would_still_be_bad_is_said_beforehand(kept: Kept, topic: str, code: str, still: str) -> None:
    assert prospect(kept, (b"k", b"\xff", []), code, topic).still == still


def test_a_record_in_the_wrong_partition_stays_there(kept: Kept) -> None:
    elsewhere = Settings(topic_prefix="", partitions=64, running_sources="credentialing")
    [(key, value, told)] = Source("credentialing").transaction([person()])
    kept.write(codec.quarantine_headers([*told], "change.partition_wrong", "", f"{TOPIC}/0/7"), key, value)
    found = read(kept.partitions[0][0])
    assert isinstance(found, Quarantined)
    assert Prospects(SETTINGS).of(found).still == ""
    assert Prospects(elsewhere).of(found).still == "change.partition_wrong"


@pytest.mark.parametrize(
    ("key", "id"), [(WHO.encode(), WHO), (b"1234567893", "1234567893"), (b"987654321", "")]
)
def test_of_a_record_nobody_can_read_only_a_key_that_is_an_id_is_shown(
    kept: Kept, key: bytes, id: str
) -> None:
    assert prospect(kept, (key, b"\xff", []), "change.undecodable").id == id


# ---- which are meant ----


def chosen(kept: Kept, **asked: Any) -> list[int]:
    found = choose(Asked(**{"state": "all", **asked}), SETTINGS)
    return [Origin.parse(i.origin).offset for i in kept.items() if found.admits(i)]


@pytest.fixture
def three(kept: Kept) -> Kept:
    """At 2, 3 and 4 seconds after 1970; the last of another system."""
    kept.bad(1)
    kept.bad(2, code="change.undecodable")
    [captured] = Source("credentialing").transaction([row("license", license_id="l", provider_id=WHO)])
    key, value, told = captured
    kept.write(
        codec.quarantine_headers([*told], "change.table_unknown", "", "cdc.credentialing/0/3"), key, value
    )
    return kept


def test_filters_narrow_each_other(three: Kept) -> None:
    assert chosen(three) == [1, 2, 3]
    assert chosen(three, codes=["change.type_wrong", "change.undecodable"]) == [1, 2]
    assert chosen(three, systems=["credentialing"], codes=["change.undecodable"]) == [2]
    assert chosen(three, systems=["billing"]) == []
    assert chosen(three, since="1970-01-01T00:00:03") == [2, 3]
    assert chosen(three, until="1970-01-01T01:00:03+01:00") == [1]
    assert chosen(three, origins=[f"{TOPIC}/0/1", f"{TOPIC}/0/3"]) == [1, 3]
    assert chosen(three, provider=WHO) == [3]
    assert chosen(three, provider=f"provider/{WHO}") == [3]
    assert chosen(three, since="7d") == []
    mark(three)
    assert chosen(three, state="open") == [1, 2]
    assert chosen(three, state="replayed") == [3]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"codes": ["change.type_wong"]}, "change.type_wrong"),
        ({"systems": ["credentialling"]}, "credentialing"),
        ({"state": "opened"}, "open"),
        ({"origins": ["cdc.credentialing/0"]}, "topic/partition/offset"),
        ({"since": "yesterday"}, "7d"),
        ({"since": "2026-02-30"}, "7d"),
        ({"since": "2026-11-22", "until": "2026-11-21"}, "--since before --until"),
        ({"provider": "somebody"}, "uuid"),
    ],
)
def test_a_filter_that_is_misspelt_is_refused_and_never_finds_nothing(asked: Any, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        choose(Asked(**asked), SETTINGS)
    assert hint in refused.value.next_step


def test_without_a_filter_everything_open_is_meant() -> None:
    assert choose(Asked(), SETTINGS) == Chosen(state=OPEN)


# ---- the command line ----


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--code", "no.code"],
        ["list", "--since", "soon"],
        ["show", "somewhere"],
        ["replay", "--origin", "somewhere", "--apply"],
        ["discard"],
        ["discard", "--reason", " "],
        ["discard", "--reason", "the row of 123-45-6789"],
        ["discard", "--reason", f"dea {RESTRICTED}", "--apply"],
    ],
)
def test_wrong_input_leaves_with_2_before_anybody_is_asked(acts: list[Any], arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["quarantine", *arguments])
    assert result.exit_code == 2, result.output
    assert "123-45-6789" not in result.output
    assert RESTRICTED not in result.output


def test_marks_say_what_was_done_to_which_by_whom_and_why(kept: Kept) -> None:
    kept.bad(7)
    sent = handle.mark(kept.items()[0], DISCARDED, "ann", "a test row")
    assert (sent.topic, sent.partition, sent.key, sent.value) == (
        "quarantine",
        0,
        b"cdc.credentialing/0/7",
        b"",
    )
    said = read(kept.write([*sent.headers]))
    assert isinstance(said, Mark)
    assert (str(said.origin), said.action, said.by, said.reason) == (
        f"{TOPIC}/0/7",
        DISCARDED,
        "ann",
        "a test row",
    )
