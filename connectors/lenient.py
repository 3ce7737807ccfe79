"""A connector that passes over what Debezium can't process, for a while, rather than stand still: begun and ended.

    guard --begin, end--> the connector's own configuration in Connect --until, deviation--> guard, sources plan

What stands in Connect is all there is to know of it, so whoever was killed meanwhile goes on from there. Only the
guard begins it, with a finding open (docs/decisions/20261122-passed-over.md). Never the default: a change that is
passed over is missing from Debezium's own counts too, and only a verification finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.connect import Connect

FAILURES = "event.processing.failure.handling.mode"
UNTIL = "concord.passes.over.until"
"""Not Debezium's: the LSN at which the source's log ended when it began; what could not be processed lies before it."""


def begin(connect: Connect, connector: str, lsn: int) -> None:
    """Pass over what can't be processed; Connect starts the task again."""
    if config := connect.config(connector):
        connect.update(connector, {**config, FAILURES: "warn", UNTIL: str(lsn)})


def end(connect: Connect, connector: str) -> None:
    """Fail again over what can't be processed."""
    config = connect.config(connector) or {}
    if deviation(config):
        connect.update(connector, {key: config[key] for key in config.keys() - {FAILURES, UNTIL}})


def until(config: Mapping[str, str]) -> int:
    """The LSN up to which changes may be passed over, 0 where none are."""
    return int(config.get(UNTIL, 0))


def deviation(config: Mapping[str, str]) -> dict[str, str]:
    """The settings that are the guard's for now; what somebody set by hand is none."""
    return {key: config[key] for key in (FAILURES, UNTIL) if key in config} if UNTIL in config else {}
