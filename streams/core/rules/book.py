"""The rule book: every code a finding can have, in one table. docs/codes.md is generated from it.

    facts --findings--> (code, subject)

A new rule is one function and one line here, with a scenario in tests/behavior that fires it and one that doesn't.
Rules are evaluated only where the entity has rows of every record they read: what is not there is unknown, which is
neither pass nor fail. `LATER` names every rule of the domain that is not here, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from streams.core.rules import (
    credentialing,
    dates,
    exclusion,
    identity,
    licence,
    practice,
    prescribing,
    taxonomy,
    witness,
)
from streams.core.rules.rule import HOLD, REFUSE, WARN, WITHDRAW, Finds, Rule, every
from streams.core.today import Today

_P, _O, _L = ("provider",), ("organization",), ("location",)
_LICENCE = {"directory": WITHDRAW, "billing": HOLD, "enrollment": HOLD}
_NO, _STOP, _KEEP, _SAY = every(WITHDRAW), every(HOLD), every(REFUSE), every(WARN)

# ruff: noqa: E501  (one line a rule reads best)
RULES: tuple[Rule, ...] = (
    # ---- single values: said by formats, entity, finding ----
    Rule("R01", "format.npi_shape", "high", _KEEP, "the NPI is not 10 digits", "correct the NPI", "45 CFR 162.406", "credentialing"),
    Rule("R01", "format.npi_check_digit", "high", _KEEP, "the NPI fails its check digit", "correct the NPI", "45 CFR 162.406", "credentialing"),
    Rule("R07", "format.dea_shape", "medium", _KEEP, "the DEA number has the wrong shape", "verify with the issuer", "DEA number format", "credentialing"),
    Rule("R07", "format.dea_check_digit", "medium", _KEEP, "the DEA number fails its check digit", "verify with the issuer", "DEA number format", "credentialing"),
    Rule("R04", "format.taxonomy_shape", "high", _KEEP, "the taxonomy code has no NUCC shape", "pick a valid NUCC code", "NUCC", "credentialing"),
    Rule("R23", "format.zip_shape", "medium", _KEEP, "the ZIP code has the wrong shape", "correct the address", "seed 23", "credentialing"),
    Rule("R23", "format.state_unknown", "medium", _KEEP, "the state code is unknown", "correct the state", "seed 23", "credentialing"),
    Rule("R23", "format.phone_shape", "medium", _KEEP, "the number is no North American telephone number", "correct the number", "E.164", "credentialing"),
    Rule("R15", "format.dates_order", "high", _KEEP, "the end date lies before the start date", "correct the dates", "seed 15", "credentialing"),
    Rule("R03", "identity.npi_changed", "high", _KEEP, "the NPI of a known provider would change", "find out whose NPI it is; a change needs a steward's ruling", "seed 3", "steward"),
    Rule("P05", "identity.blanked", "high", _KEEP, "a value that identifies is blanked at its source", "enter it again, or delete the row if it is meant to go", "P05", "steward"),
    Rule("P05", "identity.root_missing", "medium", _STOP, "rows arrived for an entity whose own row is not there", "check the source row", "P05", "operator"),
    Rule("R01", "identity.npi_missing", "high", _STOP, "no valid NPI is known", "enter a valid NPI", "45 CFR 162.410", "credentialing"),
    Rule("G04", "identity.name_missing", "high", _STOP, "no last or legal name is known", "enter the name", "G04", "credentialing"),
    Rule("G03", "reference.unknown", "medium", _STOP, "a referenced organization or location is not known yet", "check that its row exists and is captured", "G03", "operator"),
    Rule("P03", "capture.gap", "medium", _STOP, "a large value was never delivered by capture", "re-read the row (incremental snapshot)", "P03", "operator"),
    Rule("P01", "capture.quarantined", "medium", _SAY, "a change of this row was quarantined, so its newest values are missing", "look at the quarantine topic, correct the row at its source", "P01", "operator"),
    Rule("P01", "entity.too_large", "medium", _SAY, "what the systems say of this entity is more than 1 MiB: each change of it costs that much", "find the table that grows; map it as a log, or correct its source", "design: entity size", "operator"),
    Rule("P08", "internal.decide_failed", "high", _STOP, "a defect of ours stopped the decision; every sink keeps what it has", "report it with the worker's log; the subject names the rule, if one raised", "invariant 12", "operator"),
    # ---- what systems hold against their view (core/edit.py) ----
    Rule("R18", "edit.reverted", "low", _SAY, "a system that doesn't own the field has edited it; its view was sent again", "edit it in the system that owns it; topic rejection says which", "R18; authority matrix 2", "steward"),
    Rule("R18", "edit.proposed", "medium", _SAY, "a system that doesn't own the field proposes another value", "approve or refuse the proposal", "R18; authority matrix 2", "steward"),
    Rule("R18", "edit.conflict", "high", _STOP, "a system holds another value of a field it doesn't own, and authority doesn't say which is right", "find out which is right, and correct the other", "R18; authority matrix 2", "steward", local=True),
    Rule("R18", "target.altered", "medium", _SAY, "what the platform wrote came out different in the system", "look for a trigger or a narrower column there", "design section 6", "operator"),
    Rule("R26", "identity.unlinked", "medium", _SAY, "a system has somebody of whom the master knows nothing", "credential the provider, or correct the NPI or cross reference in that system", "design section 2", "steward"),
    Rule("R26", "identity.linked_twice", "high", _SAY, "a system has two rows for one provider", "merge them in that system", "entities 10.1", "steward"),
    Rule("R26", "identity.npi_shared", "high", _SAY, "two providers hold one NPI", "find out whose NPI it is", "entities 10.1; 45 CFR 162.410", "credentialing"),
    # ---- who it is ----
    Rule("R01", "identity.entity_type", "medium", _SAY, "a provider is recorded with an organization's entity type", "correct the entity type or the NPI", "45 CFR 162.404", "credentialing", _P, (), identity.entity_type),
    Rule("R01", "identity.npi_first_digit", "low", _SAY, "the NPI begins with neither 1 nor 2", "verify the NPI", "R01", "credentialing", (*_P, *_O), (), identity.first_digit),
    Rule("R13", "organization.tin_shape", "high", {"billing": HOLD}, "the TIN is not nine digits", "correct the TIN", "26 CFR 301.6109-1", "credentialing", _O, (), identity.tin_shape),
    Rule("R13", "organization.tin_prefix", "high", _SAY, "the TIN begins with 00, which no TIN does", "correct the TIN", "R13", "credentialing", _O, (), identity.tin_prefix),
    # ---- taxonomy ----
    Rule("R04", "taxonomy.primary_count", "high", _STOP, "not exactly one taxonomy code is primary today", "mark one code as primary", "seed 4", "credentialing", _P, ("taxonomy",), taxonomy.primary_count),
    Rule("R04", "taxonomy.section", "medium", _SAY, "the taxonomy code is for facilities or agencies, not for individuals", "pick a code for individuals", "NUCC sections", "credentialing", _P, ("taxonomy",), taxonomy.section),
    # ---- licences ----
    Rule("R06", "licence.lapsed", "high", _LICENCE, "no licence is usable today in a state of practice", "verify the licence with its board, or end the place", "seed 6; G02", "credentialing", _P, ("license", "provider_location"), licence.lapsed),
    Rule("R06", "licence.expiring", "medium", _SAY, "a licence ends within 90 days", "ask for the renewal (alerts at 90, 60, 30 and 7 days)", "seed 6", "credentialing", _P, ("license",), licence.expiring),
    Rule("R06", "licence.missing", "medium", _SAY, "a provider practises and no licence is on record", "enter and verify the licence", "seed 6", "credentialing", _P, ("provider_location",), licence.missing),
    Rule("R06", "licence.status_unknown", "low", _SAY, "nobody says whether the licence is in force", "verify the licence with its board", "seed 6", "credentialing", _P, ("license",), licence.status_unknown),
    # ---- prescribing ----
    Rule("R07", "dea.expired", "medium", _SAY, "a DEA registration is expired or not active", "verify with the issuer", "21 CFR 1301.13", "credentialing", _P, ("dea_registration",), prescribing.expired),
    Rule("R07", "dea.last_name_letter", "low", _SAY, "the DEA number's second letter is not that of the last name", "verify with the issuer", "R07", "credentialing", _P, ("dea_registration",), prescribing.last_name_letter),
    Rule("R07", "dea.state_missing", "low", _SAY, "no DEA registration is for a state of practice", "ask whether one is needed there", "21 CFR 1301.12", "credentialing", _P, ("dea_registration", "provider_location"), prescribing.state_missing),
    # ---- exclusions: sinks are told no detail (G09) ----
    Rule("R08", "exclusion.confirmed", "high", _NO, "an exclusion is confirmed", "stop participation; release needs a ruling", "42 CFR 1001.1901", "compliance", _P, ("exclusion_hit",), exclusion.confirmed, "provider.withheld"),
    Rule("R08", "exclusion.open", "high", _STOP, "an exclusion list names this provider's NPI", "review the hit", "42 CFR 455.436", "compliance", _P, ("exclusion_hit",), exclusion.is_open),
    Rule("R08", "exclusion.possible", "high", _SAY, "an exclusion list has somebody of this name", "review the hit", "42 CFR 455.436", "compliance", _P, ("exclusion_hit",), exclusion.possible),
    # ---- the credentialing file ----
    Rule("R09", "psv.too_old", "medium", _SAY, "a primary-source verification was too old at the decision", "verify again, and have the committee decide again", "NCQA CR 3", "credentialing", _P, ("psv_record", "committee_decision"), credentialing.psv_too_old),
    Rule("R10", "recredential.due", "low", _SAY, "recredentialing is due within 180 days", "start the cycle (alerts at 180, 120, 90 and 30 days)", "NCQA CR 4", "credentialing", _P, (), credentialing.recredential_due),
    Rule("R10", "recredential.overdue", "medium", _SAY, "recredentialing is late by no more than 30 days", "finish the cycle", "NCQA CR 4", "credentialing", _P, (), credentialing.recredential_overdue),
    Rule("R10", "recredential.lapsed", "high", {"enrollment": HOLD}, "recredentialing is late by more than 30 days", "credential anew", "NCQA CR 4", "credentialing", _P, (), credentialing.recredential_lapsed),
    Rule("G07", "credentialing.denied", "high", _LICENCE, "the committee's last decision is a denial", "end participation, or have the committee decide again", "G02, B03", "credentialing", _P, ("committee_decision",), credentialing.denied),
    Rule("R27", "malpractice.lapsed", "medium", _SAY, "no malpractice cover is for today", "obtain the certificate", "seed 27", "credentialing", _P, ("malpractice_coverage",), credentialing.malpractice_lapsed),
    Rule("R28", "attestation.old", "low", _SAY, "the attestation of an open cycle is older than 120 days", "have the provider attest again", "R28", "credentialing", _P, ("credentialing_cycle",), credentialing.attestation_old),
    Rule("R29", "work.gap", "low", _SAY, "more than six months between two employments are not explained", "ask for an explanation", "NCQA CR 3", "credentialing", _P, ("work_history",), credentialing.work_gap),
    # ---- where and with whom ----
    Rule("R14", "affiliation.missing", "high", {"enrollment": HOLD}, "a place of practice belongs to a group without a current affiliation", "add the affiliation, or end the place", "seed 14", "credentialing", _P, ("affiliation", "provider_location"), practice.affiliation_missing),
    Rule("G03", "affiliation.none", "high", {"directory": WITHDRAW}, "no place of practice has a current affiliation any more", "add the affiliation, or end the places", "seed 14; G03", "credentialing", _P, ("affiliation", "provider_location"), practice.affiliation_none),
    Rule("G03", "place.none", "medium", _SAY, "an active provider has no place of practice today", "enter the place, or end participation", "G03", "credentialing", _P, ("provider_location",), practice.nowhere),
    Rule("R15", "dates.place_overlap", "medium", _SAY, "two rows of one place are for the same days", "end one of them", "seed 15", "credentialing", _P, ("provider_location",), dates.place_overlap),
    Rule("R15", "dates.affiliation_overlap", "medium", _SAY, "two affiliations of one role and group are for the same days", "end one of them", "seed 15", "credentialing", _P, ("affiliation",), dates.affiliation_overlap),
    Rule("R15", "dates.taxonomy_overlap", "medium", _SAY, "one taxonomy code stands twice for the same days", "end one of them", "seed 15", "credentialing", _P, ("taxonomy",), dates.taxonomy_overlap),
    Rule("G04", "location.incomplete", "medium", _SAY, "patients lack what they need to find or call the place", "complete the address and telephone number", "G04", "credentialing", _L, (), practice.incomplete),
    Rule("R23", "location.po_box", "high", {"directory": HOLD, "billing": HOLD}, "the service address is a PO box", "enter the street address", "X12 837 2010AA", "credentialing", _L, (), practice.po_box),
    Rule("R23", "location.zip_and_state", "medium", _SAY, "no address of the state has this ZIP code", "correct the address", "USPS", "credentialing", _L, (), practice.zip_and_state),
    Rule("R30", "location.telehealth_only", "low", _SAY, "telehealth only, and yet with office hours", "confirm which it is", "R30", "credentialing", _L, (), practice.telehealth_only),
    # ---- witnesses: said, and stopping nothing yet ----
    Rule("R02", "witness.npi_deactivated", "high", _SAY, "NPPES has deactivated the NPI", "verify the identity; the provider updates NPPES", "45 CFR 162.410", "credentialing", _P, ("nppes",), witness.npi_deactivated),
    Rule("R02", "witness.npi_type", "high", _SAY, "NPPES has the NPI as an organization's", "correct the NPI", "45 CFR 162.404", "credentialing", _P, ("nppes",), witness.npi_type),
    Rule("R02", "witness.name_differs", "medium", _SAY, "NPPES has another last name for the NPI", "verify the identity", "R02", "credentialing", _P, ("nppes",), witness.name_differs),
    Rule("R08", "witness.excluded_leie", "high", _SAY, "the LEIE has this provider's NPI", "record and review the hit", "42 CFR 455.436", "compliance", _P, ("leie",), witness.excluded_leie),
    Rule("R08", "witness.excluded_sam", "high", _SAY, "SAM has an exclusion with this provider's NPI", "record and review the hit", "42 CFR 455.436", "compliance", _P, ("sam",), witness.excluded_sam),
)  # fmt: skip

CODES: Mapping[str, Rule] = {rule.code: rule for rule in RULES}
"""code -> its rule"""

LATER: Mapping[str, str] = {
    "P02": "across entities: a job's (blast radius)",
    "P04": "no finding: `aggregate` counts it as superseded; echoes come with two-way",
    "P06": "of a system, not of an entity: the adapters pause and status says so",
    "P07": "of a system, not of an entity: the adapters pause and status says so",
    "R05": "needs the payer's and the claim's taxonomy and a crosswalk of licence types",
    "R11": "needs enrollment packets and payer contracts",
    "R12": "needs the roster mapping of each payer",
    "R16": "needs payer exchange",
    "R17": "needs payer exchange",
    "R19": "as P04",
    "R20": "across systems: a job's (drift sweep)",
    "R21": "needs listings and attestations of the directory (two-way) and the clock",
    "R22": "needs listings and attestations of the directory (two-way)",
    "R24": "needs enrollment and payer data: section 4 of the domain's rules",
    "R25": "its schema half is P01; its blast half is P02's job",
    "R31": "needs delegated files",
    "R32": "needs the adequacy feed",
    "R33": "needs payer exchange",
    "T01": "needs the version the payer accepted",
    "T02": "needs what the directory confirms",
    "T03": "needs what billing and the directory confirm",
    "T04": "kept by `today`: nothing that begins later enters a view of today",
    "T05": "needs claims",
    "T06": "of a sink: status and trace say what is not confirmed",
    **dict.fromkeys((f"B{n:02}" for n in range(1, 16)), "billable() at a date of service needs claims and payer data"),
    **dict.fromkeys((f"E{n:02}" for n in range(1, 12)), "the submission gate needs enrollment packets; its parts here are R01-R10"),
    "G01": "needs participation confirmed by the payer",
    "G02": "R06, R08 and G07 here hold it; suspended and terminated are the provider's status",
    "G05": "held by the contracts of the views (Avro)",
    "G06": "needs verification dates of the directory (two-way) and the clock",
    "G08": "needs what the directory confirms",
    "G09": "held by the contracts of the views: no field of a restricted class is in one (tested)",
    "G10": "what is absent is shown as absent; an explicit unknown comes with directory serving",
}  # fmt: skip
"""Rules of the domain without a line above, and why."""


class RuleFailed(Exception):
    """A rule raised: a defect of ours. Its cause may hold values, so only the code is told (invariant 11)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def findings(today: Today) -> list[tuple[str, str]]:
    """(code, subject) of everything that doesn't hold."""
    found: list[tuple[str, str]] = []
    code = ""
    try:
        for code, finds in _applying(today.golden.kind, today.golden.records):
            for subject in finds(today):  # a list of its own would cost more than most rules
                found.append((code, subject))  # noqa: PERF401
    except Exception as error:
        raise RuleFailed(code) from error
    return found


@lru_cache(4096)
def _applying(kind: str, records: tuple[str, ...]) -> tuple[tuple[str, Finds], ...]:
    """The rules of a kind that have everything they read."""
    return tuple(
        (rule.code, rule.finds)
        for rule in RULES
        if rule.finds is not None and kind in rule.kinds and set(rule.records).issubset(records)
    )
