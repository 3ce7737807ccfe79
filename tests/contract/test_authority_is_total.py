"""Completeness by enumeration: every canonical field has one owner, every code is given, documented and reachable."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from connectors.envelope import UNAVAILABLE, Source
from streams.core import finding
from streams.core.advance import advance, decide, diverge, hold, miss
from streams.core.canonical import Approval, Enrollment, Holder, Provider, Request, Ruling
from streams.core.canonical import Proposal as ProposalRow
from streams.core.change import Change, Confirmation, Malformed, position_text
from streams.core.entity import Confirmed, Entity, Refusal, aggregate
from streams.core.finding import LARGE_BYTES
from streams.core.formats import CHECKS, DATES_IN_ORDER
from streams.core.malformed import REASONS
from streams.core.rules.book import CODES, RULES
from streams.core.rules.rule import EVERY, HOLD, REFUSE, WARN, WITHDRAW
from streams.core.ruling import APPROVE, APPROVED, EXPIRED, REJECTED, STEWARD, VOIDED
from streams.operate import codes
from tests.strategies import CATALOG, MAPPING, decoded
from tests.world import AUTHORITY, WORLD, entity_of, provider, row

PROJECT = codes.PAGE.parents[1]


def test_every_canonical_field_has_exactly_one_owner() -> None:
    assert AUTHORITY.owners.keys() == CATALOG.records.keys()
    for record, known in CATALOG.records.items():
        assert AUTHORITY.owners[record].keys() == known.fields.keys(), record


def test_what_is_admitted_is_what_is_owned() -> None:
    for record, owners in AUTHORITY.owners.items():
        for system, fields in AUTHORITY.admitted[record].items():
            owned = {field for field, owner in owners.items() if owner == system}
            assert (set(owners) if fields is None else fields) == owned


def test_every_record_has_a_keeper_who_owns_some_of_it() -> None:
    assert AUTHORITY.keepers.keys() == CATALOG.records.keys()
    for record, keeper in AUTHORITY.keepers.items():
        assert keeper in AUTHORITY.admitted[record]


def test_credentialing_owns_every_field_it_holds() -> None:
    for table in MAPPING.tables.values():
        for column in table.columns:
            record, field = table.target(column)
            assert AUTHORITY.owners[record][field] == "credentialing", f"{record}.{field}"


# ---- finding codes ----


def of(table: str, **columns: object) -> Entity:
    mapped = MAPPING.tables[table]
    ids = {mapped.entity: "e"} if mapped.entity == mapped.row else {mapped.entity: "e", mapped.row: "r"}
    return entity_of(decoded([[row(table, **ids, **columns)]]), mapped.kind, "e")


def quarantined() -> Entity:
    entity = provider()
    assert miss(entity, Malformed("change.type_wrong", "", "provider", "provider-0", "license", "x"), 0)
    return entity


def elsewhere() -> Entity:
    entity = provider()
    place = row("provider_location", id="x", provider_id="provider-0", location_id="nowhere")
    for change in decoded([[place]], Source("credentialing", epoch=2)):
        advance(entity, change, 0)
    return entity


def again(before: dict[str, object], **after: object) -> Entity:
    """A provider whose row came twice."""
    rows = [[row("provider", provider_id="e", **columns)] for columns in (before, after)]
    return entity_of(decoded(rows), "provider", "e")


def edited(policy: str) -> Entity:
    """A provider whose view a system has confirmed, and who holds something else there."""
    entity = provider()
    decide(entity, WORLD, 0)
    held = {"propose": Provider("p", degree="DO"), "conflict": Provider("p", npi="1407071236")}
    hold(
        entity,
        Confirmation("directory", "provider", "provider-0", "7", 1, "", (1, 5, 5, 1), False, 9, 0, 0, 0),
        0,
    )
    later, txid = ((1, 6, 6, 1), 10) if policy != "altered" else ((1, 5, 6, 1), 9)
    change = Change(
        "directory", "provider", "provider-0", "provider", "7", later, held.get(policy, Provider("p", npi="1407071236")),
        False, False, txid, 0, 0, False, origin=0,
    )  # fmt: skip
    advance(entity, change, 0)
    return entity


def departed() -> Entity:
    """A provider whose withdrawal the directory has confirmed, and whose row there somebody changes."""
    entity = provider(status="terminated")
    decide(entity, WORLD, 0)
    confirmation = Confirmation(
        "directory", "provider", "provider-0", "7", 1, "", (1, 5, 5, 1), False, 9, 0, 0, 0
    )
    hold(entity, confirmation, 0)
    change = Change(
        "directory", "provider", "provider-0", "provider", "7", (1, 6, 6, 1), Provider("p", npi="1407071236"),
        False, False, 10, 0, 0, False, origin=0,
    )  # fmt: skip
    advance(entity, change, 0)
    return entity


def group_edited() -> Entity:
    """Enrollment has changed the group of an enrollment at a place of practice."""
    entity = provider()
    decide(entity, WORLD, 0)
    hold(
        entity,
        Confirmation("enrollment", "provider", "provider-0", "7", 1, "", (1, 5, 5, 1), False, 9, 0, 0, 0),
        0,
    )
    change = Change(
        "enrollment", "provider", "provider-0", "enrollment", "3", (1, 6, 6, 1),
        Enrollment(location_id="location-0", group_npi="1407071236", group_tin="120000001"),
        False, False, 10, 0, 0, False, origin=0,
    )  # fmt: skip
    advance(entity, change, 0)
    return entity


def ruled(code: str) -> Entity:
    """A proposal and a ruling on it: signed, not signed, of another proposal; of what its owner isn't asked."""
    entity = edited("propose")
    decide(entity, WORLD, 0)
    proposal = next(p for p in entity.proposals if p.field == "degree")
    if code == "edit.row_unclear":
        proposal = replace(proposal, record="license", field="expires")
    elif code == "edit.by_hand":
        proposal = replace(proposal, record="attestation", field="attested_by")
    elif code == "edit.unanswered":
        proposal = replace(proposal, state=APPROVED, since="2026-01-02")
    elif code == "ruling.unknown":
        proposal = replace(proposal, id="1")
    entity.proposals = [proposal]
    bound = position_text(proposal.position)
    number = 2 if code == "ruling.unknown" else int(proposal.id)
    signed = Approval("provider", number, "A1", "pat", STEWARD, APPROVE, bound)
    ruling = Ruling(
        "provider", number, decision=APPROVE, value=proposal.value, bound_position=bound, ruled_by="pat"
    )
    rows = {"ruling": ruling} if code == "ruling.unsigned" else {"approval": signed, "ruling": ruling}
    for record, values in rows.items():
        change = Change(
            "stewardship", "provider", "provider-0", record, "1", (1, 7, 7), values, False, False, 11, 0, 0, False
        )  # fmt: skip
        advance(entity, change, 0)
    return entity


def over(code: str) -> Entity:
    """A proposal that ended: by time alone, by a miss, or before somebody ruled on it."""
    entity = provider()
    state = {"proposal.expired": EXPIRED, "request.missed": VOIDED}.get(code, REJECTED)
    entity.closed = {"7": state}
    told = {
        ("stewardship", "proposal", "7"): ProposalRow(
            "provider", "directory", "provider", "7", "degree", state=state
        ),
        ("stewardship", "ruling", "1"): Ruling("provider", 7, decision=APPROVE, ruled_by="pat"),
        ("credentialing", "request", "7"): Request("provider", "degree", "missed"),
    }
    for at, ((system, record, row_id), values) in enumerate(told.items(), 1):
        change = Change(
            system, "provider", "provider-0", record, row_id, (1, at, at), values, False, False, at, 0, 0, False
        )  # fmt: skip
        advance(entity, change, 0)
    return entity


def twice() -> Entity:
    entity = edited("propose")
    [row_id] = entity.claims["directory"]["provider"]
    entity.claims["directory"]["provider"]["8"] = entity.claims["directory"]["provider"][row_id]
    return entity


def standing_still(reason: str) -> Entity:
    return Entity("system", "directory", refused={"directory": Refusal(1, reason)})


def unconfirmed() -> Entity:
    entity = provider()
    decide(entity, replace(WORLD, as_of="2026-01-01", captured=("directory",)), 0)
    entity.confirmed["directory"] = Confirmed(0, (0, 0, 0), 4, 5)
    return entity


def local() -> Entity:
    change = Change(
        "directory", "provider", "7", "provider", "7", (1, 6, 6), Provider(npi="1407071236"),
        False, False, 9, 0, 0, False,
    )  # fmt: skip
    entity = Entity("directory.provider", "7")
    aggregate(entity, change)
    return entity


def verified(state: str) -> Entity:
    entity = of("license")
    diverge(entity, "credentialing", "license", {"l": f"verify.{state}"}, 0)
    return entity


def shared() -> Entity:
    entity = Entity("npi", "1234567893")
    for holder in ("a", "b"):
        change = Change(
            "platform", "npi", "1234567893", "holder", f"provider/{holder}", (1, 1, 1), Holder("provider", holder),
            False, False, 0, 0, 0, False,
        )  # fmt: skip
        aggregate(entity, change)
    return entity


REACHED: dict[str, Callable[[], Entity]] = {
    "format.npi_shape": lambda: of("provider", npi="1"),
    "format.npi_check_digit": lambda: of("provider", npi="1234567890"),
    "format.dea_shape": lambda: of("dea_registration", number="1"),
    "format.dea_check_digit": lambda: of("dea_registration", number="AP5836728"),
    "format.taxonomy_shape": lambda: of("taxonomy", nucc_code="1"),
    "format.zip_shape": lambda: of("practice_location", zip="1"),
    "format.state_unknown": lambda: of("license", state="ZZ"),
    "format.phone_shape": lambda: of("practice_location", phone="1"),
    "format.dates_order": lambda: of("license", issued="2026-01-01", expires="2025-01-01"),
    "identity.npi_changed": lambda: again({}, npi="1407071236"),
    "identity.blanked": lambda: again({}, last_name=None),
    "identity.root_missing": lambda: of("license"),
    "identity.npi_missing": lambda: of("provider", npi=None),
    "identity.name_missing": lambda: of("provider", last_name=None),
    "reference.unknown": elsewhere,
    "capture.gap": lambda: of("provider", languages=UNAVAILABLE),
    "capture.quarantined": quarantined,
    **{f"verify.{state}": partial(verified, state) for state in ("missing", "extra", "different")},
    "edit.reverted": group_edited,
    "edit.proposed": lambda: edited("propose"),
    **{
        code: partial(ruled, code)
        for code in (
            "edit.approved",
            "edit.by_hand",
            "edit.row_unclear",
            "edit.unanswered",
            "ruling.unsigned",
            "ruling.unknown",
        )
    },
    "edit.departed": departed,
    **{code: partial(over, code) for code in ("proposal.expired", "request.missed", "ruling.late")},
    "authority.review_overdue": lambda: Entity("system", "authority"),
    "edit.conflict": lambda: edited("conflict"),
    "target.altered": lambda: edited("altered"),
    "target.refused": lambda: Entity("provider", "e", refused={"directory": Refusal(1, "target.value")}),
    **{
        code: partial(standing_still, reason)
        for code, reason in (
            ("target.paused", "target.schema"),
            ("target.credentials", "target.forbidden"),
            ("target.unavailable", "target.busy"),
        )
    },
    "view.unconfirmed": unconfirmed,
    "identity.unlinked": local,
    "identity.linked_twice": twice,
    "identity.npi_shared": shared,
    "entity.too_large": lambda: of("education", institution="x" * (LARGE_BYTES + 1)),
}


OVERDUE = replace(WORLD, authority=replace(AUTHORITY, review_due="2026-01-01"))


@pytest.mark.parametrize("code", [rule.code for rule in RULES if rule.finds is None])
def test_every_finding_code_of_the_flow_is_reached(code: str) -> None:
    if code == "internal.decide_failed":
        events = finding.failed(Entity("provider", "e"), (0, 0, 0))
    else:
        events = decide(REACHED[code](), OVERDUE, 0).findings
    assert code in {event.code for event in events}


def test_every_check_gives_codes_of_the_table() -> None:
    given = {check("?" * 99) for checks in CHECKS.values() for check in checks.values()}
    assert given <= CODES.keys()
    assert DATES_IN_ORDER


ACTORS = ("credentialing", "enrollment", "directory", "billing", "steward", "compliance", "operator")


def test_severities_and_effects_are_the_known_words() -> None:
    for name, code in CODES.items():
        assert code.severity in ("low", "medium", "high"), name
        assert set(code.effect.values()) <= {REFUSE, HOLD, WITHDRAW, WARN}, name
        assert code.effect.keys() <= {EVERY, "directory", "enrollment", "billing"}, name
        assert code.message, name
        assert code.action, name
        assert code.source, name
        assert code.actor in ACTORS, name
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", name)


# ---- quarantine codes ----

REFUSED = re.compile(r'Malformed\(\s*"([a-z_.]+)"')
CLASSIFIED = re.compile(r'"(change\.[a-z_]+)"')


def test_every_quarantine_code_is_given_somewhere_and_none_is_given_that_the_table_lacks() -> None:
    sources = [*(PROJECT / "streams" / "core").glob("*.py"), *(PROJECT / "streams" / "agents").glob("*.py")]
    given = {code for path in sources for code in REFUSED.findall(path.read_text())}
    given |= set(CLASSIFIED.findall((PROJECT / "streams" / "core" / "decode.py").read_text()))
    assert given == REASONS.keys()


def test_the_page_of_codes_is_up_to_date() -> None:
    assert codes.PAGE.read_text() == codes.markdown(), "run `python -m streams.operate.codes`"
