"""Denials against findings: each judged once, by what stood from the service on, and never by what isn't kept."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import kpi
from streams.core import canonical
from streams.core.rules.book import CODES
from streams.operate.kpi.ask import Kpis
from streams.operate.kpi.denials import FLAGGED, OTHERWISE, UNFLAGGED, UNKNOWN, Caught, Denied, Flags
from streams.operate.kpi.figures import CLOSED, DAY, OPENED
from streams.operate.kpi.reasons import DISAGREEING, LACKING, REASONS, SOMEBODY_ELSE, reason_of

CHANGED = "changed"
NOW = 1_000 * DAY
WHO = "provider/p1"
LAPSED = "licence.lapsed license/l1"


def denied(received: float, carc: str = "B7", rarc: str = "", service: float | None = None) -> Denied:
    begun = None if service is None else datetime.fromtimestamp(service, UTC)
    entities = frozenset([WHO, "billing.provider/7", "location/x1"])
    return Denied(1, WHO, entities, datetime.fromtimestamp(received, UTC), carc, rarc, begun)


def caught(denial: Denied, *records: tuple[str, str, float], kept_since: float = 0.0) -> Caught:
    flags = Flags([denial])
    flags.take("provider/somebody else licence.lapsed license/l9", OPENED, kept_since)
    for key, state, at in records:
        flags.take(key if "/" in key.partition(" ")[0] else f"{WHO} {key}", state, at)
    return flags.caught(NOW)


def verdict(denial: Denied, *records: tuple[str, str, float]) -> str:
    [case] = caught(denial, *records).cases
    return case.caught


HOUR = 3_600.0
DENIED = NOW - HOUR
"""Within the day of which every record is kept."""


def test_what_stood_when_the_denial_came_had_flagged_it() -> None:
    found = caught(denied(DENIED), (LAPSED, OPENED, DENIED - 60))
    assert (found.received, found.provider_data, found.unflagged_share) == (1, 1, 0.0)
    assert [(c.caught, c.findings, c.reason, c.provider) for c in found.cases] == [
        (FLAGGED, [LAPSED], "eligibility", WHO)
    ]


def test_a_finding_that_opens_after_the_denial_had_not() -> None:
    assert verdict(denied(DENIED), (LAPSED, OPENED, DENIED + 1)) == UNFLAGGED
    assert caught(denied(DENIED)).unflagged_share == 1.0


def test_a_finding_that_closed_between_service_and_denial_had_flagged_it_and_one_before_had_not() -> None:
    records = ((LAPSED, OPENED, DENIED - 300), (LAPSED, CLOSED, DENIED - 200))
    assert verdict(denied(DENIED, service=DENIED - 250), *records) == FLAGGED
    assert verdict(denied(DENIED, service=DENIED - 100), *records) == UNFLAGGED
    assert verdict(denied(DENIED), *records) == UNFLAGGED


def test_a_finding_of_another_cause_is_told_and_counts_as_unflagged() -> None:
    found = caught(denied(DENIED, "206"), (LAPSED, OPENED, DENIED - 60))
    assert [(c.caught, c.findings) for c in found.cases] == [(OTHERWISE, [LAPSED])]
    assert found.unflagged_share == 1.0


@pytest.mark.parametrize(
    ("key", "flagged"),
    [
        ("edit.conflict billing/provider/7/npi", True),
        ("edit.conflict billing/provider/7/last_name", False),
        ("verify.different provider/7/npi", True),
        ("target.refused npi/provider", False),
        ("billing.provider/7 identity.unlinked billing.provider", True),
        ("location/x1 location.po_box location/x1", False),
    ],
)
def test_what_systems_disagree_on_flags_what_it_is_about(key: str, flagged: bool) -> None:
    assert (verdict(denied(DENIED, "208"), (key, OPENED, DENIED - 60)) == FLAGGED) is flagged


def test_the_place_of_the_claim_is_asked_too() -> None:
    record = ("location/x1 location.po_box location/x1", OPENED, DENIED - 60)
    assert verdict(denied(DENIED, "16", "N294"), record) == FLAGGED


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([(LAPSED, CHANGED, NOW - 20 * DAY)], FLAGGED),
        ([(LAPSED, CHANGED, NOW - 5 * DAY)], UNKNOWN),
        ([(LAPSED, CLOSED, NOW - 5 * DAY)], UNKNOWN),
        ([(LAPSED, OPENED, NOW - 5 * DAY)], UNKNOWN),
        ([(LAPSED, CLOSED, NOW - 20 * DAY)], UNFLAGGED),
        ([("taxonomy.section taxonomy/t1", CHANGED, NOW - 5 * DAY)], UNFLAGGED),
    ],
)
def test_of_a_denial_before_what_is_kept_nothing_is_made_up(
    records: list[tuple[str, str, float]], expected: str
) -> None:
    """Received ten days ago: an earlier turn of a finding may have been compacted away since."""
    found = caught(denied(NOW - 10 * DAY), *records)
    assert found.cases[0].caught == expected
    assert (found.unflagged_share is None) is (expected == UNKNOWN)


def test_before_the_first_record_of_all_nobody_watched() -> None:
    assert caught(denied(DENIED), kept_since=DENIED + 1).cases[0].caught == UNKNOWN
    assert Flags([denied(DENIED)]).caught(NOW).cases[0].caught == UNKNOWN


def test_of_another_provider_of_the_claim_nobody_says_who_it_is() -> None:
    [case] = caught(denied(DENIED, "183"), (LAPSED, OPENED, DENIED - 60)).cases
    assert (case.reason, case.caught) == (SOMEBODY_ELSE, UNKNOWN)


def test_what_is_not_about_provider_data_is_counted_and_not_judged() -> None:
    found = caught(denied(DENIED, "45", "N130"))
    assert (found.received, found.provider_data, found.unflagged_share, found.cases) == (1, 0, None, [])


@pytest.mark.parametrize(
    ("carc", "rarc", "name"),
    [
        ("CO-B7", "", "eligibility"),
        ("b7", "", "eligibility"),
        ("16", "N290", "NPI or TIN"),
        ("16", "MA130, N288", "taxonomy"),
        ("B7", "N198", "affiliation"),
        ("16", "", None),
        ("", "", None),
    ],
)
def test_a_remark_says_more_than_a_reason(carc: str, rarc: str, name: str | None) -> None:
    found = reason_of(carc, rarc)
    assert (found.name if found else None) == name


def test_every_code_stands_with_one_reason_and_every_word_of_a_reason_is_known() -> None:
    assert max(Counter(code for reason in REASONS for code in reason.carc | reason.rarc).values()) == 1
    known = set(canonical.RECORDS) | {
        name for record in canonical.RECORDS.values() for name in record.__struct_fields__
    }
    for reason in REASONS:
        assert all(any(code.startswith(begin) for code in CODES) for begin in reason.codes), reason.name
        assert not any(begin.startswith((*DISAGREEING, *LACKING)) for begin in reason.codes)
        assert reason.about <= known, reason.name


DENIALS = st.lists(
    st.tuples(st.floats(0, 1_000), st.sampled_from(["B7", "206", "8", "183", "45"]), st.floats(0, 1_000)),
    max_size=12,
)
RECORDS = st.lists(
    st.tuples(st.sampled_from([LAPSED, "identity.npi_missing provider/npi"]), st.sampled_from([OPENED, CHANGED, CLOSED])),
    max_size=12,
)  # fmt: skip


@given(DENIALS, RECORDS)
def test_each_denial_of_provider_data_is_judged_exactly_once(
    denials: list[tuple[float, str, float]], records: list[tuple[str, str]]
) -> None:
    flags = Flags(denied(NOW - ago, carc, service=NOW - before) for ago, carc, before in denials)
    for number, (key, state) in enumerate(records):
        flags.take(f"{WHO} {key}", state, NOW - 1_000 + 80 * number)
    found = flags.caught(NOW)
    assert found.provider_data == len(found.cases) == sum(carc != "45" for _, carc, _ in denials)
    assert found.received == len(denials)
    assert sum(r.denials for r in found.reasons) == len(found.cases)
    counted = Counter(case.caught for case in found.cases)
    for group in found.reasons:
        assert group.denials == group.flagged + group.otherwise + group.unflagged + group.unknown
    missed, known = counted[UNFLAGGED] + counted[OTHERWISE], len(found.cases) - counted[UNKNOWN]
    assert found.unflagged_share == (round(missed / known, 4) if known else None)
    assert all(case.findings or case.caught != FLAGGED for case in found.cases)


def test_the_share_and_the_unflagged_ones_are_shown() -> None:
    found = caught(denied(DENIED, "16", "N290"), (LAPSED, OPENED, DENIED - 60))
    shown = "\n".join(kpi._lines(Kpis("2026-11-22", None, None, None, None, None, None, found)))
    assert "claims denied since 2026-11-22: 1, of them 1 for a provider's data" in shown
    assert "100.0% of those of which it is known" in shown
    assert f"of {WHO}: NPI or TIN (16 N290); only {LAPSED}" in shown
