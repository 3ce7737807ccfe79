"""The key that hides dates of birth: screening compares keyed hashes, the date itself is never kept.

The key is a file of this machine (0600), made with the first load. Whoever asks and whoever loaded must have the same
one; a version that was loaded under another key is no version to screen against (`fingerprint`).
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from pathlib import Path

from streams.errors import EnvironmentFault

LENGTH = 32


class Secret:
    """Keyed BLAKE2b over what may be written nowhere else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def hidden(self, use: str, *parts: str | None) -> str:
        """32 hex digits; the same parts for another use give others."""
        text = "\x1f".join((use, *(part or "" for part in parts)))
        return blake2b(text.encode(), digest_size=16, key=self._key).hexdigest()

    def birth(self, day: str | None) -> str | None:
        """The hash of an ISO date of birth."""
        return self.hidden("dob", day) if day else None

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart without telling either."""
        return self.hidden("fingerprint")[:12]


def load(path: Path) -> Secret:
    """The key of `path`, made where there is none."""
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as fault:
        message = f"{path.name}: {fault.strerror or fault}"
        raise EnvironmentFault(
            "reference.key", message, "check the reference folder's permissions"
        ) from fault
    if len(key) != LENGTH:
        step = "restore it from a backup, or remove it and load LEIE, SAM and DEA again"
        raise EnvironmentFault("reference.key", f"{path.name} has {len(key)} bytes, not {LENGTH}", step)
    return Secret(key)


def _make(path: Path) -> None:
    """Whole or not at all, whoever else makes one: a link never replaces."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(LENGTH))
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
