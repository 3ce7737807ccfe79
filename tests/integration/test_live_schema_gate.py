"""What the real registry says of every case of the gate, under FULL_TRANSITIVE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas.registry import SchemaFile, connect, publish
from stack.environment import Environment
from streams.errors import InvalidInput
from tests.schema_cases import CASES, Case, text


@pytest.fixture(scope="module")
def client(stack: Environment) -> Iterator[Any]:
    with connect(stack.registry) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_verdict_of_the_registry(client: Any, unique: Callable[[str], str], case: Case) -> None:
    topic = unique("gate")
    *earlier, last = [
        SchemaFile(topic, number, text(schema), f"gate.v{number}.avsc")
        for number, schema in enumerate(case.history, 1)
    ]
    publish(client, earlier) if earlier else None
    assert _refused(client, [*earlier, last]) == ("registry" in case.others.split())


def _refused(client: Any, files: list[SchemaFile]) -> bool:
    try:
        publish(client, files)
    except InvalidInput:
        return True
    return False
