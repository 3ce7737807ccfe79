"""The addresses of a stack, read from its state (or the environment) without starting anything.

The one interface of stack/ to the rest: `load()` for the native stack of this project, `from_variables()` for
an external one. Passwords are inside the DSNs; `repr` hides them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stack import layout, state
from stack.settings import (
    ADAPTER_ROLES,
    AUDIT_ROLE,
    CANARY_ROLE,
    CAPTURE_PASSWORD_REF,
    CAPTURE_ROLE,
    STEWARD_DATABASE,
    STEWARD_ROLE,
)
from streams.systems import SYSTEMS

HOST = "127.0.0.1"
REGISTRY_API = "/apis/ccompat/v7"

REQUIRED = (
    "CONCORD_KAFKA",
    "CONCORD_REGISTRY",
    "CONCORD_CONNECT",
    "CONCORD_POSTGRES",
    "CONCORD_CAPTURE_ADDRESS",
    *(
        f"CONCORD_{kind}_{system.upper()}"
        for kind in ("DATABASE", "CAPTURE", "ADAPTER")
        for system in SYSTEMS
    ),
)


@dataclass(frozen=True, slots=True)
class Environment:
    kafka: str
    registry: str
    connect: str
    postgres: str = field(repr=False)  # superuser DSN of the maintenance database
    databases: Mapping[str, str] = field(repr=False)  # superuser DSN a system
    capture: Mapping[str, str] = field(repr=False)  # DSN of role concord_capture a system
    adapters: Mapping[str, str] = field(repr=False)  # DSN of role concord_adapter_<system> a system
    steward: str = field(default="", repr=False)  # DSN of role concord_steward in the stewardship database
    audit: str = field(default="", repr=False)  # DSN of role concord_audit there
    state: str = ""
    capture_password_ref: str = CAPTURE_PASSWORD_REF  # what a connector's configuration says for the password
    capture_address: str = ""  # host:port at which Connect reaches PostgreSQL
    canaries: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # DSN of role concord_canary a system

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def variables(self) -> dict[str, str]:
        simple = {
            "CONCORD_KAFKA": self.kafka,
            "CONCORD_REGISTRY": self.registry,
            "CONCORD_CONNECT": self.connect,
            "CONCORD_POSTGRES": self.postgres,
            "CONCORD_CAPTURE_ADDRESS": self.capture_address,
        }
        for kind, dsns in (
            ("DATABASE", self.databases),
            ("CAPTURE", self.capture),
            ("ADAPTER", self.adapters),
            ("CANARY", self.canaries),
        ):
            simple |= {f"CONCORD_{kind}_{system.upper()}": dsn for system, dsn in dsns.items()}
        people = {"CONCORD_STEWARD": self.steward, "CONCORD_AUDIT": self.audit}
        return simple | {name: dsn for name, dsn in people.items() if dsn}

    def exports(self) -> str:
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.variables().items())


def load(folder: Path | None = None) -> Environment | None:
    """The native stack with its state in `folder` (default: this project's); None when never started."""
    folder = folder or layout.current().state
    known = state.load(folder)
    return of_state(known, folder) if known else None


def of_state(known: state.State, folder: Path) -> Environment:
    address = f"{HOST}:{known.ports['postgres']}"

    def dsn(role: str, database: str) -> str:
        return f"postgresql://{role}:{known.passwords[role]}@{address}/{database}"

    return Environment(
        kafka=f"{HOST}:{known.ports['kafka']}",
        registry=f"http://{HOST}:{known.ports['registry']}{REGISTRY_API}",
        connect=f"http://{HOST}:{known.ports['connect']}",
        postgres=dsn(state.SUPERUSER, "postgres"),
        databases={system: dsn(state.SUPERUSER, system) for system in SYSTEMS},
        capture={system: dsn(CAPTURE_ROLE, system) for system in SYSTEMS},
        adapters={
            system: dsn(role, system)
            for system, role in ADAPTER_ROLES.items()
            if role in known.passwords  # a system added since: the next `up` makes its role
        },
        steward=dsn(STEWARD_ROLE, STEWARD_DATABASE) if STEWARD_ROLE in known.passwords else "",
        audit=dsn(AUDIT_ROLE, STEWARD_DATABASE) if AUDIT_ROLE in known.passwords else "",
        state=str(folder),
        capture_address=address,
        canaries={system: dsn(CANARY_ROLE, system) for system in SYSTEMS if CANARY_ROLE in known.passwords},
    )


def from_variables(environ: Mapping[str, str] | None = None) -> Environment | None:
    """An external stack; None unless every address is given."""
    environ = os.environ if environ is None else environ
    if not all(environ.get(name) for name in REQUIRED):
        return None
    return Environment(
        kafka=environ["CONCORD_KAFKA"],
        registry=environ["CONCORD_REGISTRY"],
        connect=environ["CONCORD_CONNECT"],
        postgres=environ["CONCORD_POSTGRES"],
        databases={system: environ[f"CONCORD_DATABASE_{system.upper()}"] for system in SYSTEMS},
        capture={system: environ[f"CONCORD_CAPTURE_{system.upper()}"] for system in SYSTEMS},
        adapters={system: environ[f"CONCORD_ADAPTER_{system.upper()}"] for system in SYSTEMS},
        steward=environ.get("CONCORD_STEWARD", ""),
        audit=environ.get("CONCORD_AUDIT", ""),
        capture_address=environ["CONCORD_CAPTURE_ADDRESS"],
        canaries={s: environ[name] for s in SYSTEMS if environ.get(name := f"CONCORD_CANARY_{s.upper()}")},
    )
