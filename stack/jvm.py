"""The Java command line of a service: heap, collector, class path, logging."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from stack.settings import HEAP_MB

LOG4J = Path(__file__).with_name("log4j2.properties")

# Kafka's own flags (kafka-run-class.sh): short pauses count more than throughput.
G1 = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
QUIET = (
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    f"-Dlog4j2.configurationFile={LOG4J}",
)


def argv(java: Path, service: str, flags: tuple[str, ...]) -> list[str]:
    heap = HEAP_MB[service]
    return [str(java), f"-Xms{heap // 2}m", f"-Xmx{heap}m", *flags, *QUIET]


def class_path(folder: Path) -> list[str]:
    return ["-cp", str(folder / "*")]


def environ(extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's environment but PATH: it must not change how the stack behaves."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC", **extra}
