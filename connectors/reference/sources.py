"""The registry of sources: adding one is its module, a line here and its record in schemas/canonical.toml."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.reference import dea, leie, nppes, nucc, sam
from connectors.reference.source import Source
from streams.errors import InvalidInput

SOURCES: Mapping[str, Source] = MappingProxyType(
    {source.name: source for source in (nppes.SOURCE, leie.SOURCE, sam.SOURCE, nucc.SOURCE, dea.SOURCE)}
)
WITNESSES: Mapping[str, Source] = MappingProxyType(
    {name: source for name, source in SOURCES.items() if source.record and source.by}
)
"""Those that can be asked about an NPI."""


def named(name: str) -> Source:
    """The source, or which there are."""
    if name not in SOURCES:
        message = f"no source of reference data is called {name!r}"
        raise InvalidInput("reference.unknown", message, f"use one of: {', '.join(SOURCES)}")
    return SOURCES[name]
