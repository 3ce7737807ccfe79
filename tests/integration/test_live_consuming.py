"""The client of docs/consuming.md, as it stands on the page, and `concord sample` and `tail`, on the real services."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer

from schemas import registry
from schemas.registry import SchemaFile
from stack import download
from stack.download import Artifacts
from stack.environment import Environment
from stack.layout import PROJECT, current
from stack.progress import Progress
from streams.codec import decision_headers, view_headers
from streams.core.advance import Emission
from streams.errors import EnvironmentFault
from tests import views
from tests.fixtures.kafka import CreateTopic
from tests.fixtures.waiting import wait_until

TOPIC = "sink.directory.provider"
V1 = PROJECT / "schemas" / "view" / "directory.provider.v1.avsc"
PAGE = (PROJECT / "docs" / "consuming.md").read_text("utf-8")
ONE, TWO = views.entity(1), views.entity(2)


def block(language: str) -> str:
    """The page's only block of this language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return str(found)


@dataclass(slots=True)
class Written:
    """A sink topic, written as the platform writes it: transactions, headers, a registered schema."""

    stack: Environment
    name: str
    prefix: str
    versions: list[SchemaFile]
    producer: Producer
    ids: list[int] = field(default_factory=list)

    def evolve(self, text: str) -> None:
        """The next version of the schema; records are written with it from now on."""
        number = len(self.versions) + 1
        self.versions.append(SchemaFile(self.name, number, text, f"directory.provider.v{number}.avsc"))
        with registry.connect(self.stack.registry) as client:
            self.ids = [entry.id for entry in registry.publish(client, self.versions)]

    def send(self, entity_id: str, revision: int, *, abort: bool = False, **content: Any) -> None:
        sent = views.provider("directory", entity_id, revision, **content)
        self.producer.begin_transaction()
        self.producer.produce(
            self.name, key=entity_id, value=self._wire(sent.content), headers=_headers(sent)
        )
        self.producer.flush()
        self.producer.abort_transaction() if abort else self.producer.commit_transaction()

    def tombstone(self, entity_id: str) -> None:
        self.producer.begin_transaction()
        self.producer.produce(self.name, key=entity_id, value=None)
        self.producer.commit_transaction()

    def _wire(self, content: Any) -> bytes:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(self.versions[-1].text)), content)
        return b"\0" + self.ids[-1].to_bytes(4, "big") + body.getvalue()


def _headers(sent: Any) -> Any:
    emission = Emission(
        "directory", "provider", sent.entity_id, sent.revision, sent.content, ["npi", "degree"]
    )
    return view_headers(decision_headers(emission, (1, 2, 3), 4, "2026-11-22T00:00:00Z"), emission)


@pytest.fixture
def written(stack: Environment, topic: CreateTopic, topic_prefix: str) -> Written:
    settings = {"bootstrap.servers": stack.kafka, "partitioner": "murmur2_random", "log_level": 0}
    producer = Producer({**settings, "transactional.id": f"{topic_prefix}consuming"})
    producer.init_transactions(30)
    found = Written(stack, topic(TOPIC), topic_prefix, [], producer)
    found.evolve(V1.read_text("utf-8"))
    return found


def newer() -> str:
    """The schema's next version: one field more, first of all."""
    schema = json.loads(V1.read_text("utf-8"))
    new = {"name": "pronouns", "type": ["null", "string"], "default": None, "doc": "As the provider says."}
    return json.dumps({**schema, "fields": [new, *schema["fields"]]})


@dataclass(slots=True)
class Client:
    """A consumer of the page, and what it holds."""

    command: list[str]
    environ: dict[str, str]
    database: Path

    @contextmanager
    def running(self) -> Iterator[Callable[[Callable[[], Any], str], None]]:
        """The client at work; `until(condition, what)` watches that it lives."""
        with subprocess.Popen(self.command, env=self.environ, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield lambda condition, what: wait_until(condition, 60, lambda: process.poll() is None, what)
            finally:
                process.kill()
                assert process.stderr is not None
                print(process.stderr.read())  # pytest shows it when the test fails

    def held(self) -> dict[str, tuple[int, Any]]:
        return {key: (revision, json.loads(view)) for key, revision, view in self._rows("select * from held")}

    def seen(self) -> int:
        return len(self._rows("select * from seen"))

    def _rows(self, query: str) -> list[Any]:
        if not self.database.exists():
            return []
        try:
            with closing(sqlite3.connect(self.database)) as connection:
                return connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []


@pytest.fixture
def client(written: Written, tmp_path: Path, unique: Callable[[str], str]) -> Client:
    code, database = tmp_path / "client.py", tmp_path / "held.db"
    code.write_text(block("python"), "utf-8")
    own = {"KAFKA": written.stack.kafka, "REGISTRY": written.stack.registry, "TOPIC": written.name}
    own |= {"GROUP": unique("client"), "SCHEMA": str(V1), "DATABASE": str(database)}
    return Client([sys.executable, str(code)], {**os.environ, **own}, database)


def test_the_client_of_the_page_applies_by_revision_and_counts_nothing_twice(
    written: Written, client: Client
) -> None:
    written.send(ONE, 1)
    written.send(ONE, 2, degree="DO")
    written.send(ONE, 3, abort=True, degree="never")
    written.send(ONE, 1)  # a replay of the platform's
    written.send(ONE, 2, degree="DO")
    written.tombstone(TWO)
    written.send(TWO, 5, status="withdrawn", reason="provider.terminated")
    with client.running() as until:
        until(lambda: client.seen() == 3, "three records")
    held = client.held()
    assert {key: revision for key, (revision, _) in held.items()} == {ONE: 2, TWO: 5}
    assert held[ONE][1]["degree"] == "DO"
    assert held[TWO][1]["status"] == "withdrawn"


def test_the_client_of_the_page_survives_a_kill_a_replay_and_a_change_of_the_schema(
    written: Written, client: Client, unique: Callable[[str], str]
) -> None:
    written.send(ONE, 1)
    with client.running() as until:
        until(lambda: client.seen() == 1, "the first record")
    written.evolve(newer())
    written.send(ONE, 2, degree="DO", pronouns="they")
    client.environ["GROUP"] = unique("again")  # its offsets are lost: it reads everything again
    with client.running() as until:
        until(lambda: client.seen() == 2, "the record of the newer schema")
    revision, view = client.held()[ONE]
    assert (revision, view["degree"]) == (2, "DO")
    assert "pronouns" not in view


def test_a_client_built_for_a_newer_schema_reads_older_records(
    written: Written, client: Client, tmp_path: Path
) -> None:
    written.send(ONE, 1)
    schema = tmp_path / "directory.provider.v2.avsc"
    schema.write_text(newer(), "utf-8")
    client.environ["SCHEMA"] = str(schema)
    with client.running() as until:
        until(lambda: client.seen() == 1, "the older record")
    assert client.held()[ONE][1]["pronouns"] is None


@pytest.fixture
def java_client(client: Client, tmp_path: Path) -> list[str]:
    """How the page's Java client is started, compiled against the jars the stack brings."""
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("no javac here: the packaged Java only runs classes")
    folders = artifacts()
    jars = [folders.kafka / "*", next(folders.registry.rglob("org.apache.avro.avro-1*.jar"))]
    path = os.pathsep.join(map(str, [tmp_path, *jars]))
    (tmp_path / "Client.java").write_text(block("java"), "utf-8")
    done = subprocess.run(
        [javac, "-cp", path, str(tmp_path / "Client.java")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(Path(javac).with_name("java")), "-Xmx128m", "-cp", path, "Client"]


def artifacts() -> Artifacts:
    try:
        return download.fetch(current(), Progress(quiet=True))
    except EnvironmentFault as fault:
        pytest.skip(f"no jars here: {fault}")


def test_the_java_client_of_the_page_does_the_same(
    written: Written, client: Client, java_client: list[str]
) -> None:
    written.send(ONE, 1)
    written.send(ONE, 3, abort=True, degree="never")
    written.send(ONE, 2, degree="DO")
    written.send(ONE, 1)
    written.tombstone(TWO)
    written.evolve(newer())
    written.send(TWO, 5, pronouns="they")
    told: list[str] = []
    with subprocess.Popen(java_client, env=client.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                told.append(line.strip())
                if len(told) == 3:
                    break
        finally:
            process.kill()
    one = [f"applied {ONE} 1 MD", f"applied {ONE} 2 DO"]
    assert [line for line in told if ONE in line] == one
    assert [line for line in told if TWO in line] == [f"applied {TWO} 5 MD"]


def concord(written: Written, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **written.stack.variables(), "CONCORD_TOPIC_PREFIX": written.prefix}
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.run(
        command, env=environ, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )


def test_sample_shows_the_newest_records_with_their_headers(written: Written) -> None:
    for revision in range(1, 5):
        written.send(ONE, revision)
    done = concord(written, "sample", TOPIC, "--count", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["result"]
    assert [record["value"]["revision"] for record in found] == [3, 4]
    assert found[0]["headers"]["ce_id"] == f"directory/provider/{ONE}/3"
    assert found[0]["schema"] == "concord.directory.Provider"
    text = concord(written, "sample", TOPIC, "--count", "1").stdout
    assert f"ce_id: directory/provider/{ONE}/4" in text
    assert "last_name: Fernhollow" in text


def test_tail_shows_one_provider_and_one_field(written: Written) -> None:
    written.send(ONE, 1)
    written.send(TWO, 1)
    written.send(TWO, 2)
    who = views.provider("directory", TWO).content["npi"]
    done = concord(
        written,
        "tail",
        TOPIC,
        "--provider",
        who,
        "--changed",
        "degree",
        "--beginning",
        "--count",
        "2",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["key"], line["value"]["revision"]) for line in shown] == [(TWO, 1), (TWO, 2)]


def test_a_topic_nobody_knows_is_wrong_input(written: Written) -> None:
    done = concord(written, "sample", "sink.directory.providers")
    assert done.returncode == 2
    assert "did you mean 'sink.directory.provider'?" in done.stderr
