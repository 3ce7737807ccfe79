"""An owner behind an API keeps what it has been asked for once, and only while it holds what the approval is bound to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.rest.adapter import RestTarget
from connectors.sink import Applied, Batch, Failed, Partition, View
from streams.errors import EnvironmentFault, Unavailable
from tests.reference_api import Noted, ReferenceApi, reference_api, target_of

AT = Partition("sink.credentialing.request", 0, "first")
PATH = "provider/ann"


@pytest.fixture
def api() -> Iterator[ReferenceApi]:
    with reference_api() as running:
        running.documents[PATH] = {"degree": "MD", "languages": [], "sex": "F"}
        yield running


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def target(api: ReferenceApi, noted: Noted) -> Iterator[RestTarget]:
    made = target_of(api, noted, system="credentialing")
    yield made
    made.close()


def asked(*changes: tuple[str, str, Any, Any], entity_id: str = "ann", revision: int = 1) -> View:
    """A view of these approved changes: (id, field, value, expected)."""
    requests = [
        {"id": number, "record": "provider", "row_id": entity_id, "field": field,
         "value": _json(value), "expected": _json(expected)}
        for number, field, value, expected in changes
    ]  # fmt: skip
    content = {"revision": revision, "status": "active", "kind": "provider", "entity_id": entity_id}
    return View("request", entity_id, revision, {**content, "requests": requests})


def _json(value: Any) -> str | None:
    return json.dumps(value) if value is not None else None


def patches(api: ReferenceApi) -> list[int]:
    return [seen.status for seen in api.seen if seen.method == "PATCH"]


def test_an_approved_change_is_made_and_what_is_not_named_stays(
    target: RestTarget, api: ReferenceApi, noted: Noted
) -> None:
    view = asked(("1", "degree", "DO", "MD"), ("2", "languages", ["en"], []))
    assert target.apply(Batch([view], {AT: 5})) == [Applied()]
    assert api.documents[PATH] == {"degree": "DO", "languages": ["en"], "sex": "F"}
    assert noted.receipts == [], "its own change coming back says that it is made"
    assert target.offsets([AT]) == {AT: 5}


def test_what_is_sent_again_asks_for_nothing(target: RestTarget, api: ReferenceApi) -> None:
    view = asked(("1", "degree", "DO", "MD"))
    target.apply(Batch([view]))
    assert target.apply(Batch([view])) == [Applied()]
    assert patches(api) == [200]


def test_an_owner_who_puts_the_old_value_back_is_not_overruled_by_a_replay(
    target: RestTarget, api: ReferenceApi
) -> None:
    """Its key was used: the API knows that this approval has been made."""
    view = asked(("1", "degree", "DO", "MD"))
    target.apply(Batch([view]))
    api.documents[PATH]["degree"] = "MD"
    assert target.apply(Batch([view])) == [Applied()]
    assert api.documents[PATH]["degree"] == "MD"


@pytest.mark.parametrize(
    "view",
    [
        asked(("1", "degree", "DO", "PhD")),
        asked(("1", "no_such_field", "x", None)),
        asked(("1", "degree", "DO", "MD"), entity_id="nobody"),
    ],
)
def test_a_miss_changes_nothing_and_is_told(
    target: RestTarget, api: ReferenceApi, noted: Noted, view: View
) -> None:
    before = dict(api.documents)
    [outcome] = target.apply(Batch([view]))
    assert isinstance(outcome, Failed)
    assert (api.documents, patches(api)) == (before, [])
    [receipt] = noted.receipts
    assert (receipt.code, receipt.outcome, receipt.kind) == ("request.missed", "failed", "request")
    assert "DO" not in receipt.message


def test_one_that_misses_does_not_keep_the_others_from_being_made(
    target: RestTarget, api: ReferenceApi, noted: Noted
) -> None:
    target.apply(Batch([asked(("1", "sex", "X", "M"), ("2", "degree", "DO", "MD"))]))
    assert api.documents[PATH]["degree"] == "DO"
    assert "proposal 1" in noted.receipts[0].message
    assert "proposal 2" not in noted.receipts[0].message


@pytest.mark.parametrize(("field", "value", "made"), [("sex", "M", True), ("degree", "PhD", False)])
def test_what_somebody_changes_between_our_look_and_our_change_is_looked_at_again(
    target: RestTarget, api: ReferenceApi, field: str, value: str, made: bool
) -> None:
    def meanwhile() -> None:
        api.before_patch = None
        api.documents[PATH] = {**api.documents[PATH], field: value}

    api.before_patch = meanwhile
    [outcome] = target.apply(Batch([asked(("1", "degree", "DO", "MD"))]))
    assert isinstance(outcome, Applied) == made
    assert api.documents[PATH] == {"degree": "MD", "languages": [], "sex": "F", field: value} | (
        {"degree": "DO"} if made else {}
    )


def test_a_document_that_never_stands_still_is_asked_for_later(target: RestTarget, api: ReferenceApi) -> None:
    def always() -> None:
        api.documents[PATH] = {**api.documents[PATH], "count": api.documents[PATH].get("count", 0) + 1}

    api.before_patch = always
    with pytest.raises(Unavailable):
        target.apply(Batch([asked(("1", "degree", "DO", "MD"))], {AT: 5}))
    assert target_of(api, system="credentialing").offsets([AT]) == {}


def test_a_value_that_the_owner_refuses_is_told_without_it(
    target: RestTarget, api: ReferenceApi, noted: Noted
) -> None:
    api.say(422, body={"title": "no degree is called Quackery"})
    [outcome] = target.apply(Batch([asked(("1", "degree", "Quackery", "MD"), ("2", "sex", "X", "F"))]))
    assert isinstance(outcome, Failed)
    assert api.documents[PATH] == {"degree": "MD", "languages": [], "sex": "X"}, "the others are made"
    assert noted.receipts[0].code == "target.value"
    assert "Quackery" not in noted.receipts[0].message


def _without_tags(api: ReferenceApi) -> None:
    api.tags = False


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(_without_tags, "target.schema"), (lambda api: api.say(403), "target.forbidden")],
)
def test_an_api_that_cannot_compare_or_may_not_be_changed_pauses_the_system(
    target: RestTarget, api: ReferenceApi, noted: Noted, wrong: Callable[[ReferenceApi], None], code: str
) -> None:
    wrong(api)
    with pytest.raises(EnvironmentFault) as caught:
        target.apply(Batch([asked(("1", "degree", "DO", "MD"))]))
    assert (caught.value.code, noted.receipts, api.documents[PATH]["degree"]) == (code, [], "MD")


def test_after_a_fault_the_rest_is_asked_for_and_nothing_twice(target: RestTarget, api: ReferenceApi) -> None:
    api.say(503)
    batch = Batch([asked(("1", "degree", "DO", "MD"), ("2", "sex", "X", "F"))], {AT: 5})
    with pytest.raises(Unavailable):
        target.apply(batch)
    assert target.offsets([AT]) == {}
    assert target.apply(batch) == [Applied()]
    assert (api.documents[PATH]["degree"], api.documents[PATH]["sex"]) == ("DO", "X")
