"""Who was overruled, as the topics say it: once each, the newest first, and nothing that isn't public."""

from __future__ import annotations

import pytest

from streams.errors import InvalidInput
from streams.operate.consume import Record
from streams.operate.masking import HIDDEN
from streams.operate.overruled import Asked, _once, overruled, told
from streams.settings import Settings
from streams.topics import CATALOGUE

SAID = {
    "system": "directory", "kind": "provider", "entity_id": "p-1", "local_id": "17", "record": "provider",
    "row_id": "17", "field": "degree", "outcome": "rejected", "rule": "2.1 degree", "owner": "credentialing",
    "current": '"MD"', "offered": '"DO"', "position": "1/20/30",
}  # fmt: skip


def record(at_ms: int = 1_700_000_000_000, offset: int = 7, **said: str | None) -> Record:
    return Record("rejection.directory", 1, offset, at_ms, "p-1", {}, 5, "concord.Rejection", SAID | said)


def test_it_says_who_when_why_and_from_what_to_what() -> None:
    found = told(record())
    assert (found.system, found.local_id, found.row) == ("directory", "17", "17")
    assert (found.entity, found.record, found.field) == ("provider/p-1", "provider", "degree")
    assert (found.was, found.became, found.outcome) == ('"DO"', '"MD"', "rejected")
    assert (found.rule, found.owner) == ("2.1 degree", "credentialing")
    assert (found.at, found.position) == ("2023-11-14T22:13:20.000+00:00", "1/20/30")
    assert found.place == "rejection.directory[1]@7"


def test_of_a_field_that_is_not_public_the_name_alone_is_told() -> None:
    found = told(record(record="organization", field="tin", current=None, offered=None))
    assert (found.was, found.became) == (HIDDEN, HIDDEN)


def test_a_record_that_came_again_is_one_edit() -> None:
    later = record(offset=9, position="1/20/44")
    assert [one.position for one in _once([later, record(offset=8), record()])] == ["1/20/44", "1/20/30"]


def test_a_record_that_cannot_be_decoded_is_told_as_such() -> None:
    broken = Record("rejection.directory", 1, 7, 0, "p-1", {}, None, "", None, "can't be decoded: KeyError")
    assert told(broken).outcome == "can't be decoded: KeyError"


def test_a_system_that_is_never_overruled_is_refused() -> None:
    with pytest.raises(InvalidInput, match="credentialing"):
        overruled(Settings(kafka="127.0.0.1:1"), Asked(system="credentialing"))


def test_the_topics_that_tell_it_are_kept_for_ever() -> None:
    kept = [topic.config for topic in CATALOGUE if topic.name.startswith("rejection.")]
    assert kept
    assert {(c["cleanup.policy"], c["retention.ms"], c["retention.bytes"]) for c in kept} == {
        ("delete", "-1", "-1")
    }
