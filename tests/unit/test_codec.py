"""Bytes of what leaves: the wire format fastavro and the registry read, and headers that replay to the same id."""

from __future__ import annotations

import io

import fastavro
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.core.advance import Emission
from streams.core.change import Position
from streams.core.finding import Event
from streams.core.view import BillingOrganization
from streams.operate.sandbox import contracts, encoders
from tests.strategies import texts

SCHEMAS = dict(contracts())
NUMBERS = {topic: number for number, topic in enumerate(SCHEMAS)}
positions = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 3)


def headers(emission: Emission, position: Position = (1, 2, 3)) -> dict[str, object]:
    return dict(
        codec.view_headers(codec.decision_headers(emission, position, 4, "2026-06-01T00:00:00"), emission)
    )


@given(st.builds(Event, texts, texts, texts, texts, texts, texts, texts, texts, texts, positions, positions))
def test_a_finding_comes_back_from_the_wire(event: Event) -> None:
    value = encoders().finding(event)
    assert value[:5] == b"\0" + NUMBERS["finding"].to_bytes(4, "big")
    found = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(SCHEMAS["finding"]), None)
    assert isinstance(found, dict)
    assert (found["kind"], found["code"], found["subject"]) == (event.kind, event.code, event.subject)
    assert found["position"] == codec.position_text(event.position)


@given(positions)
def test_a_position_can_be_read_back_from_its_text(position: Position) -> None:
    assert tuple(map(int, codec.position_text(position).split("/"))) == position


def test_the_wire_header_carries_the_registrys_id() -> None:
    content = BillingOrganization("withdrawn", None, "o")
    emission = Emission("billing", "organization", "o", 3, content, [])
    value = encoders().view(emission)
    assert value[:5] == b"\0" + NUMBERS["sink.billing.organization"].to_bytes(4, "big")


def test_a_views_headers_are_the_same_on_every_replay_and_differ_by_sink_and_revision() -> None:
    def emission(sink: str, revision: int) -> Emission:
        return Emission(sink, "provider", "p", revision, BillingOrganization(), ["npi", "last_name"])

    assert headers(emission("billing", 3)) == headers(emission("billing", 3))
    ids = {str(headers(emission(s, r))["ce_id"]) for s in ("billing", "directory") for r in (3, 4)}
    assert len(ids) == 4
    told = headers(emission("billing", 3))
    assert (told["concord-revision"], told["concord-changed"]) == ("3", "npi,last_name")
    assert (told["ce_specversion"], told["ce_subject"]) == ("1.0", "provider/p")
    version, trace, span, flags = str(told["traceparent"]).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")


@given(st.lists(st.tuples(texts, st.binary(max_size=9) | st.none()), max_size=4))
def test_quarantine_keeps_the_original_headers_first_and_unchanged(original: codec.Headers) -> None:
    """Invariant 6: also names that come twice, and headers without a value."""
    kept = codec.quarantine_headers(original, "change.undecodable", "a path", "cdc.credentialing/0/7")
    assert kept[: len(original)] == original
    assert dict(kept[len(original) :]) == {
        "concord-code": "change.undecodable",
        "concord-detail": "a path",
        "concord-origin": "cdc.credentialing/0/7",
    }
