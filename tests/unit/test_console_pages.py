"""The console's pages over ports in memory: what they answer, that text stays text, and what is told when a part is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from schemas.handoffs import handoffs as declared
from streams.console import memory, sample
from streams.console.overview import hop_state, lines, state_of
from streams.console.port import Desk, Look
from streams.errors import EnvironmentFault, Unavailable
from streams.operate.explain import Explanation
from streams.operate.standing import CAUGHT_UP, LAGGING, STOPPED, UNKNOWN, hop
from streams.operate.worklist.case import Progress
from tests.console import Somebody, findings, signed_in

ANN = f"/providers/provider/{sample.ANN}"
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'"
SECRET = "1980-01-01"


@pytest.fixture
def desk() -> Desk:
    return memory.desk(20)


@pytest.fixture
def pat(desk: Desk) -> Iterator[Somebody]:
    with signed_in(desk, "admin") as found:
        yield found


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "3 of 6 are not fresh"),
        ("/findings", "A system that doesn&#39;t own the field proposes another value"),
        ("/findings?whose=mine", "Nothing is open here"),
        ("/providers", "NPI, id of the master"),
        ("/providers?key=1234567893", "Example"),
        (ANN, "fields in which systems differ"),
        (f"{ANN}/trace", "Revision"),
        ("/proposals", "provider.degree"),
        ("/proposals?everything=true", "in all"),
        ("/quarantine", "cdc.billing/0/7"),
        ("/quarantine/record?origin=cdc.billing/0/7", "Sent back now"),
        ("/audit", "Nothing was done yet"),
    ],
)
def test_each_page_answers_its_question(pat: Somebody, path: str, says: str) -> None:
    assert says in pat.get(path)


class Crowded(memory.Proposals):
    """More wait than any list shows."""

    def waiting(self) -> int:
        return 12_345

    def listed(self, *, everything: bool, most: int = 500) -> list[dict[str, Any]]:
        raise AssertionError("a number needs no list")


def test_the_overview_counts_every_proposal_that_waits(desk: Desk) -> None:
    with signed_in(replace(desk, proposals=Crowded([])), "viewer") as somebody:
        assert "12,345" in somebody.get("/")


def test_a_list_of_proposals_that_is_cut_says_so_and_offers_more(pat: Somebody, desk: Desk) -> None:
    waiting = len(desk.proposals.listed(everything=False))
    assert waiting > 1
    assert f"{waiting} open" in pat.get("/proposals")
    cut = pat.get("/proposals?limit=1")
    assert "The oldest 1, of those that are open" in cut
    assert "limit=2" in cut
    assert "limit=" not in pat.get(f"/proposals?limit={waiting}")
    assert "missing or wrong" in pat.get("/proposals?limit=501", 422)


class Hasty(memory.Providers):
    """Explains nothing."""

    def explain(self, key: str) -> list[Explanation]:
        raise AssertionError("a search needs no explanation")


def test_a_search_that_finds_one_goes_to_its_page_and_explains_nothing_before(desk: Desk) -> None:
    made = sample.sample()
    with signed_in(replace(desk, providers=Hasty(made.entities, made.as_of)), "viewer") as somebody:
        answer = somebody.client.get("/providers?key=1234567893", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, ANN)


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nowhere", 404, "no such page"),
        ("/findings/ffff", 404, "This finding is not open"),
        ("/findings/zz", 404, "This finding is not open"),
        ("/findings?severity=huge", 422, "no such severity"),
        ("/findings?after=soon", 422, "no such page"),
        ("/providers?key=nobody", 422, "is no key"),
        ("/providers?key=1999999984", 404, "nothing is known"),
        ("/proposals/7", 422, "no such proposal"),
        ("/proposals/x", 422, "missing or wrong"),
        ("/quarantine/record?origin=a/0/1", 404, "nothing in the quarantine"),
    ],
)
def test_what_is_asked_wrongly_gets_a_page_that_says_so(
    pat: Somebody, path: str, status: int, says: str
) -> None:
    assert says.lower() in pat.get(path, status).lower()


def test_late_stopped_unknown_and_fresh_are_four_things() -> None:
    assert state_of(CAUGHT_UP, 0.0) == "fresh"
    assert state_of(LAGGING, 2.0) == "fresh"  # on its way
    assert state_of(LAGGING, 60.0) == "late"
    assert [state_of(s, None) for s in (STOPPED, UNKNOWN)] == ["stopped", "unknown"]
    assert hop_state(hop("directory", [])) == "unknown"
    assert lines(Look()) == []


def test_each_handoff_is_shown_open_or_late_by_age_and_unknown_is_no_zero(pat: Somebody) -> None:
    text = pat.get("/")
    assert all(f"{each.source} → {each.to}" in text for each in declared())
    rows = {row.partition("<span")[0].strip(): row for row in text.split('scope="row">')}
    late = rows["credentialing → directory"]
    assert "late" in late
    assert "22 min" in late
    assert "1 min" in late
    unknown = next(row for row in text.split('scope="row">') if "Concord does not carry it" in row)
    assert "unknown" in unknown
    assert ">0<" not in unknown.partition("</tr>")[0]


def test_a_restricted_value_is_masked_until_it_is_revealed(pat: Somebody) -> None:
    assert SECRET not in pat.get(ANN)


def test_one_provider_shows_the_systems_side_by_side_and_who_owns_each_field(pat: Somebody) -> None:
    text = pat.get(ANN)
    assert all(f'scope="col">{system}</th>' in text for system in ("credentialing", "directory", "billing"))
    assert "waits for a ruling" in text
    assert "source of truth" in text


TEXTS = (
    "entity_id",
    "code",
    "subject",
    "effect",
    "message",
    "action",
    "actor",
    "position",
    "due",
    "severity",
)


@pytest.mark.parametrize("name", TEXTS)
def test_a_script_in_any_text_of_a_finding_stays_text(name: str) -> None:
    evil = Desk(**{**_parts(memory.desk(0)), "worklist": memory.Worklist(findings(**{name: EVIL})[:1])})
    with signed_in(evil, "admin") as pat:
        listed = pat.get("/findings")
        overview = pat.get("/")
        one = pat.get(f"/findings/{evil.worklist.page(_all()).cases[0].id}")
    for text in (listed, overview, one):
        assert "<script>alert" not in text
        assert "<img" not in text.replace('<img src="/static', "")
    assert "&lt;script&gt;" in one


def test_a_script_in_what_people_say_stays_text(desk: Desk, pat: Somebody) -> None:
    number = desk.proposals.listed(everything=False)[0]["proposal_id"]
    text = pat.post(f"/proposals/{number}/comment", {"body": EVIL})
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in pat.get(f"/providers?key={EVIL}", 422)


def test_a_name_is_escaped_wherever_it_stands() -> None:
    with signed_in(memory.desk(0), "viewer", EVIL[:60]) as evil:
        assert "<script>alert" not in evil.get("/")


def test_without_kafka_the_pages_say_what_why_and_the_next_step(desk: Desk) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            def fails(*_: Any, **__: Any) -> Any:
                raise Unavailable("kafka.unavailable", "Kafka does not answer", "python -m stack status")

            return fails

    away = replace(desk, providers=Away(), quarantine=Away())
    away.worklist.index.progress = Progress(10, 40, False, "Kafka does not answer")  # type: ignore[attr-defined]
    away.freshness.look = Look(1, 0.0, None, None, "Kafka does not answer")  # type: ignore[attr-defined]
    with signed_in(away, "admin") as pat:
        assert "Kafka does not answer" in pat.get("/")
        assert "a part would look like everything" in pat.get("/findings")
        for path in (ANN, "/quarantine"):
            text = pat.get(path, 503)
            assert "Kafka does not answer" in text
            assert "python -m stack status" in text


def test_without_the_stewardship_database_the_overview_and_the_findings_are_there_all_the_same(
    desk: Desk,
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            def fails(*_: Any, **__: Any) -> Any:
                raise EnvironmentFault("stewardship.unavailable", "it does not answer", "concord status")

            return fails

    with signed_in(replace(desk, proposals=Away()), "admin") as pat:
        assert "it does not answer" in pat.get("/")
        edit = next(c for c in desk.worklist.page(_all()).cases if c.finding["code"] == "edit.proposed")
        assert "be compared now" in pat.get(f"/findings/{edit.id}")
        assert "it does not answer" in pat.get("/proposals", 503).lower()


def test_what_breaks_unexpectedly_leaks_nothing_of_itself(desk: Desk) -> None:
    class Broken:
        def explain(self, key: str) -> Any:
            raise RuntimeError("postgresql://concord:secret@host/db")

    with signed_in(replace(desk, providers=cast(Any, Broken())), "admin") as pat:
        pat.client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
        text = pat.get(ANN, 500)
    assert "secret" not in text
    assert "the log has it under" in text


def _parts(desk: Desk) -> dict[str, Any]:
    return {name: getattr(desk, name) for name in Desk.__slots__}


def _all() -> Any:
    from streams.operate.worklist.case import Wanted

    return Wanted()
