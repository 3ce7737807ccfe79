"""What is published of the contracts is what their sources say, in the form its standard wants, and true of the records."""

from __future__ import annotations

import gzip
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from schemas.avro_type import fields
from stack.layout import PROJECT
from streams.codec import decision_headers, view_headers
from streams.core.advance import Emission
from streams.operate import contract_pages, rights
from streams.operate.contracts import Told, of, told
from streams.settings import Settings
from tests import views

TOPICS = told()
each = pytest.mark.parametrize("one", TOPICS, ids=lambda one: one.topic)


def standard(name: str) -> Any:
    packed = (PROJECT / "tests" / "fixtures" / "standards" / f"{name}.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((PROJECT / name).read_text("utf-8")))


def test_no_generated_file_has_drifted_from_its_source() -> None:
    assert contract_pages.drifted() == [], "run python -m streams.operate.contract_pages"


@each
def test_every_contract_is_valid_odcs(one: Told) -> None:
    [found] = documents(f"docs/topics/{one.topic}.odcs.yaml")
    jsonschema.Draft201909Validator(standard("odcs-3.1.0")).validate(found)


def test_the_topics_together_are_valid_asyncapi() -> None:
    [found] = documents("docs/topics/asyncapi.yaml")
    jsonschema.Draft7Validator(standard("asyncapi-3.0.0")).validate(found)
    assert [channel["address"] for channel in found["channels"].values()] == [one.topic for one in TOPICS]


def test_the_catalogue_names_every_topic_and_its_owner() -> None:
    found = documents("catalog-info.yaml")
    owners = {e["metadata"]["name"]: e["spec"]["owner"] for e in found if e["kind"] == "Resource"}
    assert owners == {one.topic: one.contract.owner for one in TOPICS}
    definition = next(e["spec"]["definition"]["$text"] for e in found if e["kind"] == "API")
    assert (PROJECT / definition).exists()


@each
def test_every_field_stands_in_every_form(one: Told) -> None:
    """Those of records in lists, too."""
    paths = [path for path, _ in fields(one.schema.tree)]
    page = (PROJECT / "docs" / "topics" / f"{one.topic}.md").read_text("utf-8")
    assert [path for path in paths if f"| `{path}` |" not in page] == []
    [found] = documents(f"docs/topics/{one.topic}.odcs.yaml")
    assert sorted(_paths(found["schema"][0]["properties"])) == sorted(paths)


def _paths(properties: list[Any], prefix: str = "") -> list[str]:
    found = []
    for one in properties:
        path = prefix + one["name"]
        items = one.get("items", {}).get("properties", [])
        found += [path, *_paths(items, f"{path}[]."), *_paths(one.get("properties", []), f"{path}.")]
    return found


def test_a_contract_names_the_headers_that_views_have() -> None:
    view = views.provider("directory", views.entity(1))
    emission = Emission("directory", "provider", view.entity_id, 7, view.content, ("npi",))  # type: ignore[arg-type]
    sent = view_headers(decision_headers(emission, (1, 2, 3), 4, "2026-11-22T00:00:00Z"), emission)
    for one in TOPICS:
        if not one.topic.startswith("sink."):
            assert one.contract.headers == {}, "findings and rejections are sent without"
            continue
        assert set(one.contract.headers) == {name for name, _ in sent}


def test_who_tells_findings_may_write_them() -> None:
    found = rights.wanted([of("finding")], Settings())
    assert {r.principal for r in found if r.operation == "WRITE"} == {
        "User:concord-decide",
        "User:concord-guard",
    }


def test_the_rights_are_those_of_the_contracts() -> None:
    found = rights.wanted([of("sink.directory.provider")], Settings(topic_prefix="t1."))
    assert [(r.principal, r.operation, r.resource, r.name, r.prefixed) for r in found] == [
        ("User:concord-decide", "DESCRIBE", "TOPIC", "t1.sink.directory.provider", False),
        ("User:concord-decide", "WRITE", "TOPIC", "t1.sink.directory.provider", False),
        ("User:concord-directory", "DESCRIBE", "TOPIC", "t1.sink.directory.provider", False),
        ("User:concord-directory", "READ", "GROUP", "t1.concord-directory", True),
        ("User:concord-directory", "READ", "TOPIC", "t1.sink.directory.provider", False),
    ]
