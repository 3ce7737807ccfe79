"""The decide hop: once a transaction is over, every record counted, bad records and defects of ours survived."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.envelope import Change as Row
from connectors.envelope import Message, Source
from schemas.tables import decoders
from streams.agents.address import Address, encode_json
from streams.agents.said import Holder
from streams.core import canonical
from streams.core import entity as core_entity
from streams.core.decode import Decoder
from streams.core.malformed import REASONS
from streams.core.rules.book import RuleFailed
from streams.engine.memory import Record
from streams.engine.producer import Output, Refused
from streams.operate.sandbox import Sandbox
from tests.fixtures.decider import (
    ALL_THREE,
    DAY_MS,
    LINGER,
    PROVIDER,
    TOPIC,
    WITHDRAW,
    Bench,
    bench_at,
    broken_row,
    directory_root,
    findings,
    person,
    rekeyed_root,
    views,
)
from tests.strategies import changes
from tests.world import belongings, row

pytestmark = pytest.mark.usefixtures("logs")


# ---- once a transaction is over ----


def test_half_a_transaction_is_decided_by_nobody(known: Bench) -> None:
    first, *rest = known.source.transaction([person(), *belongings()])
    assert views(known.feed(first)) == []
    known.now += LINGER - 1
    assert views(known.feed(*rest)) == []
    assert views(known.tick(LINGER - 1)) == []
    assert views(known.tick(1)) == ALL_THREE
    assert known.state.late == 0


def test_a_record_of_the_next_transaction_ends_the_one_before(known: Bench) -> None:
    known.commit(person(), *belongings())
    assert views(known.commit(row("provider", provider_id="provider-1", npi="1245319599"))) == ALL_THREE


def test_a_view_of_half_a_transaction_is_counted_when_its_rest_comes(known: Bench) -> None:
    first, *rest = known.source.transaction([person(), *belongings()])
    known.feed(first)
    assert len(views(known.tick())) == 3
    known.feed(*rest)
    known.settle()
    assert known.state.late == 1
    assert known.entity().revision == 2


def test_every_touched_entity_is_stored_with_its_dirty_mark_before_any_view_is_due(known: Bench) -> None:
    outputs = known.commit(person())
    assert [(o.topic, o.key) for o in outputs] == [("entity", PROVIDER), ("entity", b"partition/0")]
    assert known.partition.store.dirty() == [PROVIDER]
    known.settle()
    assert known.partition.store.dirty() == []


def test_the_state_record_is_the_last_output_of_every_transaction(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    assert [tx[-1].key for tx in known.producer.transactions] == [b"partition/0"] * len(
        known.producer.transactions
    )


def test_a_withdrawal_on_silence_waits_two_seconds_and_on_proof_none(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.commit(person(status="terminated"))
    assert views(known.tick(LINGER)) == []
    assert known.entity().dirty is not None
    assert views(known.tick(WITHDRAW - 1)) == []
    assert len(views(known.tick(1))) == 3
    known.commit(person(status="active"))
    known.settle()
    known.commit(person(status="suspended"))
    assert len(views(known.commit(row("provider", provider_id="provider-1")))) == 3


def test_a_withdrawal_that_its_transaction_takes_back_is_never_told(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    gone, back = known.source.transaction(
        [Row("provider", person().row, "d"), Row("provider", person().row, "c")]
    )
    known.feed(gone)
    assert views(known.tick(LINGER)) == []
    known.feed(back)
    assert views(known.settle()) == []
    assert known.entity().revision == 1


def test_another_systems_next_transaction_does_not_withdraw_on_half_of_one(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    gone, back = known.source.transaction(
        [Row("provider", person().row, "d"), Row("provider", person().row, "c")]
    )
    known.feed(gone)
    said = known.feed(rekeyed_root(5), rekeyed_root(6, "provider-1"), topic="claims.directory")
    assert views(said + known.feed(back) + known.settle()) == []


def test_a_decision_that_waits_leaves_no_trace_of_having_been_made(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.commit(person(status="terminated"))
    before = core_entity.encode(known.entity())
    assert known.tick(LINGER) == []
    assert core_entity.encode(known.entity()) == before


# ---- counts ----

garbage = st.sampled_from(
    [
        (b"k", b"\xff", []),
        (b"provider-0", b"{}", []),
        (None, None, []),
        (b"provider-1", *Source("credentialing").message(person(), 1, 2)[1:]),
        (b"provider-0", *Source("credentialing").message(person(), 1, 2)[1:2], []),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(history=st.lists(st.one_of(changes(), garbage), min_size=1, max_size=12), data=st.data())
def test_every_record_ends_in_exactly_one_counted_outcome(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any], data: st.DataObject
) -> None:
    """Invariant 5, for any mix of good, bad and repeated records in chunks of any size."""
    bench = bench_at(tmp_path_factory.mktemp("counts"))
    messages: list[Message] = []
    for item in history:
        messages += bench.source.transaction([item]) if isinstance(item, Row) else [item]
        if data.draw(st.booleans()):
            messages.append(data.draw(st.sampled_from(messages)))
    while messages:
        size = data.draw(st.integers(1, len(messages)))
        bench.feed(*messages[:size])
        messages = messages[size:]
    quarantined = [o for tx in bench.producer.transactions for o in tx if o.topic == "quarantine"]
    state = bench.state
    assert state.consumed == {TOPIC: bench.offset}
    assert sum(state.outcomes[TOPIC].values()) == bench.offset
    assert state.outcomes[TOPIC].get("quarantined", 0) == len(quarantined)
    assert state.inputs == {TOPIC: bench.offset}
    assert state.outcomes[TOPIC].keys() <= {"applied", "unchanged", "superseded", "quarantined", "unmapped"}
    bench.partition.store.close()


def test_the_records_of_a_log_table_and_of_our_own_tables_are_counted_as_unmapped(bench: Bench) -> None:
    key, value, headers = bench.source.message(person(), 1, 2)
    control = json.loads(value)
    control["source"]["table"] = "concord_pending"
    bench.feed((key, json.dumps(control).encode(), headers))
    bench.commit(row("malpractice_claim", id="m", provider_id="provider-0"))
    assert bench.state.outcomes == {TOPIC: {"unmapped": 2}}


def test_a_unit_that_failed_counts_its_records_once_when_it_is_done_again(known: Bench) -> None:
    messages = known.source.transaction([person(), *belongings()])
    known.producer.failures.extend([Refused("the broker is away"), Refused("still")])
    for _ in range(2):
        offset = known.offset
        with pytest.raises(Refused):
            known.feed(*messages)
        known.offset = offset
        assert known.partition.store.state() is None
    known.feed(*messages)
    assert known.state.consumed == {TOPIC: len(messages)}
    assert views(known.settle()) == ALL_THREE


def test_a_decision_that_failed_to_be_written_is_made_again_the_same(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.producer.failures.append(Refused("the broker is away"))
    known.now += LINGER
    with pytest.raises(Refused):
        known.work()
    assert known.partition.store.dirty() == [PROVIDER]
    assert views(known.settle()) == ALL_THREE
    assert known.entity().revision == 1


# ---- bad records ----


def test_quarantine_keeps_the_original_bytes_headers_and_where_it_came_from(bench: Bench) -> None:
    """Invariant 6."""
    headers: Any = [("concord-epoch", b"1"), ("other", b"\x00\xff"), ("other", None)]
    bench.feed((b"\xfe", b"\xff\x00", headers))
    [bad] = [o for tx in bench.producer.transactions for o in tx if o.topic == "quarantine"]
    assert (bad.key, bad.value) == (b"\xfe", b"\xff\x00")
    assert bad.headers[:3] == headers
    told = dict(bad.headers[3:])
    assert told["concord-code"] == "change.undecodable"
    assert told["concord-origin"] == "cdc.credentialing/0/0"
    assert told["concord-code"] in REASONS


def test_the_records_after_a_bad_one_flow_on(known: Bench) -> None:
    rows = known.source.transaction([person(), *belongings()])
    known.feed((b"x", b"nonsense", []), rows[0], (b"x", None, []), *rows[1:])  # type: ignore[arg-type]
    assert views(known.settle()) == ALL_THREE
    assert known.state.outcomes[TOPIC] == {"quarantined": 2, "applied": 6}


def test_a_key_of_another_partition_is_quarantined_and_makes_no_entity(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, places=lambda key: 1)
    outputs = bench.commit(person())
    assert [dict(o.headers)["concord-code"] for o in outputs if o.topic == "quarantine"] == [
        "change.partition_wrong"
    ]
    assert list(bench.partition.store.entity_keys()) == []
    holder = encode_json(Holder("1234567893", "provider", "p", True, (1, 2, 3)))
    bench.feed((b"1234567893", holder, []), topic="claims.npi")
    assert list(bench.partition.store.entity_keys()) == []
    bench.partition.store.close()


def beyond_64_bits(fields: bytes) -> bytes:
    return b"{" + fields.replace(b"N", b"%d" % 10**30) + b"}"


@pytest.mark.parametrize(
    ("topic", "value", "code"),
    [
        ("clock", b"tick", "clock.undecodable"),
        ("clock", b'{"type":"another"}', "clock.undecodable"),
        ("clock", None, "clock.undecodable"),
        ("claims.npi", b"{}", "npi.undecodable"),
        (
            "claims.npi",
            b'{"npi":"\\ud800","kind":"p","id":"x","holds":true,"position":[1,2,3]}',
            "npi.undecodable",
        ),
        ("cdc.unheard_of", b"{}", "change.topic_unknown"),
        ("claims.npi", b'{"npi":"k","kind":"p","id":"x","holds":true,"position":[1,2]}', "npi.undecodable"),
        (
            "claims.witness",
            b'{"witness":"leie","kind":"provider","id":"k","record":"leie","row":"1","position":[1,2]}',
            "witness.undecodable",
        ),
        # A number beyond 64 bits can be read and not written: taken in, it stops the partition for good.
        (
            "clock",
            beyond_64_bits(b'"type":"snapshot-complete","system":"s","until":1,"epoch":N'),
            "clock.undecodable",
        ),
        (
            "clock",
            beyond_64_bits(b'"type":"snapshot-complete","system":"s","epoch":1,"until":N'),
            "clock.undecodable",
        ),
        (
            "claims.npi",
            beyond_64_bits(b'"npi":"k","kind":"p","id":"x","holds":true,"position":[1,N,3]'),
            "npi.undecodable",
        ),
        (
            "claims.witness",
            beyond_64_bits(
                b'"witness":"nppes","kind":"provider","id":"k","record":"nppes","row":"1","position":[1,2,N]'
            ),
            "witness.undecodable",
        ),
        (
            "receipt",
            beyond_64_bits(b'"system":"k","kind":"system","entity_id":"k","outcome":"paused","revision":N'),
            "receipt.undecodable",
        ),
    ],
)
def test_a_bad_record_of_another_topic_has_its_code(
    bench: Bench, topic: str, value: bytes | None, code: str
) -> None:
    outputs = bench.feed((b"k", value, []), topic=topic)  # type: ignore[arg-type]
    assert [dict(o.headers)["concord-code"] for o in outputs if o.topic == "quarantine"] == [code]
    assert bench.state.outcomes == {topic: {"quarantined": 1}}


def test_a_quarantined_row_opens_a_finding_and_a_good_one_closes_it(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.feed(broken_row(known.source))
    assert known.partition.store.dirty() == [PROVIDER], "the mark outlives a restart"
    assert findings(known.settle()) == ["provider/provider-0 capture.quarantined license/license-0"]
    known.commit(
        row("license", license_id="license-0", provider_id="provider-0", number="036-1", expires="2028-01-01")
    )
    assert findings(known.settle()) == ["provider/provider-0 capture.quarantined license/license-0"]
    assert known.entity().findings == {}


def test_a_bad_row_in_the_middle_of_a_transaction_does_not_end_it(known: Bench) -> None:
    rows = known.source.transaction([person(), *belongings()])
    key, value, headers = rows[1]
    bad = json.loads(value)
    bad["after"]["state"] = 7
    known.feed(rows[0], (key, json.dumps(bad).encode(), headers))
    assert known.work() == [], "its rest is still to come"
    known.feed(*rows[2:])
    assert views(known.settle()) == ALL_THREE
    assert known.state.late == 0


# ---- a defect of ours ----


class Defective(Address):
    """Fails where a real defect could: while encoding what a decision said."""

    broken = True

    def decision(self, *args: Any) -> list[Output]:
        if self.broken:
            raise RuntimeError("1234567893 must not be told")
        return super().decision(*args)


def test_a_decision_that_raises_is_taken_back_said_once_and_made_when_the_defect_is_gone(
    known: Bench, logs: list[Any]
) -> None:
    known.handler.address = defective = Defective(0, known.context)
    known.commit(person(), *belongings())
    outputs = known.settle()
    assert (views(outputs), findings(outputs)) == (
        [],
        ["provider/provider-0 internal.decide_failed provider"],
    )
    entity = known.entity()
    assert (entity.revision, entity.sent, entity.dirty) == (0, {}, None)
    assert [entry["error"] for entry in logs] == ["RuntimeError"], "its text may hold a value (Invariant 11)"
    defective.broken = False
    known.commit(person(degree="DO"))
    outputs = known.settle()
    assert (views(outputs), findings(outputs)) == (
        ALL_THREE,
        ["provider/provider-0 internal.decide_failed provider"],
    )
    assert known.entity().findings == {}


class BrokenRule(Address):
    """Stands for a rule of ours that raises."""

    def decision(self, *args: Any) -> list[Output]:
        raise RuleFailed("licence.lapsed") from ValueError("1234567893 must not be told")


def test_a_rule_that_raises_is_named_in_the_log_and_in_the_finding(known: Bench, logs: list[Any]) -> None:
    known.handler.address = BrokenRule(0, known.context)
    known.commit(person(), *belongings())
    outputs = known.settle()
    assert findings(outputs) == ["provider/provider-0 internal.decide_failed rule/licence.lapsed"]
    assert [(entry["error"], entry["rule"]) for entry in logs] == [("ValueError", "licence.lapsed")]


# ---- who holds an NPI ----


def holders(bench: Bench, npi: str) -> dict[str, Any]:
    rows = bench.entity(f"npi/{npi}".encode()).claims["platform"]["holder"]
    return {row_id: claim.image("holder") for row_id, claim in rows.items()}


def announced(outputs: list[Output]) -> list[Message]:
    return [(o.key or b"", o.value or b"", []) for o in outputs if o.topic == "claims.npi"]


def test_two_providers_of_one_npi_meet_at_the_npi_and_one_leaves_it(bench: Bench) -> None:
    for number in (0, 1):
        bench.commit(row("provider", provider_id=f"provider-{number}"))
        bench.feed(*announced(bench.settle()), topic="claims.npi")
    assert [h.id for h in holders(bench, "1234567893").values()] == ["provider-0", "provider-1"]
    # An NPI never changes by itself (R03): the row goes and comes back with the right one.
    bench.commit(Row("provider", row("provider", provider_id="provider-1").row, "d"))
    bench.commit(row("provider", provider_id="provider-1", npi="1407071236"))
    bench.feed(*announced(bench.settle()), topic="claims.npi")
    assert holders(bench, "1234567893")["provider/provider-1"] is None
    assert holders(bench, "1407071236")["provider/provider-1"] == canonical.Holder("provider", "provider-1")
    assert bench.partition.store.dirty() == []


def test_who_leaves_an_npi_is_heard_whatever_system_touched_the_provider_last(bench: Bench) -> None:
    """Positions of two systems say nothing of each other: the directory's log is a thousand times as long."""
    bench.commit(person())
    bench.feed(rekeyed_root(10**12), topic="claims.directory")
    bench.feed(*announced(bench.settle()), topic="claims.npi")
    bench.commit(Row("provider", person().row, "d"))
    bench.commit(person(npi="1407071236"))
    bench.feed(*announced(bench.settle()), topic="claims.npi")
    assert holders(bench, "1234567893") == {"provider/provider-0": None}


def test_an_announcement_sent_again_is_superseded(bench: Bench) -> None:
    bench.commit(person())
    said = announced(bench.settle())
    for _ in range(2):
        bench.feed(*said, topic="claims.npi")
    assert bench.state.outcomes["claims.npi"] == {"applied": 1, "superseded": 1}


# ---- the date ----


def test_today_is_the_newest_commit_date_and_never_goes_back(bench: Bench) -> None:
    bench.source.day = 20_605
    bench.commit(person())
    bench.source.day = 20_000
    bench.commit(person(degree="DO"))
    assert bench.state.as_of == "2026-06-01"


def test_a_source_whose_clock_is_ahead_does_not_carry_today_with_it(bench: Bench) -> None:
    """A date never goes back: a commit in 2099 would end every licence there is, for good."""
    [(key, value, headers)] = bench.source.transaction([person()])
    bench.work([Record(TOPIC, 0, 0, key, value, [*headers], 19_000 * DAY_MS)])
    assert bench.state.as_of == "2022-01-09", "a day ahead of the broker, as a tick may be"


# ---- the sandbox ----


def test_the_sandbox_tells_what_the_platform_told(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "store")
    sandbox.snapshot([person(), *belongings()])
    assert sandbox.told.findings["provider/provider-0"] == {"reference.unknown location/location-0"}
    place = row("practice_location", location_id="location-0", org_id="organization-0")
    sandbox.commit([place, row("organization", org_id="organization-0")])
    assert sandbox.told.findings["provider/provider-0"] == set()
    assert sandbox.told.views["directory/provider/provider-0"]["npi"] == "1234567893"
    assert sandbox.entity("npi/1234567893") is not None
    assert sandbox.verdict("provider/nobody") is None
    sandbox.send([(b"k", b"{", [])])
    assert sandbox.told.quarantined == ["change.undecodable"]
    sandbox.close()


def test_no_headers_and_no_keys_hold_restricted_values(known: Bench) -> None:
    """Invariant 11, over everything a provider with every restricted field makes the platform write."""
    dea = row("dea_registration", dea_id="d", provider_id="provider-0", number="AP5836727")
    known.commit(person(dob="1980-01-31"), *belongings(), dea)
    known.feed(broken_row(known.source))
    known.commit(person(dob="1980-01-31", npi="12"))
    known.settle()
    everything = [o for tx in known.producer.transactions for o in tx]
    for output in everything:
        told = (output.key or b"") + repr(output.headers).encode()
        assert b"1980-01-31" not in told
        assert b"AP5836727" not in told
    cleared = ("entity", "reference", "quarantine", "sink.enrollment", "sink.billing")
    for output in everything:
        if not output.topic.startswith(cleared):
            assert b"1980-01-31" not in (output.value or b"")
            assert b"AP5836727" not in (output.value or b"")
    assert msgspec.json.encode(sorted({o.topic for o in everything}))


# ---- gaps ----


def test_a_bad_row_that_is_the_first_of_its_entity_opens_a_finding(bench: Bench) -> None:
    bench.feed(broken_row(bench.source))
    assert "provider/provider-0 capture.quarantined license/license-0" in findings(bench.settle())
    assert bench.entity().gaps == {"license/license-0": "change.type_wrong"}


def test_a_bad_row_of_a_key_that_belongs_elsewhere_makes_no_entity(bench: Bench) -> None:
    bench.restart(places=lambda key: 1)
    bench.feed(broken_row(bench.source))
    assert bench.settle() == []
    assert bench.partition.store.get(PROVIDER) is None


class Defect:
    """A decoder that gives rows of another record: what aggregates them raises."""

    def __init__(self, sound: Decoder) -> None:
        self._sound = sound

    def decode(self, *message: Any) -> Any:
        return msgspec.structs.replace(self._sound.decode(*message), values=canonical.Holder())


def test_a_change_that_a_defect_kept_out_is_a_gap_of_its_entity(bench: Bench, logs: list[Any]) -> None:
    bench.commit(person())
    bench.settle()
    sound = bench.context.decoders
    bench.restart(decoders={"credentialing": Defect(sound["credentialing"])})
    bench.commit(row("license", license_id="license-0", provider_id="provider-0"))
    assert [entry["event"] for entry in logs] == ["decide.take_failed"]
    assert "provider/provider-0 capture.quarantined license/license-0" in findings(bench.settle())
    bench.restart(decoders=sound)
    bench.commit(row("license", license_id="license-0", provider_id="provider-0", status="expired"))
    assert "provider/provider-0 capture.quarantined license/license-0" in findings(bench.settle())
    assert bench.entity().gaps == {}, "the next row closes it"


def test_a_row_under_a_local_id_that_a_defect_kept_out_stops_nobody(tmp_path: Path) -> None:
    defects = {
        system: Defect(decoder) for system, decoder in decoders(("credentialing", "directory")).items()
    }
    bench = bench_at(tmp_path, decoders=defects)
    said = bench.feed(*directory_root(Source("directory")), topic="cdc.directory")
    assert bench.state.outcomes == {"cdc.directory": {"quarantined": 1}}
    assert findings(said) == ["directory.provider/7 capture.quarantined provider/7"]
    bench.partition.store.close()
