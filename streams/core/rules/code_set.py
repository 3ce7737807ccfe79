"""Rules on codes by their lists: R04 (NUCC: in it, usable, not retired; Plan-Net's specialties), R05 (licence types).

NUCC's codes are references: `nucc/<code>`, and `nucc/list` for the release as a whole. As long as that one is unknown
no code is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from streams.core.canonical import License, Nucc, Taxonomy
from streams.core.rules.taxonomy import NON_INDIVIDUAL
from streams.core.today import Today, is_current

KIND, LIST = "nucc", "list"

NO_SPECIALTY = frozenset(
    "103GC0700X 103TE1000X 103TM1700X 103TP2700X 103TW0100X 146E00000X 1835C0206X 1835C0207X 1835E0208X 1835G0000X "
    "1835I0206X 1835P1400X 1835S0206X 193400000X 202D00000X 207LP4000X 207QB0505X 207QD0401X 207QP0002X 207RP1002X "
    "207SG0207X 207VC0300X 2080P1004X 2084E0001X 2086P0122X 213EG0000X 2865C1500X 287300000X 317400000X 390200000X"
    .split()
)  # fmt: skip
"""Codes that Plan-Net's PractitionerRole.specialty lacks, beside those for facilities and agencies."""

_PHYSICIAN, _NURSE = frozenset({"MD", "DO", "MBBS"}), frozenset({"APRN", "ARNP", "CRNP", "NP", "RN"})
LICENCE_TYPES: dict[str, frozenset[str]] = {
    "101Y": frozenset("LPC LPCC LCPC LMHC LCMHC LPCMH LCADC LADC LAC LCDC CADC LMFT LCSW PHD PSYD".split()),
    "103T": frozenset("PHD PSYD EDD LP PSY PSYCHOLOGIST LPA LPE".split()),
    "1041C": frozenset("LCSW LICSW LISW LCSW-C CSW LSCSW LCSWR LMSW".split()),
    "106H": frozenset("LMFT MFT LCMFT LIMFT LMFTA".split()),
    "111N": frozenset({"DC"}),
    "1223": frozenset({"DDS", "DMD"}),
    "152W": frozenset({"OD"}),
    "163W": _NURSE,
    "1835": frozenset("RPH PHARMD PHARMACIST".split()),
    "20": _PHYSICIAN,
    "213E": frozenset({"DPM"}),
    "225100000X": frozenset("PT DPT MPT".split()),
    "225X": frozenset("OT OTR OTD".split()),
    "231H": frozenset("AUD AUDIOLOGIST CCC-A PHD".split()),
    "235Z": frozenset("SLP CCC-SLP".split()),
    "363A": frozenset("PA PA-C PAC RPA RPA-C".split()),
    "363L": _NURSE | {"FNP", "FNP-C", "DNP", "CNP", "ANP", "PMHNP", "CNM"},
    "364S": _NURSE | {"CNS", "DNP"},
    "367500000X": _NURSE | {"CRNA"},
    "367A": _NURSE | {"CNM", "DNP"},
}
"""Beginning of a code -> licence types that allow it: the common ones. What isn't here allows anything."""
_KNOWN = frozenset().union(*LICENCE_TYPES.values())
_LENGTHS = sorted({len(prefix) for prefix in LICENCE_TYPES}, reverse=True)


def _codes(today: Today) -> Iterator[tuple[str, str, Nucc | None]]:
    """(row id, code, what NUCC has of it) of the codes held today, once the list is known."""
    if today.look(KIND, LIST) is None:
        return
    for row_id, row in today.golden.rows(Taxonomy).items():
        if row.nucc_code and is_current(row.effective_from, row.effective_to, today.as_of):
            known = today.look(KIND, row.nucc_code)
            yield row_id, row.nucc_code, known.one(Nucc) if known is not None else None


def _listed(today: Today) -> list[tuple[str, str, Nucc | None]]:
    found: list[tuple[str, str, Nucc | None]] | None = today.noted.get("nucc")
    if found is None:
        found = today.noted["nucc"] = list(_codes(today))
    return found


def unknown(today: Today) -> Iterator[str]:
    """The code is in no release of the list (R04)."""
    for row_id, _, listed in _listed(today):
        if listed is None:
            yield f"taxonomy/{row_id}/nucc_code"


def unusable(today: Today) -> Iterator[str]:
    """The code's release may not be used yet, or a release has retired it (R04)."""
    for row_id, _, listed in _listed(today):
        if listed is not None and not is_current(listed.usable_from, listed.retired_on, today.as_of):
            yield f"taxonomy/{row_id}/nucc_code"
        if listed is not None:
            _again(today, listed.usable_from, listed.retired_on)


def _again(today: Today, *dates: str | None) -> None:
    """The day on which time alone changes this: a reference's dates are not in the entity's own record."""
    today.noted.setdefault("again", []).extend(d for d in dates if d and d > today.as_of)


def no_specialty(today: Today) -> Iterator[str]:
    """The directory's specialty has no such code: its parent classification is shown instead (R04)."""
    code = today.taxonomy_code
    if code and (code in NO_SPECIALTY or code[:2] in NON_INDIVIDUAL):
        yield "taxonomy/nucc_code"


@lru_cache(4096)
def _rules_out(code: str, licence_type: str) -> bool:
    """Whether a licence of this type allows none of what the code stands for, as far as both are mapped."""
    allowed = next((LICENCE_TYPES[code[:n]] for n in _LENGTHS if code[:n] in LICENCE_TYPES), None)
    plain = licence_type.upper().replace(".", "").strip()
    return allowed is not None and plain in _KNOWN and plain not in allowed


def licence_type(today: Today) -> Iterator[str]:
    """No licence on record allows the primary code (R05). Types that nobody has mapped say nothing."""
    code, told = today.taxonomy_code, False
    if not code:
        return
    for row in today.golden.rows(License).values():
        if row.license_type:
            if not _rules_out(code, row.license_type):
                return
            told = True
    if told:
        yield "taxonomy/nucc_code"
