"""Processes as the kernel sees them: CPU seconds, resident memory, cores; and what this machine is.

Reads /proc only. Benchmarks measure processes from outside: nothing is added to what is measured.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack import versions
from stack.layout import PROJECT

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_EVERY = 0.25


def stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, beginning with the state."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children it has waited for; 0 when it is gone."""
    try:
        fields = stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def rss_bytes(pid: int) -> int:
    """Resident memory; 0 when it is gone."""
    try:
        return int(stat(pid)[21]) * PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def tree(root: int) -> list[int]:
    """A process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents.setdefault(int(stat(int(entry.name))[1]), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += parents.get(pid, [])
    return found


def tree_cpu_seconds(root: int) -> float:
    """CPU seconds of a process with its children, living and waited for."""
    return sum(map(cpu_seconds, tree(root)))


def threads(pid: int) -> dict[str, float]:
    """CPU seconds by thread name: `python` is every thread of Python, `rdk:...` the Kafka client's."""
    used: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = (task / "stat").read_text()
            name = text[text.index("(") + 1 : text.rindex(")")].rstrip("0123456789:")
            name = "main" if int(task.name) == pid else name
            ticks = sum(map(int, text[text.rindex(")") + 2 :].split()[11:13]))
            used[name] = used.get(name, 0.0) + ticks / TICKS
    return used


def pin(root: int, cores: Iterable[int]) -> None:
    """Every thread of a process and of its descendants to these cores."""
    wanted = set(cores)
    for pid in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task.name), wanted)


def cores() -> list[int]:
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process, at `at` seconds since the epoch."""

    at: float
    process: str
    cpu_s: float
    rss_mb: float


@dataclass
class Sampler:
    """Looks at named processes four times a second, in a thread, until closed."""

    processes: Mapping[str, int]
    samples: list[Sample] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self.look()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()
        self.look()

    def look(self) -> None:
        """One sample of each process."""
        for name, pid in self.processes.items():
            rss = sum(map(rss_bytes, tree(pid) if name == "postgres" else [pid])) / 1e6
            cpu = tree_cpu_seconds(pid) if name == "postgres" else cpu_seconds(pid)
            self.samples.append(Sample(time.time(), name, cpu, rss))

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY):
            self.look()

    def of(self, process: str) -> list[Sample]:
        """The samples of one process, oldest first."""
        return [sample for sample in self.samples if sample.process == process]

    def cpu(self, process: str, start: float, end: float) -> float:
        """CPU seconds it used between two moments, interpolated between samples."""
        samples = self.of(process)
        return _at(samples, end) - _at(samples, start)

    def peak_rss_mb(self, process: str) -> float:
        """The most memory seen."""
        return max((sample.rss_mb for sample in self.of(process)), default=0.0)


def _at(samples: Sequence[Sample], moment: float) -> float:
    before = samples[0]
    for sample in samples:
        if sample.at > moment:
            span = sample.at - before.at
            share = max(0.0, moment - before.at) / span if span else 0.0
            return before.cpu_s + (sample.cpu_s - before.cpu_s) * share
        before = sample
    return before.cpu_s


def describe() -> dict[str, object]:
    """What stood under the figures: machine, revision, versions."""
    return {
        "cpu": _cpu_model(),
        "cores": len(cores()),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * PAGE / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "revision": _git("rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "versions": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    pinned = versions.pinned()
    yield from (
        ("kafka", pinned.kafka),
        ("debezium", pinned.debezium),
        ("postgresql", pinned.postgres_release),
    )
    yield "registry", pinned.registry
    for name in (
        "faust-streaming",
        "aiokafka",
        "confluent-kafka",
        "msgspec",
        "rocksdict",
        "fastavro",
        "psycopg",
    ):
        yield name, importlib.metadata.version(name)


def _cpu_model() -> str:
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _git(*arguments: str) -> str:
    asked = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    return asked.stdout.strip()
