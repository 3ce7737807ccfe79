"""The quarantine through a real worker: a mapping that was wrong is corrected, and what it refused is replayed.

    old contracts -> worker -> quarantine ... new contracts -> worker <- concord quarantine replay

The worker of before runs on a copy of `schemas` in which a column and a table have other names: what a mapping that
was deployed before its source changed looks like. Rows come as Debezium writes them; nothing else is pretended.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from typer.testing import CliRunner, Result

from connectors.envelope import Change, Source
from schemas import registry
from stack.environment import Environment
from stack.layout import PROJECT
from streams import settings as configuration
from streams import topics
from streams.cli.main import app
from streams.operate import reading
from streams.operate.findings import read_open
from streams.operate.masking import view_schema
from streams.operate.quarantine.handle import back
from streams.operate.quarantine.record import Quarantined, read
from streams.operate.quarantine.send import Sender
from streams.placing import partition_of
from streams.settings import Settings
from streams.trust import trusted
from tests.faults.process import free_port
from tests.fixtures.waiting import wait_until
from tests.world import row

pytestmark = pytest.mark.timeout(600)
MASTER = "credentialing"
WHO, PLACE, GROUP, LICENSE, TAXONOMY = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 6))
NPI = "1234567893"
DEA = "AP5836727"


class Worker:
    """One `concord worker`, with the contracts that stand in `folder`."""

    def __init__(self, folder: Path, environ: dict[str, str], data: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = data.parent / f"{data.name}-{port}.log"
        command = [
            sys.executable,
            "-m",
            "streams.cli",
            "worker",
            "--no-supervised",
            "--accept",
            "--data-dir",
            str(data),
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env={**environ, "CONCORD_WEB_PORT": str(port)},
                cwd=folder,  # its `schemas` comes before the project's
                stdout=output,
                stderr=output,
            )

    def status(self) -> dict[str, Any]:
        with suppress(httpx.HTTPError, ValueError):
            found: dict[str, Any] = httpx.get(f"{self.url}/status", timeout=5, verify=trusted()).json()
            return found
        return {}

    def entity(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/entity/{name}", timeout=5, verify=trusted()).json()
        return found

    def wait(self, condition: Any, what: str) -> Any:
        try:
            return wait_until(condition, 120, lambda: self.process.poll() is None, what)
        except AssertionError:
            print(self.log.read_text(errors="replace")[-6_000:])
            raise

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)


@dataclass
class Site:
    """One test's topics and worker."""

    environ: dict[str, str]
    settings: Settings
    folder: Path
    source: Source = field(default_factory=lambda: Source(MASTER))
    workers: list[Worker] = field(default_factory=list)

    @property
    def cdc(self) -> str:
        return self.settings.topic(f"cdc.{MASTER}")

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    def start(self, contracts: Path = PROJECT) -> Worker:
        """One after the other: the partitions go with the store they have."""
        for worker in self.workers:
            worker.stop()
        self.workers.append(Worker(contracts, self.environ, self.folder / "worker"))
        wanted = self.settings.partitions
        self.worker.wait(lambda: len(self.worker.status().get("partitions", ())) == wanted, "its partitions")
        return self.worker

    def commit(self, *changes: Change) -> None:
        """One transaction of the source, as Debezium writes it."""
        self.send(self.source.transaction(changes))

    def send(self, messages: Any) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka, "partitioner": "murmur2_random"})
        for key, value, headers in messages:
            producer.produce(self.cdc, value, key, headers=headers)
        assert producer.flush(30) == 0

    def concord(self, *arguments: str, **environ: str) -> Result:
        """The command as it was typed, in this process: a test asks often."""
        with environment({**self.environ, **environ}):
            return CliRunner().invoke(app, ["quarantine", *arguments])

    def ask(self, *arguments: str) -> Any:
        done = self.concord(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["result"]

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("list", *arguments)["items"]
        return found

    def records(self, name: str) -> list[Message]:
        """Everything committed in a topic, by partition and offset."""
        partitions = range(self.settings.partitions)
        found = reading.read(self.settings.kafka, reading.beginnings(self.settings.topic(name), partitions))
        return sorted(found, key=lambda m: (m.partition() or 0, m.offset() or 0))

    def quarantined(self) -> list[Quarantined]:
        return [q for m in self.records("quarantine") if isinstance(q := read(m), Quarantined)]

    def findings(self) -> set[tuple[str, str]]:
        return {(f["code"], f["subject"]) for f in read_open(self.settings)}

    def view(self) -> dict[str, Any]:
        """The newest view of our provider in the enrollment sink."""
        schema = fastavro.parse_schema(view_schema("enrollment", "provider"))
        ours = [m for m in self.records("sink.enrollment.provider") if m.key() == WHO.encode()]
        found: Any = fastavro.schemaless_reader(io.BytesIO((ours[-1].value() or b"")[5:]), schema, None)
        return dict(found)

    def read_up(self) -> bool:
        """The worker has committed everything that stands in the captured topic, and nothing waits."""
        status = self.worker.status()
        done = {
            i["partition"]: i["committed"] or 0 for i in status.get("inputs", ()) if i["topic"] == self.cdc
        }
        places = [(self.cdc, partition) for partition in range(self.settings.partitions)]
        ends = reading.ends(self.settings.kafka, places)
        return all(done.get(partition, -1) >= end for (_, partition), (_, end) in ends.items()) and not any(
            p["dirty"] for p in status["partitions"]
        )

    def settle(self) -> None:
        self.worker.wait(self.read_up, "the worker to have decided everything")


@pytest.fixture
def site(
    stack: Environment, kafka_admin: AdminClient, topic_prefix: str, tmp_path: Path, audit: str
) -> Iterator[Site]:
    topics.apply(kafka_admin, topics.Layout(prefix=topic_prefix))
    with registry.connect(stack.registry) as client:
        registry.publish(client, registry.schema_files(prefix=topic_prefix))
    own = {"CONCORD_TOPIC_PREFIX": topic_prefix, "CONCORD_AUDIT": audit, "PYTHONPATH": str(PROJECT)}
    environ = {**os.environ, **stack.variables(), **own}
    with environment(environ) as settings:
        made = Site(environ, settings, tmp_path)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.stop()


@contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[Settings]:
    """What a process with this environment would read."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        configuration.load.cache_clear()
        yield configuration.load()
    configuration.load.cache_clear()


def contracts_of_before(folder: Path) -> Path:
    """Licences expire in another column, and taxonomies stand in another table."""
    shutil.copytree(PROJECT / "schemas", folder / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "schemas" / "mapping" / f"{MASTER}.toml"
    text = file.read_text().replace("[table.taxonomy", "[table.specialty")
    licence = text.index("[table.license.columns]")
    file.write_text(text[:licence] + text[licence:].replace('expires = "expires"', 'expiry = "expires"', 1))
    return folder


def license_row(**columns: Any) -> Change:
    return row("license", license_id=LICENSE, provider_id=WHO, number="036-1", **columns)


def somebody() -> list[Change]:
    ids = {"provider_id": WHO}
    return [
        row("organization", org_id=GROUP, npi="1245319599", tin="000000001"),
        row("practice_location", location_id=PLACE, org_id=GROUP),
        row("provider", npi=NPI, first_name="Ann", **ids),
        license_row(expires="2028-01-01"),
        row("taxonomy", taxonomy_id=TAXONOMY, license_id=LICENSE, **ids),
        row("provider_location", id=PLACE, location_id=PLACE, **ids),
        row("affiliation", affiliation_id=GROUP, org_id=GROUP, **ids),
        row("network_participation", id=WHO, product="PPO", network="Choice", **ids),
    ]


def spoilt(site: Site) -> Any:
    """A DEA row no version will ever read: its list of schedules is a number."""
    dea = row("dea_registration", dea_id=TAXONOMY, provider_id=WHO, number=DEA)
    [(key, value, headers)] = site.source.transaction([dea])
    bad = json.loads(value)
    bad["after"]["schedules"] = 2
    return [(key, json.dumps(bad).encode(), headers)]


# ---- what can become good ----


def test_rows_refused_under_a_wrong_mapping_are_replayed_in_order_once_it_is_right(
    site: Site, tmp_path: Path
) -> None:
    site.start(contracts_of_before(tmp_path / "before"))
    site.commit(*somebody())
    site.settle()
    site.commit(license_row(expires="2029-06-30"))
    site.settle()
    assert [q.code for q in site.quarantined()] == [
        "change.column_missing",
        "change.table_unknown",
        "change.column_missing",
    ]
    gap = ("capture.quarantined", f"license/{LICENSE}")
    site.worker.wait(lambda: gap in site.findings(), "the gap to be a finding on its provider")

    site.start()
    listed = site.items()
    assert {(i["state"], i["attempts"], i["still"]) for i in listed} == {("open", 1, "")}
    assert {f"{i['kind']}/{i['id']}" for i in listed} == {f"provider/{WHO}"}

    rehearsal = site.ask("replay", "--provider", NPI)
    assert (rehearsal["applied"], rehearsal["chosen"], rehearsal["done"]) == (False, 3, 0)
    assert len(site.records("quarantine")) == 3, "a rehearsal writes nothing"

    # One is sent and its sender dies before the mark: the same again changes nothing (Invariant 3).
    with closing(Sender(site.settings.kafka)) as sender:
        sender.send([back(site.quarantined()[0])])
    site.settle()
    told = site.ask("replay", "--provider", NPI, "--by", "ann", "--apply")
    assert (told["applied"], told["done"], told["by_code"]) == (
        True,
        3,
        {"change.column_missing": 2, "change.table_unknown": 1},
    )
    site.settle()
    site.worker.wait(lambda: gap not in site.findings(), "the gap to close")
    assert site.view()["license_expires"] == "2029-06-30"
    assert {(i["state"], i["attempts"], i["by"]) for i in site.items()} == {("replayed", 1, "ann")}

    as_they_came(site, 3)
    twice_is_nothing(site)


def as_they_came(site: Site, count: int) -> None:
    """Invariant 6: bytes, headers, key and partition are the original ones, and so is the order."""
    captured = site.records(f"cdc.{MASTER}")
    originals = {f"{m.topic()}/{m.partition()}/{m.offset()}": m for m in captured}
    sent = [m for m in captured if "concord-replayed" in dict(m.headers() or [])][-count:]
    links = [dict(m.headers() or [])["concord-replayed"].decode() for m in sent]
    assert links == sorted(links, key=lambda link: int(link.rsplit("/", 1)[1]))
    for message, link in zip(sent, links, strict=True):
        first = originals[link]
        assert (message.key(), message.value()) == (first.key(), first.value())
        assert message.partition() == first.partition()
        assert message.headers() == [*(first.headers() or []), ("concord-replayed", link.encode())]


def twice_is_nothing(site: Site) -> None:
    before = (site.worker.entity(f"provider/{WHO}"), len(site.records("sink.enrollment.provider")))
    assert site.ask("replay", "--apply")["chosen"] == 0, "nothing is open"
    assert site.ask("replay", "--state", "replayed", "--apply")["done"] == 3
    site.settle()
    after = (site.worker.entity(f"provider/{WHO}"), len(site.records("sink.enrollment.provider")))
    assert after == before
    assert {(i["state"], i["attempts"]) for i in site.items()} == {("replayed", 1)}


# ---- what stays bad ----


def test_a_row_that_is_still_bad_stays_one_item_and_can_be_put_aside(site: Site) -> None:
    site.start()
    site.commit(*somebody())
    site.send(spoilt(site))
    site.settle()
    for attempts in (1, 2, 3):
        [item] = site.items()
        assert (item["state"], item["attempts"], item["code"]) == ("open", attempts, "change.type_wrong")
        assert item["still"] == "change.type_wrong", "said before anybody sends it"
        assert site.ask("replay", "--origin", item["origin"], "--apply")["done"] == 1
        site.settle()
    assert len(site.quarantined()) == 4
    assert {str(q.first) for q in site.quarantined()} == {item["origin"]}

    refused = site.concord("discard", "--code", "change.type_wrong", "--reason", f"row of {DEA}", "--apply")
    assert refused.exit_code == 2
    told = site.ask(
        "discard", "--code", "change.type_wrong", "--reason", "a vendor's test", "--by", "bo", "--apply"
    )
    assert told["done"] == 1
    [item] = site.items("--state", "discarded")
    assert (item["by"], item["reason"], item["attempts"]) == ("bo", "a vendor's test", 4)
    assert site.items("--state", "open") == []

    shown = site.ask("show", item["latest"])
    assert [a["state"] for a in shown["attempts"]] == ["replayed", "replayed", "replayed", "discarded"]
    assert shown["envelope"]["after"]["dea_id"] == TAXONOMY
    everything = [
        site.concord(c, *rest).stdout for c, *rest in (["list"], ["show", item["origin"]], ["replay"])
    ]
    assert all(text for text in everything)
    assert not any(DEA in text or DEA in json.dumps(shown) for text in everything)
    assert site.ask("replay", "--state", "discarded", "--apply")["done"] == 1, "nothing was deleted"


# ---- a quarantine that cannot be written ----


def resize(admin: AdminClient, topic: str, limit: int) -> None:
    """What a record of the topic may weigh."""
    wanted = ConfigEntry("max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[wanted])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def test_a_quarantine_write_that_fails_is_retried_with_its_chunk_and_never_skipped(
    site: Site, kafka_admin: AdminClient
) -> None:
    """Invariants 2, 6: neither the bad record nor the good ones beside it are settled without the other."""
    worker = site.start()
    number = partition_of(WHO.encode(), site.settings.partitions)
    resize(kafka_admin, site.settings.topic("quarantine"), 100)
    changes = [c for c in somebody() if c.row.get("provider_id") == WHO]
    site.send([*spoilt(site), *site.source.transaction(changes)])

    def own() -> dict[str, Any]:
        return next((p for p in worker.status().get("partitions", ()) if p["partition"] == number), {})

    worker.wait(lambda: own().get("retries", 0) >= 2, "the chunk to be tried again")
    kept = [m.key() or b"" for m in site.records("entity") if m.partition() == number]
    assert [key for key in kept if not key.startswith(b"partition/")] == [], "a tick may have moved its state"
    assert site.quarantined() == []

    resize(kafka_admin, site.settings.topic("quarantine"), topics.MAX_MESSAGE_BYTES)
    site.settle()
    [bad] = site.quarantined()
    assert bad.code == "change.type_wrong"
    assert own()["outcomes"][site.cdc]["quarantined"] == 1
    assert own()["consumed"][site.cdc] == 1 + len(changes)


# ---- without Kafka ----


def test_without_a_kafka_the_commands_leave_with_3(site: Site) -> None:
    done = site.concord("list", "--json", CONCORD_KAFKA=f"127.0.0.1:{free_port()}")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["error"]["code"] == "kafka.unreachable"
    done = site.concord("replay", "--json", CONCORD_TOPIC_PREFIX="nobody.")
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (3, "kafka.topic_missing")
