"""A source's tables are altered in every way while 500 changes a second go on: capture goes on, each alteration is told
with the mapping's line and once, and when all is as it was no row is lost or misread.

Each kind of DDL has a table of its own, so that all of them hold at once, and the guard's verifications are a table's.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.mapping_check import place
from schemas.catalog import load_mapping
from streams.operate.findings import read_open
from streams.operate.verify.run import verify_source
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.timeout(1500)
MASTER = "credentialing"
PEOPLE = 40
RATE, TRANSACTION = 500, 10
"""Changes a second, and rows of one transaction."""
TOLD_WITHIN = 60.0
MET, PASSED_OVER = "connector.unprocessable", "connector.passes_over"
"""What Debezium can't process of a retyped table: it starts again; if that doesn't help, it passes over it, and
everything of the system is verified."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """One kind of DDL: how it is undone, and what is told of which columns of its table."""

    table: str
    ddl: str
    back: str
    told: Mapping[str, str]
    """column, or "" for the table -> code"""


def _grant(table: str, column: str) -> str:
    return f"grant select ({column}) on {table} to concord_capture"


DEGREE_LIST = (
    "provider_id, npi, entity_type, first_name, middle_name, last_name, name_suffix, degree, dob, sex, caqh_id,"
    " languages, status, row_version, updated_at, updated_by"
)
KINDS = {
    "columns added": Alteration(
        "board_certification",
        "alter table board_certification add column renewed_by text, add column panel text not null default 'none'",
        "alter table board_certification drop column renewed_by, drop column panel",
        {"renewed_by": "column.unmapped", "panel": "column.unmapped"},
    ),
    "mapped column dropped": Alteration(
        "malpractice_coverage",
        "alter table malpractice_coverage drop column policy_no",
        "alter table malpractice_coverage add column policy_no text; "
        + _grant("malpractice_coverage", "policy_no"),
        {"policy_no": "mapping.differs"},
    ),
    "mapped column renamed": Alteration(
        "license",
        "alter table license rename column expires to valid_to",
        "alter table license rename column valid_to to expires",
        {"expires": "mapping.differs"},
    ),
    "retyped, fits": Alteration(
        "network_participation",
        "alter table network_participation alter column tier type varchar(200)",
        "alter table network_participation alter column tier type text",
        {"tier": "column.altered"},
    ),
    "retyped, fits no more": Alteration(
        "credentialing_cycle",
        "alter table credentialing_cycle alter column due_date type timestamptz",
        "alter table credentialing_cycle alter column due_date type date",
        {"due_date": "mapping.differs"},
    ),
    "dropped and made anew": Alteration(
        "psv_record",
        "alter table psv_record drop column source; alter table psv_record add column source text; "
        + _grant("psv_record", "source"),
        "",
        {"source": "column.altered"},
    ),
    "table renamed": Alteration(
        "dea_registration",
        "alter table dea_registration rename to dea_number",
        "alter table dea_number rename to dea_registration",
        {"": "mapping.differs"},
    ),
    "listed column dropped with cascade": Alteration(
        "provider",
        "alter table provider drop column degree cascade",
        f"alter table provider add column degree text; {_grant('provider', 'degree')};"
        f" alter publication concord add table provider ({DEGREE_LIST})",
        {"degree": "mapping.differs", "": "publication.differs"},
    ),
}
WRITTEN = {
    "provider": "updated_by = %s::text",
    "license": "issued = date '2000-01-01' + %s::int % 5000",
    "dea_registration": "activity_code = %s::text",
    "board_certification": "moc_status = %s::text",
    "malpractice_coverage": "per_occurrence = %s::numeric",
    "network_participation": "reason = %s::text",
    "credentialing_cycle": "application_received = date '2000-01-01' + %s::int % 5000",
    "psv_record": "evidence_hash = %s::text",
}
"""table -> a change that concerns no rule"""


@dataclass(slots=True)
class Load:
    """Transactions of several rows of all the tables, until stopped; some rows stand still once `quiet` is set."""

    platform: Platform
    rows: dict[str, list[Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: {table: table for table in WRITTEN})
    quiet: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    committed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    fault: Exception | None = None

    def run(self) -> None:
        try:
            self._run()
        except Exception as fault:  # told by the test: a thread's traceback fails nothing
            self.fault = fault

    def _run(self) -> None:
        tables = {name: load_mapping(MASTER).tables[name].row for name in WRITTEN}
        with closing(self.platform.databases[MASTER].connect()) as connection:
            for name, key in tables.items():
                self.rows[name] = [
                    row for (row,) in connection.execute(f"select {key} from {name} order by 1")
                ]
            started, numbers, whose = time.monotonic(), count(), cycle(tables)
            while not self.stop.wait(max(0.0, started + self.committed / RATE - time.monotonic())):
                self._transaction(connection, [*islice(whose, TRANSACTION // 2)], tables, numbers)
            self.seconds = time.monotonic() - started

    def _transaction(
        self,
        connection: psycopg.Connection,
        names: list[str],
        keys: Mapping[str, str],
        numbers: Iterator[int],
    ) -> None:
        done = 0
        try:
            with connection.transaction():
                for name in names:
                    done += self._write(connection, name, keys[name], next(numbers))
        except psycopg.errors.UndefinedTable as fault:  # it is just being renamed
            self.refused[type(fault).__name__] += 1
            return
        self.committed += done

    def _write(self, connection: psycopg.Connection, name: str, key: str, number: int) -> int:
        rows = self.rows[name][::2] if self.quiet.is_set() else self.rows[name]
        chosen = [rows[(number + step) % len(rows)] for step in range(2)] if rows else []
        among = f"update {self.names[name]} set {WRITTEN[name]} where {key} = any(%s)"
        return connection.execute(among.replace("% 5000", "%% 5000"), [number, chosen]).rowcount


@pytest.fixture(scope="module")
def load(platform: Platform) -> Iterator[Load]:
    platform.ask("load", "generated", "--count", str(PEOPLE), "--seed", "13")
    wait_until(platform.quiet, 180, what="nothing to be pending")
    found = Load(platform)
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    yield found
    found.stop.set()
    thread.join(60)


def told(platform: Platform) -> dict[tuple[str, str], str]:
    """(code, subject) -> message of what is open about the master."""
    return {
        (found["code"], found["subject"]): found["message"]
        for found in read_open(platform.settings)
        if found["kind"] == "system" and found["entity_id"] == MASTER
    }


def wanted(kind: Alteration) -> Iterator[tuple[str, str]]:
    """(code, the mapping's line) of each thing that is to be told."""
    table = f"{MASTER}.public.{kind.table}"
    for column, code in kind.told.items():
        yield code, place(load_mapping(MASTER), f"{table}.{column}" if column else table)


def logged(platform: Platform) -> list[tuple[str, str]]:
    """(code, subject) of everything the guard has opened, in order."""
    log = Path(platform.environ["CONCORD_STATE"]) / "log" / "concord-guard.log"
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [(line["code"], line["subject"]) for line in lines if line["event"] == "guard.opened"]


def test_each_ddl_is_told_with_the_mappings_line_and_nothing_is_lost(platform: Platform, load: Load) -> None:
    wait_until(lambda: load.committed > 5 * RATE or load.fault, 60, what="the load to run")
    before = len(logged(platform))
    with closing(platform.databases[MASTER].connect()) as connection:
        for kind in KINDS.values():
            connection.execute(kind.ddl)
            if kind.table == "dea_registration":
                load.names[kind.table] = "dea_number"
    asked = time.monotonic()
    for name, kind in KINDS.items():
        for code, line in wanted(kind):
            seen = partial(_is_told, platform, code, line)
            wait_until(seen, TOLD_WITHIN, what=f"{name}: {code} with {line}; told: {told(platform)}")
        print(f"{name}: told after {time.monotonic() - asked:.0f} s")
    committed = load.committed
    wait_until(
        lambda: load.committed > committed + 10 * RATE or load.fault, 60, what="changes under all of them"
    )
    assert load.fault is None
    with closing(platform.databases[MASTER].connect()) as connection:
        for kind in KINDS.values():
            if kind.table == "dea_registration":
                load.names[kind.table] = "dea_registration"
            if kind.back:
                connection.execute(kind.back)
    load.quiet.set()  # every other row keeps what came while it couldn't be read
    wait_until(lambda: not told(platform), 600, what="every finding to close by itself")
    assert load.fault is None
    opened = Counter(logged(platform)[before:])
    halted = {code for code, _ in opened if code.partition(".")[0] in ("connector", "slot")}
    assert halted <= {MET, PASSED_OVER}, "capture goes on by itself"
    ours = {code for kind in KINDS.values() for code in kind.told.values()}
    assert {key: times for key, times in opened.items() if times > 1 and key[0] in ours} == {}, "told once"
    print(f"passed over {opened[PASSED_OVER, f'source/{MASTER}']} times")


def _is_told(platform: Platform, code: str, line: str) -> bool:
    return any(
        code == seen and message.startswith(f"{line}:") for (seen, _), message in told(platform).items()
    )


def test_every_row_is_held_as_its_source_has_it(platform: Platform, load: Load) -> None:
    load.stop.set()
    wait_until(lambda: load.seconds or load.fault, 60, what="the load to end")
    assert load.fault is None
    print(f"{load.committed / load.seconds:.0f} changes/s over {load.seconds:.0f} s, {dict(load.refused)}")
    wait_until(platform.quiet, 180, what="nothing to be pending")
    for table in verify_source(platform.settings, [MASTER], by="test", cause="test"):
        assert (table.divergences, table.quarantined, table.unsettled) == ([], 0, 0), table.name
    left = [f["code"] for f in read_open(platform.settings) if f["code"].startswith("capture.")]
    assert left == [], "what was quarantined was read again"
