"""What contradicts what in `authority.toml`: every check is one function and one line of CHECKS.

    Entry (a row with what it inherits), holders (which system's mapping holds which field) --> problems

Pure. Shapes and names were checked before (schemas/strict.py); whether a value is right is never its business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from schemas.authority_file import WITNESSES, Entry, Level
from streams.systems import SYSTEMS

Holders: TypeAlias = Mapping[tuple[str, str], Collection[str]]
"""(record, field) -> the systems whose mapping holds it."""
Found: TypeAlias = Iterator[tuple[str, str, str]]
"""The key it is about, what is wrong, and the cure."""

GUARDED: Mapping[str, frozenset[str]] = {
    "provider": frozenset(
        {"npi", "entity_type", "last_name", "first_name", "middle_name", "name_suffix", "date_of_birth"}
    ),
    "organization": frozenset(
        {
            "npi",
            "tin",
            "tin_type",
            "legal_name",
            "remit_address",
            "billing_line1",
            "billing_city",
            "billing_state",
        }
        | {"billing_postal_code", "billing_taxonomy"}
    ),
    "location": frozenset({"location_npi"}),
    "enrollment": frozenset({"group_npi", "group_tin"}),
    "contract": frozenset({"group_tin"}),
}
"""Identity and money: four eyes, and never taken from another system by itself."""

RANK: Mapping[Level, int] = {"A0": 0, "A1": 1, "A2": 2, "A3": 3, "HOLD": 0}
SINGLE = ("source_of_truth", "derived", "external_reference")
SEVERAL = ("precedence", "most_recent", "consensus_k")
UNCOMBINED = ("most_recent", "most_recently_verified", "consensus_k", "manual")
UNEDITED = ("revert", "observe", "ignore")
SOURCE = re.compile(r"(?:[1-9]|1[0-2]) \S.*")


def guarded(entry: Entry) -> list[str]:
    """The row's fields that are identity or money, unless they are computed."""
    known = GUARDED.get(entry.record, frozenset())
    return [field for field in entry.fields if field in known and entry.rule != "derived"]


def owner_edited(entry: Entry, holders: Holders) -> Found:
    for party in entry.edit_by:
        if party in entry.sole:
            what = f"{party} owns it, and edit_by says what becomes of its edits"
            yield "edit_by", what, f"take {party} out of edit_by, or out of owner"


def owners_count(entry: Entry, holders: Holders) -> Found:
    count, key = len(entry.owners), _nearer(entry, "owner", "rule")
    if entry.rule in SINGLE and count > 1:
        yield key, f"{entry.rule} with {count} owners", "name one owner, or write rule = 'precedence'"
    if entry.rule in SEVERAL and count < 2:
        yield key, f"{entry.rule} with one owner", "name the others in order, or write 'source_of_truth'"
    if len(set(entry.owners)) < count:
        yield "owner", "an owner stands there twice", "name each owner once"


def _nearer(entry: Entry, one: str, other: str) -> str:
    """Of two keys that don't go together, the one said closer to the row."""
    return one if len(entry.place(one)) > len(entry.place(other)) else other


def consensus_impossible(entry: Entry, holders: Holders) -> Found:
    if entry.rule == "consensus_k" and (entry.k is None or entry.k > len(entry.owners)):
        yield "k", "consensus_k needs k, and at least k owners", "write k = 2, or name more owners"
    if entry.rule != "consensus_k" and entry.k is not None:
        yield "k", f"k means nothing to {entry.rule}", "remove k, or write rule = 'consensus_k'"


def not_combined(entry: Entry, holders: Holders) -> Found:
    speaking = [owner for owner in entry.owners if owner in SYSTEMS]
    if entry.rule in UNCOMBINED and len(speaking) > 1:
        what = f"{entry.rule} of {len(speaking)} systems"
        yield "rule", what, "name one of them, or write rule = 'precedence', 'union' or 'most_restrictive'"


def owner_kind(entry: Entry, holders: Holders) -> Found:
    if "platform" in entry.owners and entry.rule != "derived":
        yield "owner", f"platform owns what is {entry.rule}", "write rule = 'derived', or name a system"
    for owner in entry.owners:
        if owner in WITNESSES and entry.rule != "external_reference":
            yield "owner", f"{owner} is a witness", "write rule = 'external_reference', or name a system"


def owner_silent(entry: Entry, holders: Holders) -> Found:
    if any(owner not in SYSTEMS for owner in entry.owners):
        return
    for field in entry.fields:
        held = holders.get((entry.record, field), ())
        if not set(held) & set(entry.owners):
            fix = f"name one that does: {', '.join(sorted(held)) or 'none yet'}; or map a column"
            yield "owner", f"no mapping of {' or '.join(entry.owners)} holds {field}", fix


def auto_accepted(entry: Entry, holders: Holders) -> Found:
    accepted = sorted(party for party, policy in entry.edit_by.items() if policy == "auto_accept")
    accepted += ["edit"] if entry.edit == "auto_accept" else []
    if not accepted:
        return
    key = "edit" if "edit" in accepted else "edit_by"
    if fields := guarded(entry):
        yield (
            key,
            f"auto_accept ({', '.join(accepted)}) of {', '.join(fields)}",
            "write 'propose' or 'conflict'",
        )
    if entry.approval != "A0":
        fix = 'write approval = "A0" with approval_for, or edit = "propose"'
        yield key, f"auto_accept where a change needs {entry.approval}", fix


def approval_low(entry: Entry, holders: Holders) -> Found:
    needed, because = _needed(entry)
    given = entry.approval_for.get("release", "A0") if entry.approval == "HOLD" else entry.approval
    if RANK[given] < RANK[needed]:
        yield "approval", f"{entry.approval}, and {because} needs {needed}", f'write approval = "{needed}"'


def _needed(entry: Entry) -> tuple[Level, str]:
    if fields := guarded(entry):
        return "A2", f"{', '.join(fields)} (identity or money)"
    if entry.severity == "high" and "conflict" in (entry.edit, *entry.edit_by.values()):
        return "A2", "a conflict of high severity"
    return ("A1", "a rule that a steward decides") if entry.rule == "manual" else ("A0", "")


def release_missing(entry: Entry, holders: Holders) -> Found:
    if "HOLD" not in (entry.approval, *entry.approval_for.values()):
        return
    release = entry.approval_for.get("release", "A0")
    if RANK[release] < RANK["A2"]:
        yield "approval_for", f"HOLD, released at {release}", 'write release = "A2" or "A3" in approval_for'


def approver_missing(entry: Entry, holders: Holders) -> Found:
    levels = (entry.approval, *entry.approval_for.values())
    if any(RANK[level] >= RANK["A2"] for level in levels) and not set(entry.approvers) - {"data_steward"}:
        fix = 'write approvers = ["..."]: the role of the second signature'
        yield "approvers", "four eyes, and nobody but a data steward to sign", fix


def derived_edited(entry: Entry, holders: Holders) -> Found:
    if entry.rule != "derived":
        return
    for key, policy in (("edit", entry.edit), *(("edit_by", p) for p in entry.edit_by.values())):
        if policy not in UNEDITED:
            yield key, f"derived, and edits end as {policy}", f"use one of: {', '.join(UNEDITED)}"
    if entry.approval != "A0":
        yield "approval", f"derived, and a change needs {entry.approval}", 'write approval = "A0"'


def evidence_missing(entry: Entry, holders: Holders) -> Found:
    if entry.rule == "external_reference" and not entry.evidence and entry.owners[0] in SYSTEMS:
        yield "rule", "external_reference without evidence", 'name the witness: evidence = ["nppes"]'


def witness_reverted(entry: Entry, holders: Holders) -> Found:
    for party in ("external", *WITNESSES):
        if entry.edit_by.get(party) == "revert":
            yield (
                "edit_by",
                f"revert to {party}",
                "a witness cannot be written to: observe, conflict or propose",
            )


def write_to_owner(entry: Entry, holders: Holders) -> Found:
    for system, write in entry.write_to.items():
        if write == "always" and system in entry.owners and entry.rule != "union":
            yield "write_to", f"always to {system}, which owns it", "write 'never' or 'if_not_claimant'"


def write_nowhere(entry: Entry, holders: Holders) -> Found:
    for system in entry.write_to:
        for field in entry.fields:
            if system not in holders.get((entry.record, field), ()):
                fix = f"take {system} out of write_to, give {field} a row of its own, or map a column to it"
                yield "write_to", f"no mapping of {system} holds {field}", fix


def not_restored(entry: Entry, holders: Holders) -> Found:
    for field in entry.fields:
        for system in sorted(set(holders.get((entry.record, field), ())) - set(entry.owners)):
            if entry.write_policy(system) == "never" and entry.policy(system) in ("revert", "propose"):
                fix = f'write write_to = {{ {system} = "always" }}, or another policy for {system}'
                yield (
                    "edit",
                    f"{entry.policy(system)} of {system}'s {field}, which is never written back",
                    fix,
                )


def source_unclear(entry: Entry, holders: Holders) -> Found:
    if not SOURCE.fullmatch(entry.source):
        yield "source", f"'{entry.source}' names no row of the matrix", "write section and row: '4 license'"


CHECKS: Mapping[str, tuple[Callable[[Entry, Holders], Found], str]] = {
    "owner_edited": (owner_edited, "an owner's edit is the value: no policy can judge it"),
    "owners_count": (owners_count, "the rule then has nothing to choose, or nobody to choose by"),
    "consensus_impossible": (consensus_impossible, "agreement is counted among the owners"),
    "not_combined": (
        not_combined,
        "claims carry no date of verification to choose by: streams/core/combine.py",
    ),
    "owner_kind": (owner_kind, "a witness is evidence and owns no field; the platform owns what it computes"),
    "owner_silent": (owner_silent, "a field whose owner cannot say it would stay empty"),
    "auto_accept_unsafe": (auto_accepted, "what is accepted by itself is signed by nobody"),
    "approval_low": (approval_low, "identity, money and high conflicts are decided by two people"),
    "release_missing": (release_missing, "what is held at once must be released by people"),
    "approver_missing": (approver_missing, "the second signature is another role's"),
    "derived_edited": (derived_edited, "a derived value follows from others: it is never edited"),
    "evidence_missing": (evidence_missing, "the rule judges a value by its evidence"),
    "witness_reverted": (witness_reverted, "nothing can be sent back to a witness"),
    "write_to_owner": (write_to_owner, "an old view would overwrite the owner's newer edit (invariant 9)"),
    "write_nowhere": (write_nowhere, "there is no column to write"),
    "not_restored": (not_restored, "the systems would stay different (invariant 12)"),
    "source_unclear": (source_unclear, "whoever reads the row must find why it says so"),
}
"""Code (after `authority.`) -> the check, and why what it finds is wrong."""
