"""The schema registry: does it answer, is every schema there, and would it refuse a change that breaks readers.

registry --look--> Registry --judge--> registry, schemas, compatibility
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import registry
from streams.errors import ConcordError, EnvironmentFault
from streams.operate.doctor.result import Result, error, finding, judged, ok, shown, skipped
from streams.settings import Settings, need

SUBJECT = "registry"
CHECKS = ("registry", "schemas", "compatibility")


@dataclass(frozen=True, slots=True)
class Registry:
    """What was seen of it: what it lacks, and the compatibility of each subject that it has."""

    address: str
    schemas: int
    missing: str
    compatibility: Mapping[str, str]


def look(settings: Settings) -> Registry:
    """The registry now; Unavailable when it could not be looked at."""
    url = need(settings.registry, "CONCORD_REGISTRY")
    client = registry.connect(url)
    files = registry.schema_files(prefix=settings.topic_prefix)
    missing = ""
    try:
        registry.ids(client, files)
    except EnvironmentFault as fault:
        missing = fault.message
    return Registry(url, len(files), missing, registry.compatibilities(client, files))


def unreachable(settings: Settings, fault: ConcordError) -> list[Result]:
    """Nobody could look."""
    fix = "# check CONCORD_REGISTRY and that it runs, then:\nconcord doctor --only registry"
    head = error(
        "registry", SUBJECT, ": ".join(filter(None, (shown(settings.registry), shown(fault.message)))), fix
    )
    return [head, *(skipped(check, SUBJECT, "the registry could not be looked at") for check in CHECKS[1:])]


def judge(seen: Registry) -> list[Result]:
    """Every check, pure."""
    publish = "concord schema publish"
    why = "processes stop at start: they never register by themselves"
    schemas = [finding("schemas", SUBJECT, seen.missing, why, publish)] if seen.missing else []
    full = registry.FULL_TRANSITIVE.value
    why = "a schema that breaks readers would be taken"
    loose = [
        finding("compatibility", f"{SUBJECT}/{subject}", f"{mode}, not {full}", why, publish)
        for subject, mode in sorted(seen.compatibility.items())
        if mode != full
    ]
    return [
        ok("registry", SUBJECT, f"{shown(seen.address)} answers"),
        *judged("schemas", SUBJECT, schemas, f"{seen.schemas} schemas are registered"),
        *judged("compatibility", SUBJECT, loose, f"{len(seen.compatibility)} subjects are {full}"),
    ]
