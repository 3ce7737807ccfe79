"""Equivalence: what the platform itself writes into a system is never taken for an edit, whatever the view."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from connectors.sink import View as Sent
from schemas.tables import decoders
from streams.core import edit, view
from streams.core.advance import advance
from streams.core.change import Change
from streams.core.entity import Confirmed, Entity, golden
from streams.core.equivalent import equivalent
from streams.operate.rehearsal import TARGETS, Target
from streams.systems import ADAPTED
from tests.strategies import any_entity
from tests.world import AUTHORITY, TODAY, WORLD, entity_of

DECODERS = decoders(ADAPTED)
NEVER = Confirmed(1, (0, 0, 0), 0, 0)
"""A confirmation before everything: each row there counts as somebody's own."""


def written(system: str, kind: str, content: view.View) -> Entity:
    """What a system holds once its adapter has written a view into it, all of it counted as its users' word."""
    target = Target(system)
    told = {**view.named(content), "revision": 1}
    request = target.system.build(Sent(kind, "e", 1, told))
    for number, reference in enumerate(sorted(request.needs), 1):
        of, _, name = reference.partition("/")
        if of in TARGETS[system].roots:
            root = TARGETS[system].roots[of]
            target.rows[root.table, number] = {root.key: number, root.reference: name}
    entity = Entity(kind, "e")
    for message in target.apply(kind, "e", told):
        change = DECODERS[system].decode(*message)
        if isinstance(change, Change):
            advance(entity, change, 0)
    entity.confirmed[system] = NEVER
    return entity


@given(any_entity)
def test_what_a_request_builder_writes_is_what_its_view_says(history: list[Change]) -> None:
    """The right property: a builder writes other forms (ZIP+4 in two columns, ten digits, upper case), and a form that
    isn't known as the same value would be a false alarm, written back for ever."""
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    record = golden(entity, AUTHORITY)
    if record.root is None:
        return
    for system, content in view.build(record, WORLD.references, TODAY).items():
        held = written(system, entity.kind, content)
        found = edit.standing(held, {system: content}, AUTHORITY, TODAY)
        assert [(e.subject, e.current, e.offered) for e in found] == []


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [
        ("last_name", "O'Neil-Sample", "ONEIL SAMPLE"),
        ("phone", "+12175550142", "(217) 555-0142"),
        ("postal_code", "62701-1234", "62701"),
        ("postal_code", "62701-1234", "627011234"),
        ("languages", ["en", "es"], [{"code": "ES"}, {"code": "en"}]),
        ("latitude", "39.801", "39.801000"),
        ("line2", None, ""),
        ("accessibility", ["b", "a"], ["a", "b"]),
    ],
)
def test_another_form_is_the_same_value(field: str, ours: Any, theirs: Any) -> None:
    assert equivalent(field, ours, theirs)


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [
        ("last_name", "Sample", "Samples"),
        ("last_name", "Sample", None),
        ("phone", "+12175550142", "2175550143"),
        ("postal_code", "62701", "62701-1234"),
        ("postal_code", "62701-1234", "62702"),
        ("longitude", "-89.643", "89.643"),
        ("latitude", "3.98", "39.8"),
        ("languages", ["en", "es"], ["en"]),
        ("display_name", "?", "!"),
    ],
)
def test_another_value_is_none(field: str, ours: Any, theirs: Any) -> None:
    assert not equivalent(field, ours, theirs)


@given(any_entity)
def test_every_value_is_equivalent_to_itself(history: list[Change]) -> None:
    for change in history:
        for field in change.values.__struct_fields__ if change.values is not None else ():
            value = getattr(change.values, field)
            assert equivalent(field, value, value)
