"""SHA-256 of every file the stack runs, pinned in checksums.sha256 (the format of sha256sum).

Maven's own check trusts what the mirror says about itself, and some mirrors carry no checksum for some
files. A file that is not pinned, or differs, is never run. `python -m stack lock` writes the pins anew after
a change of versions; the diff of that file is what a reviewer reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from streams.errors import EnvironmentFault

PINS = Path(__file__).with_name("checksums.sha256")


def pinned(file: Path = PINS) -> dict[str, str]:
    lines = (line.split() for line in file.read_text().splitlines() if line.strip())
    return {name: digest for digest, name in lines}


def verify(files: Iterable[Path], pins: Mapping[str, str]) -> None:
    for file in files:
        found, expected = digest(file), pins.get(file.name)
        if found != expected:
            raise EnvironmentFault(
                "stack.checksum",
                f"{file.name} has SHA-256 {found}, pinned is {expected or 'nothing'}",
                f"delete it from the Maven repository and try again; if {PINS.name} is behind a change of "
                "versions, write it anew with: python -m stack lock",
            )


def write(files: Iterable[Path], file: Path = PINS) -> None:
    """Keeps the pins of other platforms' files; a reviewer removes those of versions that are gone."""
    pins = pinned(file) if file.exists() else {}
    pins.update({found.name: digest(found) for found in files})
    file.write_text("".join(f"{pins[name]}  {name}\n" for name in sorted(pins)))


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
