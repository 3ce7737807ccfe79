"""A connector that passes over what Debezium can't process, for a while, rather than stand still: begun and ended.

    guard --begin, end--> the connector's own configuration in Connect --until, deviation--> guard, sources plan

What stands in Connect is all there is to know of it, so whoever was killed meanwhile goes on from there. Only the
guard begins it, and ends it only with a finding open (docs/decisions/20261122-passed-over.md). Never the default: a
change that is passed over is missing from Debezium's own counts too, and only a verification finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.connect import Connect

FAILURES = "event.processing.failure.handling.mode"
FROM, UNTIL = "concord.passes.over.from", "concord.passes.over.until"
"""Not Debezium's: the LSN that was captured when it began, and where the source's log ended; what could not be
processed lies between."""


def begin(connect: Connect, connector: str, captured: int, lsn: int) -> None:
    """Pass over what can't be processed; Connect starts the task again."""
    if config := connect.config(connector):
        connect.update(connector, {**config, FAILURES: "warn", FROM: str(captured), UNTIL: str(lsn)})


def end(connect: Connect, connector: str) -> None:
    """Fail again over what can't be processed."""
    config = connect.config(connector) or {}
    if deviation(config):
        connect.update(connector, {key: config[key] for key in config.keys() - {FAILURES, FROM, UNTIL}})


def span(config: Mapping[str, str]) -> tuple[int, int]:
    """From and up to which LSN changes may be passed over, twice 0 where none are."""
    return int(config.get(FROM, 0)), int(config.get(UNTIL, 0))


def deviation(config: Mapping[str, str]) -> dict[str, str]:
    """The settings that are the guard's for now; what somebody set by hand is none."""
    return {key: config[key] for key in (FAILURES, FROM, UNTIL) if key in config} if UNTIL in config else {}
