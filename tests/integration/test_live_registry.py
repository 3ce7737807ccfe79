"""Publishing schemas to the real registry: twice is once, a breaking change is refused, lookups never register."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.registry import SchemaFile, connect, ids, publish, schema_files
from stack.environment import Environment
from streams.errors import EnvironmentFault, InvalidInput, Unavailable

REVISION = {"name": "revision", "type": "long"}
REASON = {"name": "reason", "type": ["null", "string"], "default": None}


def version(topic: str, number: int, *fields: dict[str, Any]) -> SchemaFile:
    schema = {"type": "record", "name": "Provider", "namespace": "concord.test", "fields": fields}
    return SchemaFile(topic, number, json.dumps(schema), f"{topic}.v{number}.avsc")


@pytest.fixture
def client(stack: Environment) -> Iterator[Any]:
    with connect(stack.registry) as found:
        yield found


def test_publishing_twice_registers_once(client: Any, unique: Callable[[str], str]) -> None:
    files = schema_files(prefix=f"{unique('t')}.")
    first, second = publish(client, files), publish(client, files)
    assert all(entry.created for entry in first)
    assert not any(entry.created for entry in second)
    assert [entry.id for entry in first] == [entry.id for entry in second]
    assert set(ids(client, files)) == {file.topic for file in files}


def test_a_field_with_a_default_may_be_added(client: Any, unique: Callable[[str], str]) -> None:
    topic = unique("added")
    files = [version(topic, 2, REVISION, REASON), version(topic, 1, REVISION)]
    assert [(entry.version, entry.created) for entry in publish(client, files)] == [(1, True), (2, True)]
    assert ids(client, files) == {topic: publish(client, files)[-1].id}


@pytest.mark.parametrize(
    "field",
    [{"name": "npi", "type": "string"}, {"name": "reason", "type": ["null", "long"], "default": None}],
    ids=["no default", "another type"],
)
def test_a_breaking_change_is_refused(
    client: Any, unique: Callable[[str], str], field: dict[str, Any]
) -> None:
    topic = unique("broken")
    publish(client, [version(topic, 1, REVISION, REASON)])
    with pytest.raises(InvalidInput) as caught:
        publish(client, [version(topic, 2, REVISION, field)])
    assert caught.value.code == "registry.breaking"
    assert f"{topic}.v2.avsc" in caught.value.message


def test_compatibility_reaches_past_the_newest_version(client: Any, unique: Callable[[str], str]) -> None:
    """Dropping a field and bringing it back with another type passes FULL, and must not pass FULL_TRANSITIVE."""
    topic = unique("transitive")
    publish(client, [version(topic, 1, REVISION, REASON), version(topic, 2, REVISION)])
    again = {"name": "reason", "type": "long", "default": 0}
    with pytest.raises(InvalidInput):
        publish(client, [version(topic, 3, REVISION, again)])


def test_looking_up_never_registers(client: Any, unique: Callable[[str], str]) -> None:
    topic = unique("absent")
    with pytest.raises(EnvironmentFault) as caught:
        ids(client, [version(topic, 1, REVISION)])
    assert caught.value.code == "registry.missing"
    assert f"{topic}-value" not in client.get_subjects()


def test_a_registry_that_does_not_answer_is_unavailable() -> None:
    with connect("http://127.0.0.1:9/apis/ccompat/v7") as client, pytest.raises(Unavailable):
        ids(client, [version("nowhere", 1, REVISION)])
