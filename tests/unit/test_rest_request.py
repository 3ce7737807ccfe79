"""A view as a request, an answer as an outcome: what is asked of an API and what its answers mean, without one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.rest.answer import LONGEST_WAIT, Answer, described, meaning, retry_after
from connectors.rest.pace import Pace
from connectors.rest.request import build, key
from connectors.sink import Applied, Deferred, Failed, Superseded
from streams.errors import EnvironmentFault, Unavailable
from tests import views

NOW = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
VIEW = views.provider("directory", views.entity(1), 7, listings=[views.listing(views.entity(2))])
JSON = {"content-type": "application/problem+json"}


def answer(status: int, body: object = None, **headers: str) -> Answer:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {**JSON, **told}, json.dumps(body or {}).encode())


def test_a_view_is_put_whole_under_its_kind_and_id() -> None:
    put = build(VIEW)
    assert put.path == f"provider/{VIEW.entity_id}"
    assert json.loads(put.body) == VIEW.content
    assert put.headers["Idempotency-Key"] == f"provider/{VIEW.entity_id}@7"


def test_the_same_view_gives_the_same_bytes() -> None:
    turned = dict(reversed(VIEW.content.items()))
    assert build(replace(VIEW, content=turned)) == build(VIEW)


@given(st.text(), st.text(), st.integers(0, 99), st.integers(0, 99))
def test_two_versions_never_share_a_key(one: str, other: str, first: int, second: int) -> None:
    """Separators in an id are the danger: an id `a@1` must not look like revision 1 of `a`."""
    pair = [views.view("directory", "provider", id, rev) for id, rev in ((one, first), (other, second))]
    same = (one, first) == (other, second)
    assert (key(pair[0]) == key(pair[1])) == same


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_confirms_the_revision(status: int) -> None:
    found = meaning("directory", VIEW, answer(status), NOW)
    assert (found.outcome, found.confirmed) == (Applied(), True)


def test_a_replay_is_superseded_and_confirmed() -> None:
    found = meaning("directory", VIEW, answer(200, idempotent_replayed="true"), NOW)
    assert (found.outcome, found.confirmed) == (Superseded(), True)


@pytest.mark.parametrize(
    ("told", "confirmed"), [(answer(412), False), (answer(409, {"revision": 9}), False), (answer(409, {"revision": 7}), True)]
)  # fmt: skip
def test_a_target_with_a_newer_one_has_superseded_ours(told: Answer, confirmed: bool) -> None:
    found = meaning("directory", VIEW, told, NOW)
    assert (found.outcome, found.confirmed) == (Superseded(), confirmed)


@pytest.mark.parametrize("body", [{}, {"revision": 3}, {"revision": "9"}, [9], "9"])
def test_a_conflict_that_names_nothing_newer_is_a_failure_and_no_silent_loss(body: object) -> None:
    outcome = meaning("directory", VIEW, answer(409, body), NOW).outcome
    assert isinstance(outcome, Failed)
    assert outcome.code == "target.conflict"


@pytest.mark.parametrize("status", [400, 410, 413, 422])
def test_what_the_api_cannot_take_of_this_view_is_its_failure(status: int) -> None:
    outcome = meaning("directory", VIEW, answer(status, {"detail": "languages: unknown field"}), NOW).outcome
    assert isinstance(outcome, Failed)
    assert (outcome.code, "languages: unknown field" in outcome.message) == ("target.value", True)


def test_a_failure_never_quotes_a_value() -> None:
    detail = (
        f"last_name Fernhollow with npi {VIEW.content['npi']} born 1970-01-02, tin 12-1234567, dea AB1234567"
    )
    text = described(VIEW, answer(422, {"detail": detail}))
    assert not [word for word in ("Fernhollow", VIEW.content["npi"], "1970", "1234567") if word in text]
    assert "<last_name>" in text


def test_a_failure_is_short_and_a_web_page_is_not_quoted() -> None:
    assert len(described(VIEW, answer(422, {"detail": "x " * 5000}))) < 400
    page = Answer(400, {"content-type": "text/html"}, b"<html>secret</html>")
    assert described(VIEW, page) == "provider: HTTP 400"


def test_what_a_view_waits_for_is_a_path_of_the_api() -> None:
    there = f"location/{views.entity(2)}"
    assert meaning("directory", VIEW, answer(424, {"waits_for": there}), NOW).outcome == Deferred(there)
    for elsewhere in ("http://elsewhere/x", "../token", "//elsewhere", 7, None):
        found = meaning("directory", VIEW, answer(424, {"waits_for": elsewhere}), NOW)
        assert isinstance(found.outcome, Failed)


@pytest.mark.parametrize("status", [202, 408, 425, 429, 500, 502, 503, 504])
def test_a_fault_that_passes_is_asked_again(status: int) -> None:
    with pytest.raises(Unavailable) as fault:
        meaning("directory", VIEW, answer(status), NOW)
    assert "Fernhollow" not in str(fault.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "target.credentials"), (403, "target.forbidden"), (404, "target.schema"), (405, "target.schema"),
     (415, "target.schema"), (301, "target.schema")],
)  # fmt: skip
def test_a_fault_of_all_views_is_nobodys_failure(status: int, code: str) -> None:
    with pytest.raises(EnvironmentFault) as fault:
        meaning("directory", VIEW, answer(status), NOW)
    assert fault.value.code == code
    assert fault.value.retry_after > 0
    assert fault.value.next_step


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7.0), ("Sun, 22 Nov 2026 03:15:20 GMT", 20.0), ("Sun, 22 Nov 2026 03:00:00 GMT", 0.0),
        ("99999999", LONGEST_WAIT), ("Sun, 22 Nov 2099 03:00:00 GMT", LONGEST_WAIT), ("", 0.0), ("soon", 0.0), ("-5", 0.0),
        ("²", 0.0), ("Sun, 22 Nov 2026 03:15:20", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_both_forms_and_bounded(asked: str, seconds: float) -> None:
    assert retry_after({"retry-after": asked}, NOW) == seconds


def test_an_api_that_is_busy_says_how_long_we_wait() -> None:
    with pytest.raises(Unavailable) as fault:
        meaning("directory", VIEW, answer(429, retry_after="12"), NOW)
    assert fault.value.retry_after == 12


def test_requests_are_spread_evenly_whoever_sends_them() -> None:
    pace = Pace(rate=4)
    assert [pace.wait(10.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert pace.wait(11.5) == 0.0
