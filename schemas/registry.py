"""The registry client: publishes the sink schemas and looks their ids up.

    schemas/view/*.avsc, schemas/finding.v1.avsc --publish (an operator)--> registry --ids (workers)--> codec

Only `publish` registers; workers and adapters look up and stop when a schema is missing, so a schema
reaches production by a decision and never by a message. Subjects are `<topic>-value` (TopicNameStrategy),
compatibility is FULL_TRANSITIVE: a reader of any version reads records of any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaRegistryClient,
    SchemaRegistryError,
    ServerConfig,
)
from confluent_kafka.schema_registry.common._httpx_compat import httpx  # the client raises this one's errors

from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.systems import REKEYED, TAKEN, WORK

FULL_TRANSITIVE = ConfigCompatibilityLevel.FULL_TRANSITIVE
NOT_FOUND = (404, 40401, 40402, 40403, 40408)
NAME = re.compile(r"(?P<stem>[a-z_]+(?:\.[a-z_]+)?)\.v(?P<version>[1-9]\d*)\.avsc")


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One version of one topic's schema, as it stands in the repository."""

    topic: str
    version: int
    text: str
    name: str

    @property
    def subject(self) -> str:
        """TopicNameStrategy: the value schema of the topic."""
        return f"{self.topic}-value"

    @property
    def schema(self) -> Schema:
        """The schema as the registry's client wants it."""
        return Schema(self.text, "AVRO")


@dataclass(frozen=True, slots=True)
class Published:
    """One version of a subject: the id in the wire header, and whether this run registered it."""

    subject: str
    version: int
    id: int
    created: bool


def connect(url: str) -> SchemaRegistryClient:
    """A client for the registry's Confluent-compatible API, such as http://127.0.0.1:PORT/apis/ccompat/v7."""
    return SchemaRegistryClient({"url": url, "timeout": 10})


def schema_files(directory: Path | None = None, prefix: str = "") -> list[SchemaFile]:
    """Every schema of `directory` (or of the package), oldest first; `prefix` is that of the topics."""
    folder: Traversable = directory if directory else files("schemas")
    found = [made for file, is_view in _avsc(folder) for made in _schema_files(file, is_view, prefix)]
    return sorted(found, key=lambda file: (file.topic, file.version))


@cache
def newest_view(stem: str) -> str:
    """The newest version of a view's schema, `directory.provider`: the one that this code was built for."""
    named = [(NAME.fullmatch(file.name), file) for file in (files("schemas") / "view").iterdir()]
    found = {int(match["version"]): file for match, file in named if match and match["stem"] == stem}
    return _text(found[max(found)])


def publish(client: SchemaRegistryClient, schemas: Iterable[SchemaFile]) -> list[Published]:
    """Register what is missing, oldest first, under FULL_TRANSITIVE; a breaking change stops it."""
    _set_compatibility(client, None)
    ordered = sorted(schemas, key=lambda file: (file.topic, file.version))
    return [
        entry
        for _, versions in groupby(ordered, lambda f: f.topic)
        for entry in _subject(client, list(versions))
    ]


def ids(client: SchemaRegistryClient, schemas: Iterable[SchemaFile]) -> dict[str, int]:
    """Id of the newest of these versions, by topic; never registers (workers and adapters call this)."""
    newest = {file.topic: file for file in sorted(schemas, key=lambda file: file.version)}
    found = {topic: _registered(client, file) for topic, file in newest.items()}
    missing = [newest[topic].name for topic, number in found.items() if number is None]
    if missing:
        message = f"not registered: {', '.join(missing)}"
        raise EnvironmentFault("registry.missing", message, "run `concord schema publish`")
    return {topic: number for topic, number in found.items() if number is not None}


def compatibilities(client: SchemaRegistryClient, schemas: Iterable[SchemaFile]) -> dict[str, str]:
    """Compatibility of each of these subjects, `unset` where it has none of its own."""
    try:
        return {subject: _compatibility(client, subject) for subject in sorted({f.subject for f in schemas})}
    except httpx.TransportError as fault:
        raise _unavailable(fault) from fault


def _avsc(folder: Traversable) -> Iterator[tuple[Traversable, bool]]:
    """Every schema file, and whether it is a view's."""
    for is_view, place in ((False, folder), (True, folder / "view")):
        if place.is_dir():
            yield from ((file, is_view) for file in place.iterdir() if file.name.endswith(".avsc"))


def _schema_files(file: Traversable, is_view: bool, prefix: str) -> list[SchemaFile]:
    """The file as the schema of each of its topics."""
    match = NAME.fullmatch(file.name)
    if match is None:
        step = "name it view/<view>.<kind>.v<N>.avsc or <topic>.v<N>.avsc"
        raise InvalidInput("registry.file", f"{file}: not the name of a schema", step)
    version, text = int(match["version"]), _text(file)
    topics = topics_of(match["stem"], is_view)
    return [SchemaFile(f"{prefix}{topic}", version, text, file.name) for topic in topics]


def topics_of(stem: str, is_view: bool) -> list[str]:
    """The topics of a schema: of a view, one a system that is sent it; of a rejection, one a system."""
    if is_view:
        name, _, kind = stem.partition(".")
        if kind in WORK.get(name, ()):
            return [f"sink.{name}.{kind}"]
        return [f"sink.{system}.{kind}" for system, taken in TAKEN.items() if taken.get(kind) == name]
    return [f"{stem}.{system}" for system in REKEYED] if stem == "rejection" else [stem]


def _text(file: Traversable) -> str:
    """The schema in one canonical spelling, so that layout alone never makes a version."""
    try:
        return json.dumps(json.loads(file.read_text("utf-8")), separators=(",", ":"))
    except ValueError as fault:
        raise InvalidInput("registry.syntax", f"{file}: {fault}", "correct the JSON") from fault


def _subject(client: SchemaRegistryClient, versions: Sequence[SchemaFile]) -> list[Published]:
    published = [_version(client, file) for file in versions]
    _set_compatibility(client, versions[0].subject)
    return published


def _version(client: SchemaRegistryClient, file: SchemaFile) -> Published:
    known = _registered(client, file)
    if known is not None:
        return Published(file.subject, file.version, known, created=False)
    try:
        number = client.register_schema(file.subject, file.schema)
    except SchemaRegistryError as fault:
        _refuse(file, fault)
    except httpx.TransportError as fault:
        raise _unavailable(fault) from fault
    return Published(file.subject, file.version, number, created=True)


def _registered(client: SchemaRegistryClient, file: SchemaFile) -> int | None:
    try:
        return int(client.lookup_schema(file.subject, file.schema).schema_id)
    except SchemaRegistryError as fault:
        if fault.error_code in NOT_FOUND or fault.http_status_code in NOT_FOUND:
            return None
        raise _unavailable(fault) from fault
    except httpx.TransportError as fault:
        raise _unavailable(fault) from fault


def _set_compatibility(client: SchemaRegistryClient, subject: str | None) -> None:
    """Set it and read it back: a registry without it refuses nothing (its default is NONE)."""
    try:
        if _compatibility(client, subject) != FULL_TRANSITIVE.value:
            client.set_config(subject, ServerConfig(compatibility=FULL_TRANSITIVE))
        now = _compatibility(client, subject)
    except httpx.TransportError as fault:
        raise _unavailable(fault) from fault
    if now != FULL_TRANSITIVE.value:
        message = f"compatibility of {subject or 'the registry'} is {now}, not FULL_TRANSITIVE"
        raise EnvironmentFault(
            "registry.compatibility", message, "let this user set the registry's compatibility"
        )


def _compatibility(client: SchemaRegistryClient, subject: str | None) -> str:
    try:
        return str(client.get_compatibility(subject))
    except SchemaRegistryError as fault:
        if fault.error_code in NOT_FOUND or fault.http_status_code in NOT_FOUND:
            return "unset"
        raise _unavailable(fault) from fault


def _refuse(file: SchemaFile, fault: SchemaRegistryError) -> NoReturn:
    if fault.http_status_code not in (409, 422):
        raise _unavailable(fault) from fault
    message = (
        f"{file.name} breaks readers or writers of earlier versions of {file.subject}: {fault.error_message}"
    )
    step = "add fields only with a default, remove only fields that have one, never change a type"
    raise InvalidInput("registry.breaking", message, step) from fault


def _unavailable(fault: Exception) -> Unavailable:
    return Unavailable(
        "registry.unavailable", f"the schema registry: {fault}", "check that it runs, then repeat"
    )
