"""The rule book: every code a finding can have, in one table. docs/codes.md is generated from it.

    facts --findings--> (code, subject)

A new rule is one function and one line here, with a scenario in tests/behavior that fires it and one that doesn't.
Rules are evaluated only where the entity has rows of every record they read: what is not there is unknown, which is
neither pass nor fail. A rule with `until` only warns until that name stands in `rule.ON`. `SAME`, `COUNTED`,
`PARTLY` and `LATER` name the rules of the domain that other lines say, that are only counted, that are here in part, and
that are not here, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from streams.core.rules import (
    billable,
    cds,
    code_set,
    credentialing,
    dates,
    directory,
    enrolled,
    exclusion,
    geography,
    identity,
    licence,
    practice,
    prescribing,
    search,
    submission,
    taxonomy,
    witness,
)
from streams.core.rules.rule import HOLD, REFUSE, WARN, WITHDRAW, Finds, Rule, every
from streams.core.today import Today

_P, _O, _L = ("provider",), ("organization",), ("location",)
_LICENCE = {"directory": WITHDRAW, "billing": HOLD, "enrollment": HOLD}
_NO, _STOP, _KEEP, _SAY = every(WITHDRAW), every(HOLD), every(REFUSE), every(WARN)
_PACKET, _BILL, _WAIT, _HIDE = (
    {"enrollment": HOLD},
    {"billing": HOLD},
    {"directory": HOLD},
    {"directory": WITHDRAW},
)
SERVING = "serving"
"""What rules wait for: that the directory publishes to Plan-Net."""

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
    Rule("P01", "verify.missing", "high", _SAY, "a verification found a row in its system that the platform doesn't have", "concord verify source TABLE --repair; if it comes again, look for what loses it", "design section 8", "operator"),
    Rule("P01", "verify.extra", "high", _SAY, "a verification found that the platform has a row which its system doesn't", "concord verify source TABLE --repair; if it comes again, look for what loses the delete", "design section 8", "operator"),
    Rule("P01", "verify.different", "high", _SAY, "a verification found that the platform has other values of a row than its system", "concord verify source TABLE --repair; if it comes again, look for what loses the change", "design section 8", "operator"),
    Rule("P01", "entity.too_large", "medium", _SAY, "what the systems say of this entity is more than 1 MiB: each change of it costs that much", "find the table that grows; map it as a log, or correct its source", "design: entity size", "operator"),
    Rule("P08", "internal.decide_failed", "high", _STOP, "a defect of ours stopped the decision; every sink keeps what it has", "report it with the worker's log; the subject names the rule, if one raised", "invariant 12", "operator"),
    # ---- what systems hold against their view (core/edit.py) ----
    Rule("R18", "edit.reverted", "low", _SAY, "a system that doesn't own the field has edited it; its view was sent again", "edit it in the system that owns it; topic rejection says which", "R18; authority matrix 2", "steward"),
    Rule("R18", "edit.proposed", "medium", _SAY, "a system that doesn't own the field proposes another value", "approve or refuse the proposal", "R18; authority matrix 2", "steward"),
    Rule("R18", "edit.approved", "medium", _SAY, "a proposal is approved, and its owner was asked to take it over", "wait for the owner's change; if it doesn't come, look at its adapter and at topic receipt", "authority matrix 9", "steward"),
    Rule("R18", "edit.unanswered", "high", _SAY, "the owner's system was asked to take a change over, and a business day later it hasn't", "look at its adapter (concord status) and at topic receipt, or enter the change there", "authority matrix 9", "operator"),
    Rule("R18", "edit.by_hand", "medium", _SAY, "a proposal is approved, but its owner takes no requests", "enter it in the system that owns it", "authority matrix 9", "steward"),
    Rule("R18", "edit.row_unclear", "medium", _SAY, "a proposal is approved, but no single row of its owner's is meant", "enter it in the owner's row that it is about", "authority matrix 9", "steward"),
    Rule("R18", "request.missed", "medium", _SAY, "the owner's system held another value than an approval was bound to, so the change was not made and the proposal is void", "look at the owner's value; propose again, or say by concord proposals comment that it is settled", "design section 6", "steward"),
    Rule("R18", "proposal.expired", "medium", _SAY, "nobody ruled on a proposal within ten business days", "propose it again, or say by concord proposals comment that it is settled", "authority matrix 9", "compliance"),
    Rule("R18", "ruling.unsigned", "high", _SAY, "a ruling is not signed by the people it needs, or is bound to another value than was proposed", "concord proposals show says who must sign", "authority matrix 3", "steward"),
    Rule("R18", "ruling.late", "high", _SAY, "a ruling was written on a proposal that had ended", "say by concord proposals comment that it is settled, or propose the value again", "authority matrix 9", "steward"),
    Rule("R18", "ruling.unknown", "high", _SAY, "a ruling names no proposal of this entity", "rule on a proposal that concord proposals list shows", "authority matrix 9", "steward"),
    Rule("R18", "edit.departed", "medium", _SAY, "a system has edited the row of somebody who was taken out of it: it isn't what the master says", "undo it there, or let the master say it; nothing is written over it while the withdrawal stands", "R18; authority matrix 2", "steward"),
    Rule("R18", "authority.review_overdue", "medium", _SAY, "nobody has reviewed the authority file by its date", "review it, then set reviewed_on and review_due", "authority matrix 10: governance", "compliance"),
    Rule("R18", "edit.conflict", "high", _STOP, "a system holds another value of a field it doesn't own, and authority doesn't say which is right", "find out which is right, and correct the other", "R18; authority matrix 2", "steward", local=True),
    Rule("R18", "target.altered", "medium", _SAY, "what the platform wrote came out different in the system", "look for a trigger or a narrower column there", "design section 6", "operator"),
    Rule("R18", "target.refused", "medium", _SAY, "a system refuses the view it was sent last", "correct the value at its owner, or what the reason names in the system; it is sent again each day and with the next change, at once by concord reassert", "design section 6", "operator"),
    Rule("P06", "target.credentials", "high", _SAY, "a system refuses its adapter's credentials or rights: nothing reaches it, nothing is lost", "renew the credentials or grant the right; the adapter goes on by itself", "P06", "operator"),
    Rule("P07", "target.unavailable", "medium", _SAY, "a system is slow or down: nothing reaches it, nothing is lost", "see that it runs; concord status says how many views wait, and the adapter goes on by itself", "P07", "operator"),
    Rule("R18", "target.paused", "high", _SAY, "an adapter stands still: nothing reaches its system, nothing is lost", "mend what the reason names; the adapter goes on by itself", "design section 6", "operator"),
    Rule("T06", "view.unconfirmed", "medium", _SAY, "a system has not confirmed by the next business day what it was sent", "if its adapter stands still, a finding of system/<name> says why, and this ends with it; else concord trace says how far the view came", "T06", "operator"),
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
    Rule("R04", "taxonomy.code_unknown", "high", _STOP, "NUCC's list has no such code", "pick a code of the list", "NUCC", "credentialing", _P, ("taxonomy",), code_set.unknown),
    Rule("R04", "taxonomy.code_unusable", "high", _STOP, "the code is retired, or its release may not be used yet", "pick a code that may be used today", "NUCC", "credentialing", _P, ("taxonomy",), code_set.unusable),
    Rule("R04", "taxonomy.no_specialty", "low", _WAIT, "the directory's list of specialties has no such code", "show the parent classification", "Plan-Net SpecialtiesVS", "credentialing", _P, ("taxonomy",), code_set.no_specialty, until=SERVING),
    Rule("R05", "taxonomy.licence_type", "low", _SAY, "no licence on record is of a type that allows the primary taxonomy code", "correct the code, or enter the licence", "seed 5", "credentialing", _P, ("license", "taxonomy"), code_set.licence_type),
    # ---- licences ----
    Rule("R06", "licence.lapsed", "high", _LICENCE, "no licence is usable today in a state of practice", "verify the licence with its board, or end the place", "seed 6; G02", "credentialing", _P, ("license", "provider_location"), licence.lapsed),
    Rule("R06", "licence.pending", "medium", _STOP, "no licence of a state of practice is verified yet", "verify the licence with its board", "seed 6", "credentialing", _P, ("license", "provider_location"), licence.pending),
    Rule("R06", "licence.expiring", "medium", _SAY, "a licence ends within 90 days", "ask for the renewal (alerts at 90, 60, 30 and 7 days)", "seed 6", "credentialing", _P, ("license",), licence.expiring),
    Rule("R06", "licence.missing", "medium", _SAY, "a provider practises and no licence is on record", "enter and verify the licence", "seed 6", "credentialing", _P, ("provider_location",), licence.missing),
    Rule("R06", "licence.status_unknown", "low", _SAY, "nobody says whether the licence is in force", "verify the licence with its board", "seed 6", "credentialing", _P, ("license",), licence.status_unknown),
    # ---- prescribing ----
    Rule("R07", "dea.expired", "medium", _SAY, "a DEA registration is expired or not active", "verify with the issuer", "21 CFR 1301.13", "credentialing", _P, ("dea_registration",), prescribing.expired),
    Rule("R07", "dea.last_name_letter", "low", _SAY, "the DEA number's second letter is not that of the last name", "verify with the issuer", "R07", "credentialing", _P, ("dea_registration",), prescribing.last_name_letter),
    Rule("R07", "dea.state_missing", "low", _SAY, "no DEA registration is for a state of practice", "ask whether one is needed there", "21 CFR 1301.12", "credentialing", _P, ("dea_registration", "provider_location"), prescribing.state_missing),
    Rule("R07", "dea.first_letter", "low", _SAY, "the DEA number begins with a letter that no registrant has", "verify with the issuer", "R07", "credentialing", _P, ("dea_registration",), cds.first_letter),
    Rule("R07", "cds.expired", "medium", _SAY, "a state's registration for controlled substances is expired or not active", "verify with the issuer", "state law", "credentialing", _P, ("cds_registration",), cds.expired),
    Rule("R07", "cds.missing", "medium", _PACKET, "a prescriber lacks the registration that a state of practice asks for", "obtain it, or confirm that nothing is prescribed there", "state law", "credentialing", _P, ("cds_registration", "dea_registration", "provider_location"), cds.missing),
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
    Rule("R23", "location.county", "medium", _SAY, "the county lies in another state than the address", "correct county or state", "seed 23", "credentialing", _L, (), geography.county),
    Rule("R23", "location.coordinates", "medium", _SAY, "the coordinates lie nowhere near the state of the address", "geocode the address again", "seed 23", "credentialing", _L, (), geography.coordinates),
    Rule("G05", "location.half_a_position", "low", _SAY, "a latitude without a longitude, or the other way round", "geocode the address again", "Plan-Net Location", "credentialing", _L, (), geography.half_a_position),
    Rule("G05", "location.hours", "low", _SAY, "on some day the place closes before it opens", "correct the hours", "Plan-Net Location", "credentialing", _L, (), geography.hours),
    Rule("R30", "location.telehealth_only", "low", _SAY, "telehealth only, and yet with office hours", "confirm which it is", "R30", "credentialing", _L, (), practice.telehealth_only),
    # ---- witnesses: they stop nobody yet ----
    Rule("R02", "witness.npi_unknown", "high", _STOP, "NPPES's newest list has no such NPI", "verify the identity; an NPI younger than the list is in the next one", "45 CFR 162.410", "credentialing", (*_P, *_O), ("nppes_search",), search.npi_unknown),
    Rule("R02", "witness.npi_deactivated", "high", _STOP, "NPPES has deactivated the NPI", "verify the identity; the provider updates NPPES", "45 CFR 162.410", "credentialing", (*_P, *_O), ("nppes",), witness.npi_deactivated),
    Rule("R02", "witness.npi_type", "high", _STOP, "NPPES has a person's NPI as an organization's, or the other way round", "correct the NPI", "45 CFR 162.404", "credentialing", (*_P, *_O), ("nppes",), witness.npi_type),
    Rule("R02", "witness.name_differs", "medium", _SAY, "NPPES has another last name for the NPI", "verify the identity", "R02", "credentialing", _P, ("nppes",), witness.name_differs),
    Rule("R13", "witness.legal_name", "medium", _SAY, "NPPES has another name for the organization's NPI", "correct the legal name, or the NPI", "R13", "credentialing", _O, ("nppes",), witness.legal_name_differs),
    Rule("R08", "screening.leie_old", "medium", _STOP, "the LEIE was searched more than 30 days ago, or was stale then", "concord reference load leie FILE", "42 CFR 455.436", "operator", _P, ("leie_search",), search.leie_old),
    Rule("R08", "screening.sam_old", "medium", _STOP, "SAM was searched more than 30 days ago, or was stale then", "concord reference load sam FILE", "42 CFR 455.436", "operator", _P, ("sam_search",), search.sam_old),
    Rule("R08", "witness.excluded_leie", "high", _STOP, "the LEIE has this provider's NPI", "record and review the hit", "42 CFR 455.436", "compliance", _P, ("leie",), witness.excluded_leie),
    Rule("R08", "witness.excluded_sam", "high", _STOP, "SAM has an exclusion with this provider's NPI", "record and review the hit", "42 CFR 455.436", "compliance", _P, ("sam",), witness.excluded_sam),
    Rule("R08", "witness.possible_leie", "high", _SAY, "the LEIE has somebody of this name and date of birth", "review the hit", "42 CFR 455.436", "compliance", _P, ("leie",), witness.possible_leie),
    Rule("R07", "witness.dea_expired", "medium", _SAY, "the DEA's file has a registration on record as expired", "verify with the issuer", "21 CFR 1301.13", "credentialing", _P, ("dea_registry",), witness.dea_expired),
    # ---- what enrollment holds ----
    Rule("R15", "enrollment.dates_order", "high", _PACKET, "an enrollment ends before it begins, or is billed back from a day after it", "correct the dates", "seed 15", "enrollment", _P, ("enrollment",), enrolled.dates_order),
    Rule("R15", "enrollment.retro_window", "low", _SAY, "billed back further than 30 days, which Medicare doesn't allow", "confirm that the payer allows it", "42 CFR 424.521", "enrollment", _P, ("enrollment",), enrolled.retro_window),
    Rule("R13", "enrollment.group_differs", "high", _BILL, "an enrollment has another TIN or NPI than the group of its place", "correct the enrollment, or approve the change", "seed 13", "enrollment", _P, ("enrollment", "provider_location"), enrolled.group_differs),
    # ---- before an enrollment is submitted (section 5) ----
    Rule("E01", "submission.not_approved", "high", _PACKET, "a packet is prepared without a current approval of the committee", "have the committee decide first", "NCQA CR 4", "credentialing", _P, ("enrollment",), submission.not_approved),
    Rule("E02", "submission.not_validated", "high", _PACKET, "a packet is prepared for somebody whose NPI, taxonomy, licence or screening doesn't hold", "settle the provider's other findings", "E02", "credentialing", _P, ("enrollment",), submission.not_validated),
    Rule("E03", "submission.not_verified", "high", _PACKET, "a packet rests on a verification that was too old, or on an unsigned application", "verify again; have the application signed", "NCQA CR 3", "credentialing", _P, ("enrollment",), submission.not_verified),
    Rule("E05", "submission.not_affiliated", "high", _PACKET, "on the day asked for the provider doesn't practise there, or bills under nobody", "add place or affiliation, or ask for another day", "seed 14", "credentialing", _P, ("enrollment",), submission.not_affiliated),
    Rule("E06", "submission.group_disagrees", "high", _SAY, "a packet has another TIN or NPI than the group", "correct the packet", "seed 13", "enrollment", _P, ("enrollment", "provider_location"), submission.group_disagrees),
    Rule("E09", "submission.in_conflict", "high", _SAY, "a packet's key has an open difference with the payer", "settle the difference", "E09", "enrollment", _P, ("enrollment", "recon_item"), submission.in_conflict),
    Rule("E10", "submission.not_covered", "medium", _PACKET, "a packet is prepared while attestation or malpractice cover is out of date", "have the provider attest again; obtain the certificate", "E10", "credentialing", _P, ("enrollment",), submission.not_covered),
    Rule("E11", "submission.twice", "medium", _PACKET, "another open enrollment has the same group, place, payer and product", "end one of them", "E11", "enrollment", _P, ("enrollment",), submission.twice),
    # ---- what the directory holds (section 6) ----
    Rule("G01", "enrollment.unconfirmed", "medium", _SAY, "the master names a network that no enrollment in force confirms: there the directory lists nobody", "enroll with the payer, or end the participation", "G01", "enrollment", _P, ("enrollment", "network_participation"), enrolled.unconfirmed),
    Rule("R21", "directory.verification_due", "low", _SAY, "a listing must be verified within 15 days", "verify it", "PHSA 2799A-5", "directory", _P, ("listing",), directory.verification_due),
    Rule("R21", "directory.verification_overdue", "medium", _SAY, "nobody verified a listing for more than 90 days", "verify it, or withdraw it", "PHSA 2799A-5", "directory", _P, ("listing",), directory.verification_overdue),
    Rule("R21", "directory.publication_late", "medium", _SAY, "what was received two business days ago is not published", "publish it", "PHSA 2799A-5", "directory", _P, ("publication",), directory.publication_late),
    Rule("G06", "directory.indicator_missing", "high", _SAY, "a listing nobody verified in time is shown without saying so", "show that it is unverified", "SSA 1852(c)(3)", "directory", _P, ("listing",), directory.indicator_missing),
    Rule("G06", "directory.removal_due", "high", _HIDE, "nobody verified any listing of a provider for more than 180 days", "verify one of them: then all are shown again", "PHSA 2799A-5", "directory", _P, ("listing",), directory.removal_due),
    Rule("R22", "directory.accepting_missing", "medium", _WAIT, "a listing was verified, and nobody said whether it accepts new patients", "have it attested", "seed 22", "directory", _P, ("listing",), directory.accepting_missing),
    Rule("R22", "directory.accepting_old", "medium", _WAIT, "what a listing says of new patients was attested more than 90 days ago", "have it attested again", "seed 22", "directory", _P, ("attestation", "listing"), directory.accepting_old),
    Rule("R22", "directory.accepting_inconsistent", "medium", _WAIT, "a listing takes no new patients and yet says which", "correct one of the two", "seed 22", "directory", _P, ("listing",), directory.accepting_inconsistent),
    Rule("T02", "directory.past_shown", "high", _SAY, "the directory shows somebody who has no place or no network any more", "end the listing", "T02", "directory", _P, ("listing", "network_participation", "provider_location"), directory.past_shown),
    Rule("T04", "directory.future_shown", "high", _SAY, "the directory shows somebody who begins only later", "withdraw the listing until then", "T04", "directory", _P, ("listing", "provider_location"), directory.future_shown),
    Rule("G09", "directory.restricted_text", "high", _WAIT, "free text of a listing, or its group's name, holds a number in the shape of an SSN, TIN or DEA number", "remove it at once", "G09", "directory", _P, (), directory.restricted_text),
    Rule("G10", "directory.unsaid", "low", _SAY, "languages, accessibility or telehealth of who is listed are neither known nor said to be unknown", "ask, or say that it is unknown", "G10", "directory", _P, ("listing",), directory.unsaid),
    # ---- claims at their date of service (section 4) ----
    Rule("B01", "claim.npi", "high", _BILL, "on a claim's day the NPI was missing, unknown or deactivated", "correct the NPI", "CARC 206, 207, 208", "billing", _P, ("claim",), billable.npi),
    Rule("B02", "claim.excluded", "high", _BILL, "a claim is of somebody with an exclusion that is confirmed or not reviewed", "stop the claim; review the hit", "42 CFR 1001.1901", "compliance", _P, ("claim", "exclusion_hit"), billable.excluded),
    Rule("B03", "claim.not_credentialed", "high", _BILL, "on a claim's day the committee had not approved", "hold the claim", "RARC N570", "billing", _P, ("claim", "committee_decision"), billable.not_credentialed),
    Rule("B04", "claim.licence", "high", _BILL, "on a claim's day no licence was usable", "verify the licence with its board", "CARC B7", "billing", _P, ("claim", "license"), billable.licence),
    Rule("B05", "claim.prescribing", "medium", _BILL, "on a claim's day no DEA registration was usable", "confirm that the service needs none", "B05", "billing", _P, ("claim", "dea_registration"), billable.prescribing),
)  # fmt: skip

CODES: Mapping[str, Rule] = {rule.code: rule for rule in RULES}
"""code -> its rule"""

SAME: Mapping[str, tuple[str, ...]] = {
    "G02": ("licence.lapsed", "exclusion.confirmed", "exclusion.open", "credentialing.denied"),
    "R25": ("capture.quarantined",),
    "G08": ("directory.past_shown", "directory.publication_late"),
}
"""Rules of the domain that other lines say -> their codes."""

COUNTED: Mapping[str, tuple[str, ...]] = {
    "P04": ("superseded", "unchanged", "applied"),
    "R19": ("superseded", "unchanged", "applied"),
}
"""Rules that the domain answers with a count alone, nothing for a steward to do -> the outcomes that count them: a stale
row or a duplicate is superseded; an echo is taken in as what its system holds now, and no view follows from it."""

_CLAIMS = "billing's claims are a log: they speak here once the open ones are folded into their provider"
PARTLY: Mapping[str, str] = {
    "R04": "the parent classification that is shown instead of a code Plan-Net lacks: directory serving",
    "R05": "equal to what the payer and the claim have: payer exchange; what enrollment and billing hold is judged as an edit",
    "R07": "that an expired registration stops a packet where prescribing is required: nobody says whose service requires it",
    "R08": "lists of the states: no source of them is loaded",
    "R13": "agreement with the payer's record: payer exchange",
    "R15": "an effective date before the contract begins: enrollments name payer and product by enrollment's own ids, contracts are looked up by theirs (E04)",
    "R23": "a geocode older than its address: it stops the adequacy feed (R32), and no record says when the address changed; one phone on many providers: across entities, a job's",
    "R25": "its half of P02 is a job's",
    "R26": "the same name, date of birth and licence under another NPI: across entities, a job's",
    "R21": "the removal clock has nothing to count: who leaves is withdrawn with the decision that sees it; publications are a log, whose rows reach no entity",
    "G01": "of whom enrollment holds nothing, the master's observed copy is believed; the payer's own word is what enrollment entered",
    "G06": "of several listings one that nobody verifies is told, and not withdrawn alone: the directory knows places by its own ids, its view by the master's",
    "B01": _CLAIMS,
    "B02": _CLAIMS,
    "B03": _CLAIMS,
    "B04": f"the state of the service: claims name billing's own id of the place; {_CLAIMS}",
    "B05": f"whether the service needs a registration: claims don't say; {_CLAIMS}",
}
"""What a rule of the domain that stands here doesn't say yet, and why."""

_PAYER, _JOB = "needs payer exchange", "across entities: a job's"
LATER: Mapping[str, str] = {
    "P02": f"{_JOB} (blast radius)",
    "R11": "needs packets opened by payer contract",
    "R12": "needs the roster mapping of each payer",
    "R16": _PAYER,
    "R17": _PAYER,
    "R20": f"{_JOB} (drift sweep)",
    "R24": "needs enrollment and payer data: section 4 of the domain's rules, of which B01-B05 stand here",
    "R31": "needs delegated files",
    "R32": "needs the adequacy feed",
    "R33": _PAYER,
    "T01": "needs the version the payer accepted",
    "T03": "needs what billing and the directory confirm",
    "T05": "needs what became of paid and denied claims",
    **dict.fromkeys((f"B{n:02}" for n in range(6, 16)), "billable() at a date of service needs payer data"),
    "E04": "needs contracts by payer, product and group TIN",
    "E07": "needs the roster mapping of each payer",
    "E08": "needs each payer's lead times",
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
