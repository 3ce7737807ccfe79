"""How each source stands: fresh, stale or unavailable; and what each says of one NPI.

fresh        its newest version is within its limits (Source.stale)
stale        it is not: it is used, and says so
unavailable  never loaded, or the newest attempt failed: the last good version is used, and nothing of it is "clear"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from connectors.reference.ledger import Attempt, Ledger
from connectors.reference.nppes import npi_shaped
from connectors.reference.secret import Secret
from connectors.reference.source import Source, Values, Version
from connectors.reference.sources import SOURCES
from connectors.reference.store import Folder
from connectors.reference.witness import Witness
from streams.errors import InvalidInput

State: TypeAlias = Literal["fresh", "stale", "unavailable"]
HIDDEN = "•••"
S1 = frozenset({"dob_hash"})


@dataclass(frozen=True, slots=True)
class Standing:
    """One source. `version` is the newest good one, `last` the newest of each mode."""

    source: str
    title: str
    state: State
    why: str
    version: Version | None = None
    age_days: int | None = None
    last: Mapping[str, str] | None = None
    failed: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What one source says of an NPI. `rows` is None where it can't be asked: that is not "nothing found"."""

    source: str
    state: State
    why: str
    as_of: str | None
    rows: Mapping[str, Values] | None


def standings(folder: Folder, today: date) -> list[Standing]:
    """Every source there is."""
    secret = folder.secret()
    with Ledger(folder) as ledger:
        return [standing(folder, source, ledger, secret, today) for source in SOURCES.values()]


def standing(folder: Folder, source: Source, ledger: Ledger, secret: Secret, today: date) -> Standing:
    """One source, today."""
    versions, failed = folder.versions(source.name), ledger.attempt(source.name)
    state, why = judged(source, versions, failed, secret, today)
    if not versions:
        return Standing(source.name, source.title, state, why, failed=failed)
    newest = max(version.as_of for version in versions)
    last: dict[str, str] = {}
    for version in versions:
        last.setdefault(version.mode, version.as_of)
    age = (today - date.fromisoformat(newest)).days
    return Standing(source.name, source.title, state, why, versions[0], age, last, failed)


def judged(
    source: Source, versions: Sequence[Version], failed: Attempt | None, secret: Secret, today: date
) -> tuple[State, str]:
    """The state and, unless it is fresh, why."""
    if not versions:
        return "unavailable", failed.why if failed else "never loaded"
    if failed:
        return "unavailable", failed.why
    if versions[0].secret != secret.fingerprint:
        return "unavailable", "loaded under another screening key: load it again"
    why = source.stale(versions, today)
    return ("stale", why) if why else ("fresh", "")


def statements(folder: Folder, npi: str, today: date) -> list[Statement]:
    """What each source that knows NPIs says of one."""
    if not npi_shaped(npi):
        raise InvalidInput("key.form", f"{npi!r} is no NPI", "give its ten digits")
    return [_statement(folder, found, npi) for found in standings(folder, today) if SOURCES[found.source].by]


def _statement(folder: Folder, found: Standing, npi: str) -> Statement:
    if found.version is None:
        return Statement(found.source, found.state, found.why, None, None)
    with Witness(SOURCES[found.source], folder) as witness:
        rows = {key: _shown(values) for key, values in witness.rows(npi)}
    return Statement(found.source, found.state, found.why, found.version.as_of, rows)


def _shown(values: Values) -> Values:
    return {name: HIDDEN if name in S1 else value for name, value in values.items()}
