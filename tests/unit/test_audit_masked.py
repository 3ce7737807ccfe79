"""What is restricted never enters the audit, whatever it is called and wherever somebody typed it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.errors import ConcordError, InvalidInput
from streams.operate.audit.act import act, actor
from streams.operate.audit.masked import MOST, masked
from streams.operate.masking import HIDDEN
from streams.settings import Settings

NUMBER = "123-45-6789"


@pytest.mark.parametrize(
    "value",
    [
        {"tin": "123456789"},
        {"organization.tin": NUMBER},
        {"provider.date_of_birth": "1970-01-01"},
        {"date_of_birth": {"was": "1970-01-01"}},
        {"note": f"the row of {NUMBER}"},
        {"note": ["ok", f"ein 12-3456789, dea AB1234567, ssn {NUMBER}"]},
        f"subject {NUMBER}",
    ],
)
def test_a_restricted_value_does_not_stand_there(value: Any) -> None:
    kept = str(masked(value))
    assert HIDDEN in kept
    for part in (NUMBER, "123456789", "1970-01-01", "12-3456789", "AB1234567"):
        assert part not in kept


def test_names_places_and_counts_stay_as_they_are() -> None:
    said = {
        "npi": "1234567893",
        "place": "cdc.billing/0/123456789",
        "id": "12345678-1234-4234-8234-123456789012",
        "rows": 123456789,
        "epochs": {"2", "1"},
        "nothing": None,
    }
    assert masked(said) == {**said, "epochs": ["1", "2"]}


def test_a_long_list_keeps_its_beginning_and_says_how_many_there_are() -> None:
    assert masked([str(n) for n in range(MOST + 5)])[-1] == "... and 5 more"
    assert masked({str(n): n for n in range(MOST + 5)})["..."] == "and 5 more"


def test_an_act_is_written_before_and_behind_it(acts: list[Any]) -> None:
    with act(Settings(), "pat", "pause", why="upgrade", subject="directory", after={"paused": True}) as found:
        assert [row[4].obj["phase"] for row in acts] == ["intended"]
        found.before, found.after = {"paused": False}, {"paused": True, "adapters": 1}
    (who, what, kind, entity_id, _), _ = acts
    assert (who, what, kind, entity_id) == ("pat", "pause", None, None)
    intended, done = (row[4].obj for row in acts)
    assert intended["act"] == done["act"]
    assert intended["why"] == "upgrade"
    assert intended["after"] == {"paused": True}
    assert (done["phase"], done["before"], done["after"]["adapters"]) == ("done", {"paused": False}, 1)


def test_an_act_that_fails_says_so_and_fails_as_it_did(acts: list[Any]) -> None:
    with pytest.raises(ConcordError), act(Settings(), "pat", "pause"):
        raise ConcordError("pause.no_topic", "no topic")
    assert acts[-1][4].obj == {"act": acts[0][4].obj["act"], "phase": "failed", "code": "pause.no_topic"}
    with pytest.raises(KeyboardInterrupt), act(Settings(), "pat", "pause"):
        raise KeyboardInterrupt
    assert acts[-1][4].obj["code"] == "KeyboardInterrupt"


@pytest.mark.parametrize(("who", "why"), [(" ", ""), ("pat", f"the row of {NUMBER}"), ("pat", "x" * 501)])
def test_nobody_and_a_reason_that_may_not_stand_there_are_refused(
    acts: list[Any], who: str, why: str
) -> None:
    with pytest.raises(InvalidInput), act(Settings(), who, "pause", why=why):
        raise AssertionError("it was done")
    assert acts == []


def test_who_acts_is_who_says_so_then_the_setting_then_the_account() -> None:
    assert actor(Settings(actor="ann"), "pat") == "pat"
    assert actor(Settings(actor="ann")) == "ann"
    assert actor(Settings())
