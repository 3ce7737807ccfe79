"""Settings: the one place that reads the environment (`CONCORD_*`), validated whole, unknown keys rejected.

Addresses that are not set come from the native stack's state, so that `concord ...` works right after
`python -m stack up`. Nothing here connects to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.errors import EnvironmentFault, InvalidInput
from streams.systems import SYSTEMS


class Settings(BaseSettings):
    """What a process needs to know of its surroundings. DSNs hold passwords: never logged."""

    model_config = SettingsConfigDict(env_prefix="CONCORD_", extra="ignore", frozen=True)

    kafka: str = ""
    registry: str = ""
    connect: str = ""
    topic_prefix: str = ""
    partitions: int = Field(default=4, ge=1, le=1024)
    group: str = "concord-decide"
    data_dir: Path = Path(".concord/worker")
    reference_dir: Path = Path(".concord/reference")
    reference_max_drop: float = Field(default=0.05, ge=0, le=1, description="share of rows a load may drop")
    tick_withdraw_share: float = Field(
        default=0.05, ge=0, le=1, description="share of providers that a tick may withdraw unasked"
    )
    tick_withdraw_least: int = Field(default=25, ge=1, description="fewer than these are never asked about")
    transaction_linger_ms: float = Field(default=20.0, ge=1.0)
    withdraw_linger_ms: float = Field(default=2_000.0, ge=1.0)
    session_timeout_s: float = Field(default=10.0, ge=6.0)
    accept: bool = Field(
        default=False, description="decide under this worker's files whatever a partition was decided under"
    )
    web_port: int = Field(default=0, description="0 picks a free port")
    running_sources: str = ",".join(SYSTEMS)
    capture_address: str = Field(
        default="", description="host:port where Connect reaches the sources, if elsewhere"
    )
    databases: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_databases")
    capture: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_capture")
    adapters: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_adapters")

    @property
    def sources(self) -> tuple[str, ...]:
        """The systems whose capture runs."""
        return tuple(s.strip() for s in self.running_sources.split(",") if s.strip())

    def topic(self, name: str) -> str:
        """The full name of a topic of the catalogue."""
        return self.topic_prefix + name


@cache
def load() -> Settings:
    """The settings of this process; InvalidInput or EnvironmentFault says what is wrong and what to do."""
    known = _surroundings()
    dsns = {
        kind: {s: v for s in SYSTEMS if (v := known.get(f"CONCORD_{name}_{s.upper()}"))}
        for kind, name in (("_databases", "DATABASE"), ("_capture", "CAPTURE"), ("_adapters", "ADAPTER"))
    }
    plain = {
        k: known[f"CONCORD_{k.upper()}"]
        for k in ("kafka", "registry", "connect")
        if f"CONCORD_{k.upper()}" in known
    }
    try:
        return Settings(**plain, **dsns)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            "settings.invalid", f"CONCORD_{where.upper()}: {first['msg']}", "correct it"
        ) from None


def need(value: Any, name: str) -> Any:
    """The value, or a clear EnvironmentFault when this process was not told about it."""
    if not value:
        raise EnvironmentFault(
            "settings.missing", f"{name} is not known", "start the stack (python -m stack up) or set " + name
        )
    return value


def _surroundings() -> dict[str, str]:
    """The process environment over what the native stack's state says."""
    import os

    from stack import environment

    stack = environment.load()
    return {**(stack.variables() if stack else {}), **os.environ}
