"""What of a provider's data a payer denies claims for, and which findings say the same before. Data, and pure.

The codes are those of the X12 lists (claim adjustment reason codes, CARC: x12.org/codes/claim-adjustment-reason-codes;
remittance advice remark codes, RARC: x12.org/codes/remittance-advice-remark-codes). CARC 16, which asks for some
information, says only by its remark of what. A code that stands here nowhere is about something else: a service, a
patient, a contract's price.
"""

from __future__ import annotations

from dataclasses import dataclass

DISAGREEING, LACKING = ("edit.", "target."), ("verify.", "capture.")
"""Reconciliation: what systems hold against each other, subject `system/record/...`, and what the platform lacks of a
system, subject `record/...`. Their codes don't say which data; their subjects do."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong with a provider's data, as payers tell it and as rules find it.

    codes: finding codes, or what they begin with. about: records and fields in the subjects of reconciliation.
    """

    name: str
    carc: frozenset[str]
    rarc: frozenset[str]
    codes: tuple[str, ...]
    about: frozenset[str]

    def fits(self, code: str, subject: str) -> bool:
        """Whether a finding is of this cause."""
        parts = subject.split("/")
        if code.startswith(DISAGREEING):
            return not self.about.isdisjoint(parts[1:])
        if code.startswith(LACKING):
            return not self.about.isdisjoint(parts)
        return code.startswith(self.codes)


def _reason(name: str, carc: str, rarc: str, codes: str = "", about: str = "") -> Reason:
    return Reason(
        name, frozenset(carc.split()), frozenset(rarc.split()), tuple(codes.split()), frozenset(about.split())
    )


SOMEBODY_ELSE = "another provider of the claim"
REASONS = (
    _reason(
        "NPI or TIN", "206 207 208", "N257 N290 N516",
        """identity. format.npi_ witness.npi_ claim.npi organization.tin_ enrollment.group_differs
           submission.group_disagrees""",
        "npi tin",
    ),
    _reason(
        "taxonomy", "8 170 171 172", "N95 N255 N288",
        "taxonomy. format.taxonomy_ dates.taxonomy_overlap", "taxonomy nucc_code billing_taxonomy",
    ),
    _reason(
        "name", "", "N289",
        "identity.name_missing witness.name_differs witness.legal_name", "last_name first_name legal_name",
    ),
    _reason(
        "affiliation", "", "N198 MA112",
        """affiliation. dates.affiliation_overlap place. reference.unknown submission.not_affiliated
           enrollment.group_differs""",
        "affiliation provider_location",
    ),
    _reason(
        "place", "", "N293 N294",
        "location. place. dates.place_overlap format.zip_shape format.state_unknown reference.unknown",
        "location provider_location",
    ),
    _reason(
        "eligibility", "185 B7", "N570",
        """licence. claim.licence claim.not_credentialed claim.excluded claim.prescribing credentialing. recredential.
           psv. exclusion. witness.excluded_ screening. submission. enrollment. dea. cds. malpractice.""",
        "license committee_decision exclusion_hit enrollment",
    ),
    _reason(
        "participation", "147 242 279 299", "N767",
        "enrollment. submission.", "enrollment network_participation billing_payer contract",
    ),
    _reason(
        "other than in the payer's file", "", "N521",
        "identity. witness. taxonomy. affiliation. enrollment. organization. location. submission.",
        "provider organization location taxonomy affiliation enrollment",
    ),
    _reason(SOMEBODY_ELSE, "183 184", "N286 N297"),
)  # fmt: skip
"""A remark says more than a reason code, so remarks are asked first; of several, the first that stands here counts."""


def reason_of(carc: str, rarc: str) -> Reason | None:
    """What of the provider's data a denial is about; None where it is about something else.

    As billing has them: `B7` or `CO-B7`; remarks with spaces or commas between.
    """
    remarks = set(rarc.replace(",", " ").upper().split())
    code = carc.strip().upper().rpartition("-")[2]
    by_remark = next((reason for reason in REASONS if reason.rarc & remarks), None)
    return by_remark or next((reason for reason in REASONS if code in reason.carc), None)
