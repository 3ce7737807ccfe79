"""Settings: the one place that reads the environment (`CONCORD_*`), validated whole, unknown keys rejected.

Addresses that are not set come from the native stack's state, so that `concord ...` works right after
`python -m stack up`. Nothing here connects to anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.errors import EnvironmentFault, InvalidInput
from streams.systems import SYSTEMS

FILES = "files"
"""The address of a system that takes files: there is no adapter, `concord export` writes them."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Api(BaseModel):
    """A system behind an API (docs/systems-behind-an-api.md): CONCORD_ADAPTER_<SYSTEM> is its address, the rest are
    CONCORD_ADAPTER_<SYSTEM>_<NAME>. The secret is in the environment or, better, in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    token_url: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    scope: str = ""
    rate: float = Field(default=20.0, gt=0, le=10_000, description="requests a second, at most")
    concurrency: int = Field(
        default=4, ge=1, le=32, description="requests at once; one an entity whatever it is"
    )
    timeout_s: float = Field(default=10.0, gt=0, le=60)

    @field_validator("url", "token_url")
    @classmethod
    def _guarded(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
            return value
        raise ValueError("https, or http on loopback: a token must not be readable on the way")

    @model_validator(mode="after")
    def _with_a_secret(self) -> Api:
        if bool(self.client_secret.get_secret_value()) == (self.client_secret_file is not None):
            raise ValueError("one of CLIENT_SECRET and CLIENT_SECRET_FILE must be set")
        return self

    def secret(self) -> str:
        """Read each time: a renewed file is used without a restart. Raises OSError."""
        if self.client_secret_file is None:
            return self.client_secret.get_secret_value()
        return self.client_secret_file.read_text("utf-8").strip()

    @property
    def batch(self) -> int:
        """Views at a time: at their slowest they take two minutes, well within what Kafka lets a member be silent."""
        slowest = min(self.rate, self.concurrency / self.timeout_s)
        return max(2, min(100, int(120 * slowest)))


class KafkaLogin(BaseSettings):
    """How this process introduces itself to the broker (docs/operations.md): CONCORD_KAFKA_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="CONCORD_KAFKA_", extra="ignore", frozen=True)

    security: Literal["plaintext", "ssl", "sasl_ssl", "sasl_plaintext"] = "plaintext"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    user: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    ca: Path | None = Field(
        default=None, description="who signed the broker's certificate, if not the system's"
    )
    certificate: Path | None = Field(default=None, description="this client's own, for mutual TLS")
    key: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> KafkaLogin:
        named = self.security.startswith("sasl")
        if named != bool(self.user):
            raise ValueError(
                "CONCORD_KAFKA_USER goes with CONCORD_KAFKA_SECURITY=sasl_ssl, and neither without the other"
            )
        if named and bool(self.password.get_secret_value()) == (self.password_file is not None):
            raise ValueError("one of CONCORD_KAFKA_PASSWORD and CONCORD_KAFKA_PASSWORD_FILE must be set")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("CONCORD_KAFKA_CERTIFICATE and CONCORD_KAFKA_KEY go together")
        return self

    @property
    def encrypted(self) -> bool:
        """Whether what is said can't be read on the way."""
        return self.security.endswith("ssl")

    def secret(self) -> str:
        """The password. Raises OSError."""
        if self.password_file is None:
            return self.password.get_secret_value()
        return self.password_file.read_text("utf-8").strip()


@cache
def kafka_login() -> KafkaLogin:
    """The login of this process; InvalidInput says what is wrong with it."""
    try:
        return KafkaLogin()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"CONCORD_KAFKA_{'_'.join(map(str, first['loc'])).upper()}: " if first["loc"] else ""
        message = f"{name}{first['msg']}"
        raise InvalidInput("settings.invalid", message, "correct it (docs/operations.md)") from None


class Settings(BaseSettings):
    """What a process needs to know of its surroundings. DSNs hold passwords: never logged."""

    model_config = SettingsConfigDict(env_prefix="CONCORD_", extra="ignore", frozen=True)

    kafka: str = ""
    registry: str = ""
    connect: str = ""
    steward: str = Field(default="", repr=False, description="DSN of those who rule on proposals")
    audit: str = Field(default="", repr=False, description="DSN of those who write down what operators do")
    actor: str = Field(default="", description="who gives the commands, where --by says nobody else")
    topic_prefix: str = ""
    partitions: int = Field(default=4, ge=1, le=1024)
    group: str = "concord-decide"
    data_dir: Path = Path(".concord/worker")
    store_buffer_mb: int = Field(
        default=64, ge=1, description="what a worker's stores hold in memory before they write it to disk"
    )
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
    verify_every_s: float = Field(
        default=300.0, ge=1.0, description="from one continuous verification to the next"
    )
    verify_repair: bool = Field(default=True, description="repair what a continuous verification finds")
    verify_repair_rows: int = Field(default=1_000, ge=0, description="of a table, at most, unasked")
    verify_repair_share: float = Field(
        default=0.05, ge=0, le=1, description="of a table's rows, at most, unasked; a few are always repaired"
    )
    guard_acts: bool = Field(
        default=True, description="the guard pauses, restarts and renews by itself, within its bounds"
    )
    web_port: int = Field(default=0, description="0 picks a free port")
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="where Prometheus finds `concord metrics`; 0 picks a free port",
    )
    console_port: int = Field(
        default=0, ge=0, le=65_535, description="where `concord console` is reached; 0 picks a free port"
    )
    console_url: str = Field(
        default="", description="where people reach the console, when it isn't on loopback: https://..."
    )
    console_key: SecretStr = Field(
        default=SecretStr(""), description="signs sessions; without it they end with the console's process"
    )
    oidc_issuer: str = Field(default="", description="the identity provider; empty: the development login")
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_scope: str = "openid email profile"
    oidc_groups: str = Field(
        default="groups", description="the claim with a person's groups: concord.steward ..."
    )
    running_sources: str = ",".join(SYSTEMS)
    capture_address: str = Field(
        default="", description="host:port where Connect reaches the sources, if elsewhere"
    )
    databases: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_databases")
    capture: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_capture")
    adapters: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_adapters")
    canaries: Mapping[str, str] = Field(default_factory=dict, repr=False, validation_alias="_canaries")
    apis: Mapping[str, Api] = Field(default_factory=dict, repr=False, validation_alias="_apis")
    files: frozenset[str] = Field(default=frozenset(), validation_alias="_files")

    @property
    def sources(self) -> tuple[str, ...]:
        """The systems whose capture runs."""
        return tuple(s.strip() for s in self.running_sources.split(",") if s.strip())

    @property
    def uncaptured(self) -> frozenset[str]:
        """Systems that nobody captures: what they hold they tell by receipts, and nobody looks into their tables."""
        return frozenset(SYSTEMS) - frozenset(self.sources)

    def topic(self, name: str) -> str:
        """The full name of a topic of the catalogue."""
        return self.topic_prefix + name


@cache
def load() -> Settings:
    """The settings of this process; InvalidInput or EnvironmentFault says what is wrong and what to do."""
    known = _surroundings()
    dsns: dict[str, dict[str, Any]] = {
        kind: {s: v for s in SYSTEMS if (v := known.get(f"CONCORD_{name}_{s.upper()}"))}
        for kind, name in (
            ("_databases", "DATABASE"),
            ("_capture", "CAPTURE"),
            ("_adapters", "ADAPTER"),
            ("_canaries", "CANARY"),
        )
    }
    files = {s for s, address in dsns["_adapters"].items() if address == FILES}
    dsns["_adapters"] = {s: address for s, address in dsns["_adapters"].items() if s not in files}
    dsns["_apis"] = {
        s: _api(known, s) for s, address in dsns["_adapters"].items() if address.startswith("http")
    }
    plain = {
        k: known[f"CONCORD_{k.upper()}"]
        for k in ("kafka", "registry", "connect", "steward", "audit")
        if f"CONCORD_{k.upper()}" in known
    }
    try:
        given: dict[str, Any] = {**plain, **dsns, "_files": files}
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(
            "settings.invalid", f"{_variable(first['loc'])}: {first['msg']}", "correct it"
        ) from None


def _variable(place: tuple[int | str, ...]) -> str:
    """The name of the variable a complaint is about."""
    if place[0] == "_apis":
        return "_".join(["CONCORD_ADAPTER", *(str(part).upper() for part in place[1:] if part != "url")])
    return "CONCORD_" + ".".join(str(part) for part in place).upper()


def _api(known: Mapping[str, str], system: str) -> dict[str, str]:
    """What is set of a system behind an API; a name nobody knows is rejected by the model."""
    prefix = f"CONCORD_ADAPTER_{system.upper()}"
    told = {
        k.removeprefix(f"{prefix}_").lower(): v for k, v in known.items() if k.startswith(f"{prefix}_") and v
    }
    return {"url": known[prefix], **told}


def need(value: Any, name: str) -> Any:
    """The value, or a clear EnvironmentFault when this process was not told about it."""
    if not value:
        raise EnvironmentFault(
            "settings.missing", f"{name} is not known", "start the stack (python -m stack up) or set " + name
        )
    return value


def in_ci() -> bool:
    """Whether this process runs in continuous integration, as every runner says of itself."""
    import os

    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _surroundings() -> dict[str, str]:
    """The process environment over what the native stack's state says."""
    import os

    from stack import environment

    stack = environment.load()
    return {**(stack.variables() if stack else {}), **os.environ}
