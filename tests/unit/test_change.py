"""A record becomes a Change or says by a stable code why not. What Debezium really sends: tests/fixtures/debezium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import envelope
from connectors.envelope import UNAVAILABLE as UNLOGGED
from connectors.envelope import Source
from streams.core.canonical import Provider
from streams.core.change import Change, Control, Malformed
from streams.core.decode import MAX_ROW_BYTES
from streams.core.malformed import REASONS
from tests.strategies import DECODER, MAPPING, column_type, decoded, documents, rows, transactions
from tests.world import row

RECORDED = Path(__file__).parents[1] / "fixtures" / "debezium"
LICENSE = row("license", license_id="license-0", provider_id="provider-0")


def record(
    change: envelope.Change = LICENSE, **parts: Any
) -> tuple[bytes, dict[str, Any], list[tuple[str, bytes]]]:
    """(key, envelope to change at will, headers)."""
    key, value, headers = Source("credentialing").message(change, 1_000, 1_008)
    return key, {**json.loads(value), **parts}, headers


def decode(key: bytes | None, value: Any, headers: Any) -> Any:
    return DECODER.decode(
        key, value if isinstance(value, bytes | None) else json.dumps(value).encode(), headers
    )


def refused(key: bytes | None, value: Any, headers: Any) -> str:
    said = decode(key, value, headers)
    assert isinstance(said, Malformed), said
    assert said.code in REASONS
    return said.code


def with_source(**parts: Any) -> tuple[bytes, dict[str, Any], list[tuple[str, bytes]]]:
    key, value, headers = record()
    value["source"] |= parts
    return key, value, headers


def with_image(**columns: Any) -> tuple[bytes, dict[str, Any], list[tuple[str, bytes]]]:
    key, value, headers = record()
    value["after"] |= columns
    return key, value, headers


# ---- what passes ----


@given(rows())
def test_every_row_of_every_table_comes_back_as_it_was_written(drawn: tuple[str, dict[str, Any]]) -> None:
    """Round trip: the stronger property, since it holds names, types and identity at once."""
    name, written = drawn
    table = MAPPING.tables[name]
    [said] = decoded([[envelope.Change(name, written)]])
    assert (said.kind, said.record) == (table.kind, table.record)
    assert (said.entity_id, said.row_id) == (written[table.entity], written[table.row])
    assert said.values is not None
    for column in table.columns:
        field = table.target(column)[1]
        assert (field in said.unavailable) == (written[column] is UNLOGGED)
        expected, found = written[column], getattr(said.values, field)
        if written[column] is UNLOGGED:
            assert found is None
        else:
            assert found == (str(expected) if column_type(table, column) == "uuid" and expected else expected)


@given(transactions())
def test_positions_rise_with_commits_and_within_a_transaction(history: list[list[envelope.Change]]) -> None:
    positions = [change.position for change in decoded(history)]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions)


def test_rows_that_were_read_stand_before_everything_streamed_after_the_same_commit() -> None:
    source = Source("credentialing")
    read = decode(*source.message(envelope.Change("license", LICENSE.row, "r"), 5_000, 5_100, "incremental"))
    streamed = decode(*source.message(LICENSE, 5_000, 5_008))
    assert read.position[:2] == (1, 5_000)
    assert read.position < streamed.position
    assert (read.read, read.initial) == (True, False)


def test_a_transaction_open_across_the_snapshot_wins_against_the_row_the_snapshot_read() -> None:
    """The trap: its row was written at a lower LSN than the snapshot's, and committed after it (Invariant 1)."""
    source = Source("credentialing", prior=9_000)
    [read] = source.snapshot([LICENSE])
    update = source.message(
        row("license", license_id="license-0", provider_id="provider-0", status="expired"), 8_990, 8_100
    )
    before, after = decode(*read), decode(*update)
    assert before.initial
    assert after.position[2] < 9_000, "its LSN is older than the snapshot's"
    assert after.position > before.position


def test_a_new_epoch_stands_after_all_of_the_old_one() -> None:
    old = decode(*Source("credentialing", epoch=1).message(LICENSE, 9_000, 9_001))
    [message] = Source("credentialing", epoch=2).snapshot([LICENSE])
    assert decode(*message).position > old.position


def test_a_delete_reads_nothing_but_the_identity_of_before() -> None:
    """The other columns of `before` are invented under this replica identity (cdc.md 8.1)."""
    key, value, headers = record(envelope.Change("license", LICENSE.row, "d"))
    value["before"] |= {"state": "", "expires": "1970-01-01Z", "issued": 12}
    said = decode(key, value, headers)
    assert isinstance(said, Change)
    assert (said.values, said.row_id) == (None, "license-0")


def test_a_primary_key_update_is_a_delete_of_the_old_row_and_a_row_of_the_new_id() -> None:
    gone = envelope.Change("license", LICENSE.row, "d")
    new = envelope.Change("license", {**LICENSE.row, "license_id": "license-1"}, "c")
    first, second = decoded([[gone, new]])
    assert (first.row_id, first.values) == ("license-0", None)
    assert (second.row_id, second.values is not None) == ("license-1", True)


@pytest.mark.parametrize(
    ("table", "column", "sent"),
    [
        ("work_history", "gap_explanation", "__debezium_unavailable_value"),
        ("practice_location", "hours", "__debezium_unavailable_value"),
        ("practice_location", "accessibility", ["__debezium_unavailable_value"]),
        ("dea_registration", "schedules", ["__debezium_unavailable_value"]),
    ],
)
def test_each_encoding_of_an_unchanged_toast_value_is_unavailable(table: str, column: str, sent: Any) -> None:
    mapped = MAPPING.tables[table]
    key, value, headers = record(row(table, **{mapped.entity: "e", mapped.row: "e"}))
    value["after"][column] = sent
    said = decode(key, value, headers)
    assert said.unavailable == (mapped.target(column)[1],)


def test_the_platforms_own_tables_are_control_records() -> None:
    assert decode(*with_source(table="concord_pending")) == Control("credentialing", "concord_pending")


@given(documents)
def test_every_document_jsonb_can_hold_comes_back(document: Any) -> None:
    person = row("provider", provider_id="provider-0", languages=document)
    [said] = decoded([[person]])
    assert isinstance(said.values, Provider)
    assert said.values.languages == document


def test_a_strangers_table_name_is_cut() -> None:
    said = decode(*with_source(table="x" * 1_000_000))
    assert isinstance(said, Malformed)
    assert len(said.detail) < 200, "it becomes a header of the quarantined record"


# ---- bad input: each its stable code ----

TOO_DEEP = b"[" * 100_000

BAD: dict[str, tuple[Any, str]] = {
    "no value": ((b"provider-0", None, []), "change.value_missing"),
    "bytes that are no UTF-8": ((b"k", b'{"op": "\xff"}', []), "change.undecodable"),
    "no JSON": ((b"k", b"{", []), "change.undecodable"),
    "JSON nested beyond any reader": ((b"k", b'{"op":"u","source":{},"after":' + TOO_DEEP, []), "change.undecodable"),
    "a lone surrogate": ((b"k", b'{"op":"u","source":{},"after":{"a":"\\ud800"}}', []), "change.undecodable"),
    "JSON that is no envelope": ((b"k", b'{"hello": 1}', []), "change.envelope_unknown"),
    "JSON that is no object": ((b"k", b"[]", []), "change.envelope_unknown"),
    "a row image that is no object": (record(after=[1]), "change.envelope_unknown"),
    "no row image": (record(after=None), "change.envelope_unknown"),
    "a delete without identity": (record(op="d", before=None), "change.envelope_unknown"),
    "an unknown operation": (record(op="x"), "change.operation_unknown"),
    "a logical message": (with_source(table=""), "change.table_unknown"),
    "an unknown table": (with_source(table="ssn_vault"), "change.table_unknown"),
    "a truncate": (record(op="t", after=None), "change.truncated"),
    "no key": ((None, *record()[1:]), "change.key_missing"),
    "a key that is not the row's": ((b"provider-1", *record()[1:]), "change.key_mismatch"),
    "a key that is no UTF-8": ((b"\xff\xfe", *record()[1:]), "change.key_mismatch"),
    "no epoch header": ((*record()[:2], []), "change.position_unknown"),
    "an epoch header without value": ((*record()[:2], [("concord-epoch", None)]), "change.position_unknown"),
    "an epoch that is no number": ((*record()[:2], [("concord-epoch", b"first")]), "change.position_unknown"),
    "no sequence": (with_source(sequence=None), "change.position_unknown"),
    "a sequence of another form": (with_source(sequence="12"), "change.position_unknown"),
    "no LSN": (with_source(lsn=None), "change.position_unknown"),
    "an LSN beyond 64 bits": (with_source(lsn=2**63), "change.envelope_unknown"),
    "a sequence beyond 64 bits": (with_source(sequence=f'["{2**63}","1"]'), "change.position_unknown"),
    "an epoch beyond 64 bits": (
        (*record()[:2], [("concord-epoch", b"-%d" % 2**64)]),
        "change.position_unknown",
    ),
    "a number where text belongs": (with_image(state=7), "change.type_wrong"),
    "text where a flag belongs": (with_image(disciplinary_flag="yes"), "change.type_wrong"),
    "an id that is a list": (with_image(license_id=["a"]), "change.type_wrong"),
    "a date that is none": (with_image(expires="soon"), "change.type_wrong"),
    "a date no calendar has": (with_image(expires="2026-02-30Z"), "change.type_wrong"),
    "an infinite date": (with_image(expires="+5877611-06-21Z"), "change.value_out_of_range"),
    "a date before Christ": (with_image(issued="-0043-03-15Z"), "change.value_out_of_range"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "code"), BAD.values(), ids=BAD.keys())
def test_a_bad_record_has_its_code(message: Any, code: str) -> None:
    assert refused(*message) == code


def test_a_column_the_mapping_names_and_the_event_lacks_is_named() -> None:
    key, value, headers = record()
    del value["after"]["expires"]
    said = decode(key, value, headers)
    assert said.code == "change.column_missing"
    assert "expires" in said.detail


def test_a_delete_whose_before_lacks_the_row_id_is_refused() -> None:
    key, value, headers = record(envelope.Change("license", LICENSE.row, "d"))
    del value["before"]["license_id"]
    assert refused(key, value, headers) == "change.column_missing"


@pytest.mark.parametrize(
    "document",
    ["[" * 100 + "]" * 100, "[" * 60_000, json.dumps([2**64]), json.dumps({"a": {"b": -(2**70)}})],
    ids=["too deep", "deeper than JSON can be read", "too large a number", "too small a number"],
)
def test_a_document_the_store_cannot_hold_is_refused_here(document: str) -> None:
    """Refused later it would fail each attempt to write the entity, without end."""
    key, value, headers = record(row("provider", provider_id="provider-0"))
    value["after"]["languages"] = document
    assert refused(key, value, headers) in ("change.value_out_of_range", "change.type_wrong")


def test_numbers_of_64_bits_pass_and_larger_ones_do_not() -> None:
    key, value, headers = record(row("provider", provider_id="provider-0"))
    value["after"]["row_version"] = 2**63 - 1
    assert isinstance(decode(key, value, headers), Change)
    value["after"]["row_version"] = 2**63
    assert refused(key, value, headers) == "change.value_out_of_range"


def test_a_row_of_five_megabytes_is_refused_and_says_whose_it_is() -> None:
    key, value, headers = record(
        row("work_history", id="w", provider_id="provider-0", gap_explanation="x" * 5 * 2**20)
    )
    said = decode(key, value, headers)
    assert said.code == "change.row_too_large"
    assert (said.kind, said.entity_id, said.record, said.row_id) == (
        "provider",
        "provider-0",
        "work_history",
        "w",
    )
    assert said.position == (1, 1_000, 1_008)
    assert str(MAX_ROW_BYTES) in said.detail


def test_a_refused_row_says_whose_history_has_a_gap_and_since_when() -> None:
    said = decode(*with_image(state=7))
    assert (said.system, said.kind, said.entity_id) == ("credentialing", "provider", "provider-0")
    assert (said.record, said.row_id, said.position) == ("license", "license-0", (1, 1_000, 1_008))


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.sampled_from(sorted(MAPPING.tables)),
    st.data(),
    st.integers(10**12, 10**13 - 1).map(lambda number: f"secret{number}"),
)
def test_no_detail_ever_holds_a_value(name: str, data: st.DataObject, secret: str) -> None:
    """Invariant 11: details go to headers and logs. Any column is broken by something that holds the secret."""
    table = MAPPING.tables[name]
    key, value, headers = record(row(name, **dict.fromkeys(table.key, "id")))
    column = data.draw(st.sampled_from(table.captured))
    shapes = [
        secret,
        [secret],
        {secret: secret},
        {"a": [secret]},
        f"{secret}Z",
        f"[{secret}",
        int(secret[6:]),
        [int(secret[6:])],
    ]
    value["after"][column] = data.draw(st.sampled_from(shapes))
    if data.draw(st.booleans()):
        value["op"] = secret
    said = decode(key, value, headers)
    if isinstance(said, Malformed):
        assert secret[6:] not in said.detail
        assert secret[6:] not in said.code


@given(st.binary(max_size=200), st.binary(max_size=20) | st.none())
def test_no_bytes_make_the_decoder_raise(value: bytes, key: bytes | None) -> None:
    assert isinstance(decode(key, value, []), Malformed)


NAMES = ["op", "source", "before", "after", "table", "sequence", "lsn", "license_id", "txId", "ts_us"]
anything = st.recursive(
    json_values | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
)


@given(anything)
def test_no_json_makes_the_decoder_raise(document: Any) -> None:
    try:
        value = json.dumps(document).encode()
    except UnicodeEncodeError:
        return
    assert isinstance(decode(b"k", value, []), Malformed | Control)


# ---- what Debezium really sends ----

RECORDINGS = {path.stem: json.loads(path.read_text()) for path in sorted(RECORDED.glob("*.json"))}
EXPECTED = {
    "applied_mark_again": ["Confirmation"],
    "applied_mark_then_row": ["Confirmation", "Change"],
    "date_before_christ": ["change.value_out_of_range"],
    "incremental_snapshot": ["change.value_out_of_range", "Change"],
    "infinite_and_ancient_dates": ["change.value_out_of_range"],
    "truncate": ["change.truncated"],
}


def recorded(name: str) -> list[Any]:
    return [
        decode(r["key"] and r["key"].encode(), r["value"], [(n, v.encode()) for n, v in r["headers"]])
        for r in RECORDINGS[name]["records"]
        if r["topic"] == "cdc.credentialing"
    ]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_event_decodes_as_expected(name: str) -> None:
    said = recorded(name)
    found = [item.code if isinstance(item, Malformed) else type(item).__name__ for item in said]
    assert found == EXPECTED.get(name, ["Change"] * len(said))


def test_recorded_unchanged_toast_is_unavailable_in_all_three_encodings() -> None:
    [text] = recorded("unchanged_toast_text")
    [mixed] = recorded("unchanged_toast_json_and_list")
    assert text.unavailable == ("gap_explanation",)
    assert sorted(mixed.unavailable) == ["accessibility", "hours"]


def test_recorded_rows_of_one_transaction_share_their_prior_commit() -> None:
    changes = recorded("transaction_of_three_rows")
    assert len({change.position[:2] for change in changes}) == 1
    assert len({change.position for change in changes}) == 3


def test_a_recorded_snapshot_stands_before_every_recorded_stream() -> None:
    last_read = max(change.position for change in recorded("snapshot"))
    assert all(last_read < change.position for change in recorded("update"))
    assert all(change.initial for change in recorded("snapshot"))


# ---- columns that somebody has altered at their source ----


def altered(table: str, **columns: Any) -> Any:
    """A row of the table, with these columns as Debezium writes another type."""
    names = MAPPING.tables[table]
    key, value, headers = record(row(table, **{names.entity: "provider-0", names.row: "row-0"}))
    value["after"] |= columns
    return decode(key, value, headers)


def test_a_mapped_column_that_is_gone_is_quarantined_and_never_read_as_null() -> None:
    key, value, headers = record()
    del value["after"]["expires"]
    assert refused(key, value, headers) == "change.column_missing"


@pytest.mark.parametrize("written", ["2026-06-01Z", "2026-06-01 10:00:00+00", 1_780_000_000_000_000])
def test_a_timestamp_that_became_something_else_is_quarantined(written: Any) -> None:
    said = altered("psv_record", performed_at=written)
    assert (type(said), said.code) == (Malformed, "change.type_wrong")


@pytest.mark.parametrize("written", ["infinity", "-infinity"])
def test_a_timestamp_without_end_is_kept_as_it_is_written(written: str) -> None:
    """As Debezium writes it; a row whose timestamp never ends is no altered column."""
    assert altered("psv_record", performed_at=written).values.performed_at == written


def test_a_date_that_became_a_timestamp_is_quarantined() -> None:
    said = altered("license", expires="2027-01-01T00:00:00.000000Z")
    assert (type(said), said.code) == (Malformed, "change.type_wrong")


def test_a_decimal_may_come_from_a_column_of_integers() -> None:
    said = altered("malpractice_coverage", per_occurrence=1_000_000, aggregate="3000000.50")
    assert (said.values.per_occurrence, said.values.aggregate) == ("1000000", "3000000.50")
