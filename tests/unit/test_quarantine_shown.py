"""What `concord quarantine show` may show: public columns, names and positions; the rest is masked or only measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.envelope import Change, Source
from schemas.catalog import load_catalog, load_mappings
from streams.operate.masking import HIDDEN
from streams.operate.quarantine import shown
from streams.operate.quarantine.record import Headers, Origin, Quarantined
from tests.world import row

HERE = Origin("quarantine", 0, 0)
SECRET = "zzq-91-secret"
SYSTEMS = load_mappings()


def captured(change: Change, **after: Any) -> bytes:
    """The row as it was captured, some of its columns replaced."""
    [(_, value, _)] = Source("credentialing").transaction([change])
    envelope = json.loads(value)
    envelope["after"] |= after
    return json.dumps(envelope).encode()


def test_public_columns_are_shown_and_internal_and_restricted_ones_are_masked() -> None:
    value = captured(row("provider", provider_id="p"), dob="1971-02-03", first_name="Ann")
    told = shown.envelope(value, "credentialing")
    assert (told["op"], told["source"]["table"]) == ("u", "provider")
    assert (told["after"]["provider_id"], told["after"]["first_name"]) == ("p", "Ann")
    assert told["after"]["dob"] == HIDDEN
    value = captured(row("license", license_id="l", provider_id="p"), number="036-1")
    assert shown.envelope(value, "credentialing")["after"]["number"] == HIDDEN


@pytest.mark.parametrize(
    "table", [pytest.param((s, t), id=f"{s}.{t}") for s, m in SYSTEMS.items() for t in m.tables]
)
def test_no_column_that_is_not_public_is_ever_shown(table: tuple[str, str]) -> None:
    """Invariant 11, for every mapped column of every system, whatever type its bad value has."""
    system, name = table
    mapped, catalog = SYSTEMS[system].tables[name], load_catalog()
    public = {c for c in mapped.columns if (f := catalog.field(*mapped.target(c))) and f.cls == "public"}
    for bad in (SECRET, [SECRET], {"a": SECRET}):
        image = dict.fromkeys([*mapped.captured, "column_of_tomorrow"], bad)
        value = json.dumps({"op": "u", "source": {"table": name}, "before": image, "after": image}).encode()
        told = shown.envelope(value, system)
        for side in ("before", "after"):
            leaked = {c for c, v in told[side].items() if SECRET in str(v)}
            assert leaked == public | set(mapped.key)


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"op": "u", "source": {"table": "unheard_of"}, "after": {"ssn": SECRET}}).encode(),
        json.dumps({"op": "u", "source": {"table": "provider", "query": SECRET}, "after": SECRET}).encode(),
        json.dumps(
            {"op": "u", "source": {"table": "provider"}, "after": [SECRET], "transaction": SECRET}
        ).encode(),
        json.dumps({"ssn": SECRET}).encode(),
        json.dumps({"op": "u", "source": SECRET, "after": {}}).encode(),
        json.dumps(SECRET).encode(),
        b"\xff" + SECRET.encode(),
        SECRET.encode(),
        b"[" * 100_000,
        b"",
        None,
    ],
)
def test_of_what_is_no_row_of_a_mapped_table_only_names_and_sizes_are_said(value: bytes | None) -> None:
    assert SECRET not in json.dumps(shown.envelope(value, "credentialing"))


def test_a_long_value_is_cut() -> None:
    value = captured(row("provider", provider_id="p"), last_name="x" * 1_000_000)
    told = shown.envelope(value, "credentialing")["after"]["last_name"]
    assert told.endswith("(1000000 characters)")
    assert len(told) < 200


def test_of_headers_that_are_not_ours_only_the_size_is_shown() -> None:
    headers: Headers = [("concord-epoch", b"3"), ("x-note", SECRET.encode()), ("empty", None)]
    found = Quarantined(HERE, HERE, HERE, "a.code", "", 0, None, None, headers)
    assert shown.headers(found) == [
        ["concord-epoch", "3"],
        ["x-note", f"{HIDDEN} (13 bytes)"],
        ["empty", f"{HIDDEN} (0 bytes)"],
    ]
