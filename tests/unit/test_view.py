"""Views: total functions of any row that decodes, faithful to their Avro contracts, and free of what they may not hold."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import registry
from streams import codec, systems
from streams.core import view
from streams.core.advance import Emission
from streams.core.canonical import Provider
from streams.core.change import Change
from streams.core.entity import golden
from streams.core.today import is_current
from streams.operate.sandbox import contracts, encoders
from tests.strategies import CATALOG, any_entity, one_entity, reordered
from tests.world import AUTHORITY, TODAY, WORLD, entity_of, golden_of, provider, references

SCHEMAS: dict[str, Any] = {topic: schema for topic, schema in contracts() if topic.startswith("sink.")}
ENCODERS = encoders()
KINDS = {kind: sorted(views) for kind, views in view.VIEWS.items()}


def fields_of(schema: Any) -> list[str]:
    """Every field name of a schema, nested ones too."""
    if isinstance(schema, list):
        return [name for part in schema for name in fields_of(part)]
    if not isinstance(schema, dict):
        return []
    found = [f["name"] for f in schema.get("fields", [])]
    inner = [f["type"] for f in schema.get("fields", [])] + [
        schema[k] for k in ("items", "type") if k in schema
    ]
    return found + [name for part in inner for name in fields_of(part)]


def built(history: list[Change]) -> tuple[str, dict[str, Any]]:
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    return entity.kind, view.build(golden(entity, AUTHORITY), WORLD.references, TODAY)


def read(topic: str, value: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(SCHEMAS[topic]), None)


def wire(kind: str, sink: str, content: view.View) -> bytes:
    return ENCODERS.view(Emission(sink, kind, "id", 7, content, []))


@given(any_entity)
def test_every_view_of_any_rows_encodes_and_comes_back(history: list[Change]) -> None:
    """Round trip through the registered contract, read by fastavro: no field is lost, none is of another type."""
    kind, views = built(history)
    for sink, content in views.items():
        topic = f"sink.{sink}.{kind}"
        assert read(topic, wire(kind, sink, content)) == {"revision": 7, **view.named(content)}


@given(any_entity)
def test_a_view_names_exactly_the_fields_of_its_contract_in_their_order(history: list[Change]) -> None:
    """A misspelt field would silently take the contract's default."""
    kind, views = built(history)
    for sink, content in views.items():
        schema = SCHEMAS[f"sink.{sink}.{kind}"]
        assert ["revision", *content.__struct_fields__] == [field["name"] for field in schema["fields"]]


@given(any_entity.flatmap(lambda items: st.tuples(st.just(items), reordered(items))))
def test_views_do_not_depend_on_which_row_came_first(both: tuple[list[Change], list[Change]]) -> None:
    history, shuffled = both
    assert built(history) == built(shuffled)


@given(any_entity, st.data())
def test_a_mapping_that_lacks_columns_makes_no_view_raise(history: list[Change], data: st.DataObject) -> None:
    """Rows captured under an older mapping lack fields until they are backfilled."""
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    record = golden(entity, AUTHORITY)
    fewer = {
        name: {
            row_id: {f: getattr(row, f) for f in row.__struct_fields__ if data.draw(st.booleans())}
            for row_id, row in record.named(name).items()
        }
        for name in record.records
    }
    for sink, content in view.build(
        golden_of(record.kind, record.id, fewer), WORLD.references, TODAY
    ).items():
        assert wire(record.kind, sink, content)


@pytest.mark.parametrize(("kind", "sink"), [(k, s) for k, sinks in KINDS.items() for s in sinks])
def test_an_entity_of_nulls_has_a_view(kind: str, sink: str) -> None:
    nulls = {
        record: {"x": dict.fromkeys(known.fields)}
        for record, known in CATALOG.records.items()
        if known.kind == kind
    }
    for record in (golden_of(kind, "x", nulls), golden_of(kind, "x", {kind: {"x": {}}})):
        assert wire(kind, sink, view.build(record, lambda k, i: None, "")[sink])


@given(
    st.sampled_from([(k, s) for k, sinks in KINDS.items() for s in sinks]), st.text(max_size=9), any_entity
)
def test_every_withdrawal_encodes_and_says_only_who_and_why(
    where: tuple[str, str], reason: str, history: list[Change]
) -> None:
    kind, sink = where
    record = golden(entity_of(history, kind, "id"), AUTHORITY)
    content = view.withdrawn(record, sink, reason)
    found = read(f"sink.{sink}.{kind}", wire(kind, sink, content))
    assert (found["status"], found["reason"], found[f"{kind}_id"]) == ("withdrawn", reason, "id")
    assert {name for name, value in found.items() if value} <= {
        "revision",
        "status",
        "reason",
        f"{kind}_id",
        "npi",
    }


@given(one_entity())
def test_no_listing_and_no_affiliation_comes_twice(history: list[Change]) -> None:
    """The directory and billing refuse a second open row of one place and network, or one organization."""
    _, views = built(history)
    listings = views["directory"].listings
    names = [(x.location_id, x.payer, x.product or "", x.network or "") for x in listings]
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    open_ended = [a.organization_id for a in views["billing"].affiliations if a.effective_to is None]
    assert len(set(open_ended)) == len(open_ended)


# ---- Invariant 11: what may stand where ----

WORK = [f"{system}.{kind}" for system, kinds in systems.WORK.items() for kind in kinds]
CLEARED = {
    "S1": {"group_tax_id": ["enrollment.provider"], "tin": ["billing.organization"], "value": WORK},
    "S2": {"license_number": ["enrollment.provider"]},
}
"""Fields of a restricted class, by the sinks whose contract clears them. A new one is a decision, not an accident."""
RESTRICTED_WORDS = ("dob", "birth", "ssn", "tin", "tax", "dea", "social", "cds", "malpractice", "exclusion")


@pytest.mark.parametrize("topic", SCHEMAS)
def test_no_contract_has_a_restricted_field_it_is_not_cleared_for(topic: str) -> None:
    restricted = {
        name
        for record in CATALOG.records.values()
        for name, field in record.fields.items()
        if field.cls != "public"
    } - {
        name
        for record in CATALOG.records.values()
        for name, field in record.fields.items()
        if field.cls == "public"
    }
    allowed = {
        f
        for fields in CLEARED.values()
        for f, sinks in fields.items()
        if topic.removeprefix("sink.") in sinks
    }
    for name in set(fields_of(SCHEMAS[topic])) - allowed:
        assert name not in restricted
        words = name.split("_")
        assert not [word for word in RESTRICTED_WORDS if word in words], f"{topic} {name}"


@given(one_entity())
def test_no_restricted_value_of_any_row_reaches_the_directory(history: list[Change]) -> None:
    """By value: each restricted field is marked, and no mark is found in the encoded view."""
    kind, views = built([_marked(change) for change in history])
    assert b"marked-" not in wire(kind, "directory", views["directory"])


def _marked(change: Change) -> Change:
    if change.values is None:
        return change
    marked = {
        field: f"marked-{field}"
        for field, value in msgspec.structs.asdict(change.values).items()
        if _restricted(change.record, field) and isinstance(value, str)
    }
    return msgspec.structs.replace(change, values=msgspec.structs.replace(change.values, **marked))


def _restricted(record: str, field: str) -> bool:
    known = CATALOG.field(record, field)
    return known is not None and known.cls != "public"


def test_the_references_tax_numbers_reach_the_cleared_sinks_and_no_other() -> None:
    record = golden(provider(), AUTHORITY)
    views: dict[str, Any] = dict(view.build(record, WORLD.references, TODAY))
    assert views["enrollment"].groups[0].group_tax_id == "120000001"
    for sink in ("directory", "billing"):
        assert b"120000001" not in wire("provider", sink, views[sink])
    for known in references().values():
        for sink, content in view.build(known, WORLD.references, TODAY).items():
            assert (b"120000001" in wire(known.kind, sink, content)) == (
                f"{sink}.{known.kind}" == "billing.organization"
            )


def test_headers_hold_no_value_of_a_view() -> None:
    record = golden(provider(), AUTHORITY)
    for sink, content in view.build(record, WORLD.references, TODAY).items():
        emission = Emission(sink, "provider", "provider-0", 1, content, list(content.__struct_fields__))
        shared = codec.decision_headers(emission, (1, 2, 3), 4, "now")
        for _, text in codec.view_headers(shared, emission):
            assert "1234567893" not in str(text)
            assert "Example" not in str(text)


# ---- examples ----


@pytest.mark.parametrize(
    ("start", "end", "current"),
    [
        (None, None, True),
        (TODAY, None, True),
        ("2026-06-02", None, False),
        (None, TODAY, False),
        (None, "2026-06-02", True),
        ("2026-06-02", "2026-06-02", False),
    ],
)
def test_periods_are_half_open(start: str | None, end: str | None, current: bool) -> None:
    assert is_current(start, end, TODAY) is current


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (
            {"first_name": "Ann", "middle_name": "Blake", "last_name": "Example", "degree": "MD"},
            "Ann B. Example, MD",
        ),
        ({"last_name": "Example", "name_suffix": "Jr"}, "Example Jr"),
        ({"degree": "MD"}, None),
        ({"first_name": "", "middle_name": ""}, None),
    ],
)
def test_display_names(row: dict[str, Any], name: str | None) -> None:
    assert view.display_name(Provider(**row)) == name


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ([{"code": "es"}, {"code": "en"}, {"code": "es"}], ["en", "es"]),
        (["fr", None, ""], ["fr"]),
        ([{"proficiency": "50"}, {"code": 7}, 7, [1]], []),
        ({"code": "en"}, []),
        ("en", []),
        (3, []),
        (None, []),
    ],
)
def test_languages_are_the_codes_of_whatever_document_stands_there(document: Any, codes: list[str]) -> None:
    entity = provider(languages=document)
    shown: Any = view.build(golden(entity, AUTHORITY), WORLD.references, TODAY)["directory"]
    assert shown.languages == codes


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ([{"day": "mon", "open": "08:00", "close": "17:00"}], [("mon", "08:00", "17:00", False)]),
        ([{"day": "sat", "all_day": True, "open": 8}], [("sat", None, None, True)]),
        ([{"open": "08:00"}, {"day": 1}, "mon", None], []),
        ({"mon": "08:00"}, []),
        (7, []),
    ],
)
def test_hours_are_the_days_of_whatever_document_stands_there(document: Any, shown: list[Any]) -> None:
    place = golden_of("location", "l", {"location": {"l": {"hours": document}}})
    found: Any = view.build(place, lambda k, i: None, TODAY)["directory"]
    assert [(h.day, h.open, h.close, h.all_day) for h in found.hours] == shown


def test_a_sinks_contract_is_packaged_for_every_view_and_no_other() -> None:
    views = [f"{s}.{k}" for k, sinks in KINDS.items() for s in sinks]
    assert sorted(SCHEMAS) == sorted(f"sink.{name}" for name in (*views, *WORK))
    assert all(json.loads(file.text) for file in registry.schema_files())


def test_changed_fields_are_those_that_differ() -> None:
    contract = view.VIEWS["organization"]["billing"]
    first = view.encode(view.BillingOrganization("active", None, "o", "1234567893", None, "A"))
    other = view.encode(view.BillingOrganization("active", None, "o", None, None, "B"))
    assert view.changed_fields(contract, None, first) == list(contract.view.__struct_fields__)
    assert view.changed_fields(contract, first, other) == ["npi", "legal_name"]
    assert view.changed_fields(contract, first, first) == []


def test_a_view_sent_before_a_field_was_appended_had_its_default() -> None:
    contract = view.VIEWS["organization"]["billing"]
    short = view.encode(["active", None, "o", "1234567893"])
    same = view.encode(view.BillingOrganization("active", None, "o", "1234567893"))
    named = view.encode(view.BillingOrganization("active", None, "o", "1234567893", None, "A"))
    assert view.changed_fields(contract, short, same) == []
    assert view.changed_fields(contract, short, named) == ["legal_name"]
