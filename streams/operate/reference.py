"""Reference data for an operator: load a published file and tell who holds an NPI, how sources stand, what they say.

Puts settings and the edge (connectors/reference) together. A load stands by itself: where Kafka can't be reached the
file is loaded all the same, and the same command again tells what is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.reference import follow as following
from connectors.reference import screen as screening
from connectors.reference import standing
from connectors.reference.load import Ask, Loaded, Options, Progress
from connectors.reference.load import load as load_file
from connectors.reference.publish import Told
from connectors.reference.screen import SCREENED, Screened
from connectors.reference.source import Source
from connectors.reference.sources import WITNESSES, named
from connectors.reference.standing import Standing, Statement
from connectors.reference.store import Folder
from streams.errors import Unavailable
from streams.settings import Settings, need


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load. `told` is None where nobody was told, and `why` says why."""

    loaded: Loaded
    told: Told | None
    why: str
    screened: Screened | None = None


def load(
    settings: Settings,
    name: str,
    path: Path,
    options: Options,
    ask: Ask,
    progress: Progress,
    *,
    publish: bool = True,
) -> Outcome:
    """Load a file, then tell everyone who holds an NPI what it says."""
    source, folder = named(name), Folder(settings.reference_dir)
    loaded = load_file(folder, source, path, options, ask, datetime.now(UTC), progress)
    if name not in WITNESSES and source.kind is None and name not in SCREENED:
        return Outcome(loaded, None, f"{name} knows no NPIs")
    if not publish or not settings.kafka:
        why = "CONCORD_KAFKA is not known" if publish else "asked not to"
        return Outcome(loaded, None, f"{why}; the same command again tells what is loaded")
    try:
        told = _tell(settings, folder, source)
        return Outcome(loaded, told, "", screen(settings) if name in SCREENED else None)
    except Unavailable as fault:
        message = f"{name} is loaded as of {loaded.version.as_of}, but nobody was told: {fault.message}"
        step = f"{fault.next_step}; the same command again tells what is loaded"
        raise Unavailable("reference.untold", message, step) from fault


def _tell(settings: Settings, folder: Folder, source: Source) -> Told | None:
    """DEA's file leads to nobody by itself: only a screening does."""
    if source.by is None and source.kind is None:
        return None
    return following.publish(folder, source, settings.kafka, settings.topic_prefix)


def screen(settings: Settings) -> Screened:
    """Everybody against the lists that no NPI leads to: LEIE by name and date of birth, DEA by number."""
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    return screening.screen(Folder(settings.reference_dir), kafka, settings.topic_prefix, settings.partitions)


def follow(settings: Settings) -> int:
    """Tell who comes to hold an NPI, until told to stop; the exit code."""
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    return following.run(Folder(settings.reference_dir), kafka, settings.topic_prefix)


def standings(settings: Settings) -> list[Standing]:
    """Every source, today."""
    return standing.standings(Folder(settings.reference_dir), datetime.now(UTC).date())


def statements(settings: Settings, npi: str) -> list[Statement]:
    """What each witness says of an NPI."""
    return standing.statements(Folder(settings.reference_dir), npi, datetime.now(UTC).date())
