"""Who may say what, and what becomes of everybody else's edit: compiled from `schemas/authority.toml`.

Read by `entity.golden` (whose claims a value depends on: invariant 4) and by `edit` (what an edit of a non-owner
comes to). Holds no value and looks at no claim.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

REVERT, PROPOSE, AUTO_ACCEPT, OBSERVE, CONFLICT, IGNORE = (
    "revert", "propose", "auto_accept", "observe", "conflict", "ignore",
)  # fmt: skip
PRECEDENCE, UNION = "precedence", "union"


class Rule(Struct, frozen=True):
    """What holds for one canonical field.

    kind      the rule type: how several owners' words are combined (`combine`)
    owners    the systems that have a say, in order of precedence
    others    what becomes of an edit by a system that `policies` doesn't name
    write     system -> may its adapter write it: always, never, if_not_claimant
    source    section and row of the authority matrix
    approval  the level at which a proposal is ruled on: A0 to A3
    approvers who may give the second signature
    requires  what must be shown besides signatures
    """

    kind: str
    owners: tuple[str, ...]
    others: str = OBSERVE
    policies: Mapping[str, str] = {}
    write: Mapping[str, str] = {}
    severity: str = "medium"
    source: str = ""
    public: bool = True
    approval: str = "A1"
    approvers: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def sole(self) -> tuple[str, ...]:
        """The owners whose word no policy judges: below the first of a precedence an edit is still an edit, and who
        owns a part of a union doesn't own the others'."""
        if self.kind == UNION and len(self.owners) > 1:
            return ()
        return self.owners[:1] if self.kind == PRECEDENCE else self.owners

    def policy(self, system: str) -> str:
        """What becomes of an edit by this system, which doesn't own the field."""
        return self.policies.get(system, self.others)


Rules = Mapping[str, Mapping[str, Rule]]
"""record -> field -> its rule"""


class Authority(Struct, frozen=True):
    """Who owns what.

    owners    record -> field -> the system whose claims are admitted first
    admitted  record -> system -> the fields it owns; None means every field of the record
    keepers   record -> the system that says which rows there are; others only add their fields to them
    rules     record -> field -> all that holds for it
    shared    the part of `rules` on which others than the record's keeper have a say
    heard     record -> those others
    computed  record -> the fields nobody owns: what stands in them is what counts, whoever wrote it
    review_due  the date by which somebody must have looked at all this again; empty: nobody said
    answers   the role that answers for it
    """

    version: int
    owners: Mapping[str, Mapping[str, str]]
    admitted: Mapping[str, Mapping[str, frozenset[str] | None]]
    keepers: Mapping[str, str]
    rules: Rules = {}
    shared: Rules = {}
    heard: Mapping[str, tuple[str, ...]] = {}
    computed: Mapping[str, frozenset[str]] = {}
    review_due: str = ""
    answers: str = ""


def compile_authority(version: int, rules: Rules, keepers: Mapping[str, str]) -> Authority:
    """The authority of these rules."""
    owners = {
        record: {field: _first(rule, keepers[record]) for field, rule in fields.items()}
        for record, fields in rules.items()
    }
    shared = {
        record: {f: rule for f, rule in fields.items() if set(rule.owners) - {keepers[record]}}
        for record, fields in rules.items()
    }
    heard = {
        record: tuple(
            sorted({owner for rule in fields.values() for owner in rule.owners} - {keepers[record]})
        )
        for record, fields in shared.items()
    }
    admitted = {record: _admitted(fields) for record, fields in owners.items()}
    computed = {
        record: frozenset(f for f, rule in fields.items() if not rule.owners)
        for record, fields in rules.items()
    }
    return Authority(version, owners, admitted, keepers, rules, shared, heard, computed)


def _first(rule: Rule, keeper: str) -> str:
    """Whose claim stands where nobody else speaks; what the platform computes stands where its record is kept."""
    return keeper if keeper in rule.owners or not rule.owners else rule.owners[0]


def _admitted(fields: Mapping[str, str]) -> dict[str, frozenset[str] | None]:
    systems = set(fields.values())
    if len(systems) == 1:
        return {systems.pop(): None}
    return {system: frozenset(f for f, owner in fields.items() if owner == system) for system in systems}


def compile_owners(
    version: int, owners: Mapping[str, Mapping[str, str]], keepers: Mapping[str, str]
) -> Authority:
    """The authority of an owners table (record -> field -> system)."""
    rules = {
        record: {field: Rule("source_of_truth", (owner,)) for field, owner in fields.items()}
        for record, fields in owners.items()
    }
    return compile_authority(version, rules, keepers)


def owned_by(system: str, records: Mapping[str, list[str]], version: int = 0) -> Authority:
    """An authority where one system owns every field: for tests and tools that look at one system alone."""
    owners = {record: dict.fromkeys(fields, system) for record, fields in records.items()}
    return compile_owners(version, owners, dict.fromkeys(records, system))
