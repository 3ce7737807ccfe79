"""The versions of the services, read from pom.xml: the only place where they stand.

download.py keys its cache with them, status shows them, the compose file is tested against them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


@dataclass(frozen=True, slots=True)
class Versions:
    """`postgres` is the Maven artifact's version; PostgreSQL's own has two parts (`postgres_release`)."""

    kafka: str
    debezium: str
    registry: str
    postgres: str
    log4j: str

    @property
    def postgres_release(self) -> str:
        return ".".join(self.postgres.split(".")[:2])

    def cache_key(self, platform: str) -> str:
        return (
            f"kafka-{self.kafka}_log4j-{self.log4j}_debezium-{self.debezium}"
            f"_registry-{self.registry}_postgres-{self.postgres}-{platform}"
        )


@cache
def pinned(pom: Path = POM) -> Versions:
    properties = ET.parse(pom).getroot().find(f"{NAMESPACE}properties")  # noqa: S314  (our own pom.xml)
    assert properties is not None, "pom.xml has no <properties>"
    return Versions(
        **{
            name: (properties.findtext(f"{NAMESPACE}{name}.version") or "").strip()
            for name in ("kafka", "debezium", "registry", "postgres", "log4j")
        }
    )
