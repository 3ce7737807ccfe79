"""Divergences made behind the platform's back, and the account of what was done: for tests of verification.

    tables   --a transaction that nobody publishes--> rows that capture never saw
    cdc.*    --records that no system wrote--> claims of rows as their system never had them
    entity   --records that no worker wrote--> rows as nobody ever said them

Each divergence is a real one when it is made, and nobody else touches its row: the account is what a verification must
say, no more and no less. Never looks at what a verification says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg
from confluent_kafka import Message, Producer
from msgspec import Raw
from msgspec.structs import replace

from schemas.catalog import load_mapping
from schemas.tables import mapped_tables
from streams.core import canonical
from streams.core import entity as core_entity
from streams.core.columns import Table
from streams.core.parity import EQUAL
from streams.core.verify import DIFFERENT, EXTRA, MISSING
from streams.operate import reading
from streams.operate.presence import PEOPLE
from streams.placing import partition_of
from tests.fixtures.platform import Platform

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

MASTER = "credentialing"
TARGETS = ("directory", "enrollment", "billing")
ROOTS: Mapping[str, tuple[str, str]] = {MASTER: ("provider", "provider_id"), **PEOPLE}
"""system -> its table of providers, and the column that says who that is to the master"""

ALTERED: Mapping[str, str] = {
    "provider": "first_name = coalesce(first_name, '') || 'x'",
    "provider_name_history": "last_name = coalesce(last_name, '') || 'x'",
    "license": "expires = coalesce(expires, current_date) + 1",
    "dea_registration": "expires = coalesce(expires, current_date) + 1",
    "cds_registration": "expires = coalesce(expires, current_date) + 1",
    "board_certification": "certificate_no = coalesce(certificate_no, '') || 'x'",
    "taxonomy": "effective_to = coalesce(effective_to, current_date) + 1",
    "education": "institution = institution || 'x'",
    "work_history": "employer = employer || 'x'",
    "exclusion_hit": "reviewer = coalesce(reviewer, '') || 'x'",
    "organization": "dba = coalesce(dba, '') || 'x'",
    "affiliation": "effective_to = coalesce(effective_to, current_date) + 1",
    "practice_location": "line2 = coalesce(line2, '') || 'x', latitude = coalesce(latitude, 0) / 2",
    "provider_location": "effective_to = coalesce(effective_to, current_date) + 1",
    "hospital_privilege": "effective_to = coalesce(effective_to, current_date) + 1",
    "psv_record": "performed_at = coalesce(performed_at, now()) + interval '1 microsecond'",
    "credentialing_cycle": "due_date = coalesce(due_date, current_date) + 1",
    "committee_decision": "minutes_ref = coalesce(minutes_ref, '') || 'x'",
    "malpractice_coverage": "per_occurrence = coalesce(per_occurrence, 0) + 0.01",
    "network_participation": "tier = coalesce(tier, '') || 'x'",
    "delegation_agreement": "standards = coalesce(standards, '') || 'x'",
    "dir_provider": "first_name = coalesce(first_name, '') || 'x'",
    "dir_location": "city = coalesce(city, '') || 'x'",
    "dir_network": "market = coalesce(market, '') || 'x'",
    "dir_listing": "accepting_notes = coalesce(accepting_notes, '') || 'x'",
    "dir_attestation": "channel = coalesce(channel, '') || 'x'",
    "enr_provider": "prov_first = coalesce(prov_first, '') || 'x'",
    "enrollment": "requested_eff = coalesce(requested_eff, current_date) + 1",
    "recon_item": "owner_team = coalesce(owner_team, '') || 'x'",
    "payer": "name = name || 'x'",
    "payer_product": "line_of_business = line_of_business || 'x'",
    "contract": "end_date = coalesce(end_date, current_date) + 1",
    "bil_rendering": "first_nm = coalesce(first_nm, '') || 'x'",
    "bil_billing_entity": "city = coalesce(city, '') || 'x'",
    "bil_service_location": "city = coalesce(city, '') || 'x'",
    "bil_provider_payer": "payer_prov_id = coalesce(payer_prov_id, '') || 'x'",
    "bil_affiliation": "end_dt = coalesce(end_dt, current_date) + 1",
}
"""table -> how a row of it is made different"""

FRESH: Mapping[str, Mapping[str, Callable[[int], Any]]] = {
    "provider": {"npi": lambda n: None},  # two who hold one NPI would hold back each other's views
    "license": {"number": lambda n: f"N{n:07}"},
    "dea_registration": {"number": lambda n: f"N{n:07}"},
    "cds_registration": {"number": lambda n: f"N{n:07}"},
    "board_certification": {"certificate_no": lambda n: f"N{n:07}"},
    "taxonomy": {"effective_from": lambda n: f"{1900 + n % 90}-01-01", "is_primary": lambda n: False},
    "affiliation": {"effective_from": lambda n: f"{1900 + n % 90}-01-01"},
    "provider_location": {
        "effective_from": lambda n: f"{1900 + n % 90}-01-01",
        "is_primary": lambda n: False,
    },
    "network_participation": {"effective": lambda n: f"{1900 + n % 90}-01-01"},
    "exclusion_hit": {"row_hash": lambda n: f"H{n}"},
    "delegation_agreement": {"payer": lambda n: f"Payer {n}"},
    "dir_provider": {"cred_provider_ref": lambda n: None},
    "dir_location": {"cred_location_ref": lambda n: None},
    "dir_network": {"network_name": lambda n: f"Network {n}"},
    "enr_provider": {"cred_ref": lambda n: None},
    "payer": {"name": lambda n: f"Payer {n}", "payer_code": lambda n: f"P{n}"},
    "payer_product": {"network_code": lambda n: f"N{n}"},
    "contract": {"group_tax_id": lambda n: f"{n:09}"},
    "bil_rendering": {"cred_ref": lambda n: None},
    "bil_billing_entity": {"cred_org_ref": lambda n: None},
    "bil_service_location": {"cred_location_ref": lambda n: None},
    "bil_provider_payer": {"payer_cd": lambda n: f"P{n}"},
}
"""table -> column of a row that is added as a copy -> what keeps it from being refused as a second one"""

SHARED: Mapping[str, str] = {
    "organization": "legal_name like 'Spare %'",
    "practice_location": "name like 'Spare %'",
    "delegation_agreement": "payer like 'Spare %'",
    "dir_location": "loc_name ilike 'spare %'",
    "dir_network": "network_name like 'Spare %'",
    "payer": "name like 'Spare %'",
    "payer_product": "line_of_business like 'Spare %'",
    "contract": "group_tax_id like '9999%'",
    "bil_billing_entity": "legal_nm ilike 'spare %'",
    "bil_service_location": "facility_nm ilike 'spare %'",
}
"""table of rows that many providers point at -> which of them may be meddled with: those that nobody needs"""

SPARE: Mapping[str, tuple[str, ...]] = {
    MASTER: (
        "insert into organization (legal_name, org_type) select 'Spare ' || n, 'prvgrp' from generate_series(1, %(spare)s) n",
        """insert into practice_location (org_id, name, line1, city, state, zip)
            select org_id, 'Spare ' || row_number() over (), '1 Bramble Lane', 'Fairhaven', 'IL', '60601'
            from organization where legal_name like 'Spare %%'""",
        """insert into delegation_agreement (org_id, payer) select org_id, 'Spare Mutual'
            from organization where legal_name like 'Spare %%'""",
        "insert into provider_name_history (provider_id, last_name) select unnest(%(who)s::uuid[]), 'Former'",
        "insert into cds_registration (provider_id, state, number) select unnest(%(who)s::uuid[]), 'IL', 'C1'",
        "insert into education (provider_id, institution) select unnest(%(who)s::uuid[]), 'Fairhaven College'",
        "insert into work_history (provider_id, employer) select unnest(%(who)s::uuid[]), 'Fairhaven Clinic'",
        """insert into exclusion_hit (provider_id, source, row_hash, disposition)
            select unnest(%(who)s::uuid[]), 'LEIE', 'H', 'false_positive'""",
        "insert into hospital_privilege (provider_id, category) select unnest(%(who)s::uuid[]), 'courtesy'",
    ),
    "directory": (
        "insert into dir_network (payer_name, network_name) select 'Spare', 'Spare ' || n from generate_series(1, %(spare)s) n",
        """insert into dir_attestation (dir_provider_id, attested_by) select dir_provider_id, 'office'
            from dir_provider where cred_provider_ref = any(%(who)s::uuid[])""",
    ),
    "enrollment": (
        """insert into payer (name, payer_code) select 'Spare ' || n, 'SPARE' || n
            from generate_series(1, %(spare)s) n""",
        "insert into payer_product (payer_id, line_of_business) select payer_id, 'Spare ' || name from payer where name like 'Spare %%'",
        """insert into contract (payer_id, group_tax_id, start_date)
            select payer_id, '9999' || lpad(payer_id::text, 5, '0'), current_date from payer where name like 'Spare %%'""",
        """insert into recon_item (enr_provider_id, class) select enr_provider_id, 'address'
            from enr_provider where cred_ref = any(%(who)s::uuid[])""",
    ),
    "billing": (
        """insert into bil_provider_payer (rend_id, payer_cd) select rend_id, 'SPARE'
            from bil_rendering where cred_ref = any(%(who)s::uuid[])""",
    ),
}
"""system -> rows of tables that a load leaves empty, and of shared ones rows that nobody points at"""

TOLD: Mapping[str, str] = {
    "board_certification": "certificate_no",
    "committee_decision": "minutes_ref",
    "education": "institution",
    "malpractice_coverage": "policy_no",
    "network_participation": "tier",
    "work_history": "employer",
}
"""table -> the column of it that a forged change changes: a text that any text may stand in"""


class Row(NamedTuple):
    """A row that diverges, as a verification must name it."""

    table: str
    row: str
    state: str


@dataclass(slots=True)
class Account:
    """What was done. `rows`: every row that diverges; `views`: (system, entity) that holds another view than it
    confirmed; `kinds`: divergences made, by their kind. One lost record is one, and makes many rows diverge."""

    rows: set[Row] = field(default_factory=set)
    views: set[tuple[str, str]] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, *rows: Row) -> None:
        """One divergence."""
        assert rows
        assert not self.rows.intersection(rows)
        self.rows.update(rows)
        self.kinds[kind] += 1

    def note_view(self, kind: str, system: str, entity: str) -> None:
        """One view that is not held."""
        assert (system, entity) not in self.views
        self.views.add((system, entity))
        self.kinds[kind] += 1


@cache
def kept(system: str) -> Mapping[str, Table]:
    """The tables of a system whose rows the platform holds, of providers and of what they share."""
    return {t.name: t for t in mapped_tables(system) if t.mode == "state" and t.kind != "any"}


def add_spare_rows(platform: Platform, who: Sequence[str], spare: int) -> None:
    """Rows of every table, published as any: of these providers, and of what providers share."""
    for system, statements in SPARE.items():
        with closing(platform.databases[system].connect()) as connection, connection.transaction():
            for statement in statements:
                connection.execute(statement.encode(), {"who": list(who), "spare": spare})


@contextmanager
def unpublished(connection: Connection, tables: Iterable[str]) -> Iterator[Connection]:
    """One transaction whose changes of these tables nobody captures, while everybody else's are.

    Logical decoding sees the catalogue as the transaction does that it decodes: out of the publication for the rows
    written in here, and in it for all others. Without triggers and references, as a restore would write.
    """
    with connection.transaction():
        lists = published(connection)
        names = sorted(tables)
        connection.execute("set local session_replication_role = replica")
        connection.execute(f"alter publication concord drop table {', '.join(names)}")
        yield connection
        again = ", ".join(f"{name} ({', '.join(lists[name])})" for name in names)
        connection.execute(f"alter publication concord add table {again}")


def published(connection: Connection) -> dict[str, list[str]]:
    """Table -> its columns that leave the database."""
    query = "select tablename, attnames::text[] from pg_publication_tables where pubname = 'concord'"
    return dict(connection.execute(query).fetchall())


class Meddler:
    """Makes divergences of every kind; each provider is meddled with in one place only, so that none heals another."""

    def __init__(self, platform: Platform, who: Sequence[str], rng: Random) -> None:
        self._platform, self._rng, self._new = platform, rng, 0
        self._kafka = platform.settings.kafka
        self._producer = Producer({"bootstrap.servers": self._kafka})
        self.done = Account()
        people = rng.sample(list(who), len(who))
        shares = {"source": 0.25, "target": 0.25, "change": 0.1, "state": 0.2, "view": 0.2}
        self._people: dict[str, list[str]] = {}
        for place, share in shares.items():
            count = max(round(share * len(who)), 1)
            self._people[place], people = people[:count], people[count:]

    def meddle(self, count: int) -> None:
        """So many divergences."""
        parts = {
            self._views: max(count * 8 // 100, 3),
            self._state: max(count * 12 // 100, 4),
            self._change: max(count // 10, 3),
            self._targets: max(count * 3 // 10, 9),
        }
        self._source(count - sum(parts.values()))
        for part, some in parts.items():
            part(some)
        assert self.done.kinds.total() == count

    # ---- rows that capture never saw ----

    def _source(self, count: int) -> None:
        self._hidden([MASTER], "source", count)

    def _targets(self, count: int) -> None:
        self._hidden(TARGETS, "target", count)

    def _hidden(self, systems: Sequence[str], place: str, count: int) -> None:
        """Table after table in turn, so that none is left out; in each way in turn."""
        rows = {(s, t): self._mine(s, table, place) for s in systems for t, table in kept(s).items()}
        left = {name: self._rng.sample(found, len(found)) for name, found in rows.items() if found}
        ways, done = 0, 0
        while done < count:
            assert left, f"no rows are left to meddle with, after {done}"
            for system, name in self._rng.sample(sorted(left), len(left)):
                if done < count and self._one(system, kept(system)[name], left[system, name].pop(), ways):
                    done, ways = done + 1, ways + 1
            left = {name: found for name, found in left.items() if found}

    def _mine(self, system: str, table: Table, place: str) -> list[str]:
        root, reference = ROOTS[system]
        entity = kept(system)[root].entity
        where = SHARED.get(table.name) or (
            f"{table.entity} in (select {entity} from {root} where {reference}::text = any(%s))"
        )
        query = f"select {table.row}::text from {table.name} where {where} order by 1"
        values = [] if table.name in SHARED else [self._people[place]]
        return [row for (row,) in self._platform.rows(system, query, *values)]

    def _one(self, system: str, table: Table, row: str, way: int) -> bool:
        ways = (self._deleted, self._altered, self._added)
        with (
            closing(self._platform.databases[system].connect()) as connection,
            unpublished(connection, [table.name]),
        ):
            found = ways[way % 3](connection, table, row)
        if found is not None:
            where = "source" if system == MASTER else "target"
            self.done.note(f"{where} row {ways[way % 3].__name__[1:]}", Row(f"{system}.{table.name}", *found))
        return found is not None

    def _deleted(self, connection: Connection, table: Table, row: str) -> tuple[str, str] | None:
        done = connection.execute(f"delete from {table.name} where {table.row}::text = %s", [row])
        return (row, EXTRA) if done.rowcount else None

    def _altered(self, connection: Connection, table: Table, row: str) -> tuple[str, str] | None:
        if table.name not in ALTERED:
            return None
        done = connection.execute(
            f"update {table.name} set {ALTERED[table.name]} where {table.row}::text = %s", [row]
        )
        return (row, DIFFERENT) if done.rowcount else None

    def _added(self, connection: Connection, table: Table, row: str) -> tuple[str, str] | None:
        """A copy under an id of its own."""
        self._new += 1
        new = self._id(row)
        changed = {column: make(self._new) for column, make in FRESH.get(table.name, {}).items()}
        copied = f"""
            insert into {table.name} select (jsonb_populate_record(r, %s)).*
            from {table.name} r where {table.row}::text = %s on conflict do nothing returning {table.row}::text
        """
        done = connection.execute(copied, [json.dumps({**changed, table.row: new}), row])
        return (str(new), MISSING) if done.fetchall() else None

    def _id(self, like: str) -> str | int:
        """One that nobody has."""
        if like.isdigit():
            return 1_000_000_000 + self._rng.getrandbits(28)
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    # ---- topics ----

    def _entities(self, prefix: bytes) -> list[core_entity.Entity]:
        settings = self._platform.settings
        places = reading.beginnings(settings.topic("entity"), range(settings.partitions))
        newest = reading.newest(self._kafka, places)
        return [core_entity.decode(m.value() or b"") for k, m in newest.items() if k.startswith(prefix)]

    def _views(self, count: int) -> None:
        """What is held of a target, in the record of an entity that holds its view: as if it had been written wrong."""
        wanted = set(self._people["view"])
        mine = [
            (system, entity)
            for entity in self._entities(b"provider/")
            for system in TARGETS
            if entity.id in wanted and (parity := entity.parity.get(system)) and parity.state == EQUAL
        ]
        for system, entity in self._rng.sample(mine, count):
            for row, claim in entity.claims[system]["provider"].items():
                image = canonical.DECODE["provider"](claim.held)
                other = replace(image, last_name="Nobody")
                entity.claims[system]["provider"][row] = replace(claim, held=Raw(canonical.encode(other)))
            self._write_entity(entity)
            self.done.note_view("state of a view changed", system, f"provider/{entity.id}")

    def _state(self, count: int) -> None:
        """One record of topic `entity` an entity."""
        wanted = set(self._people["state"])
        mine = [(MASTER, e) for e in self._entities(b"provider/") if e.id in wanted]
        for system in TARGETS:
            found = self._entities(f"{system}.provider/".encode())
            mine += [(system, e) for e in found if e.link is not None and e.link.entity_id in wanted]
        ways = (self._changed, self._dropped, self._swollen, self._lost)
        done = 0
        for system, entity in self._rng.sample(mine, len(mine)):
            if done == count:
                return
            rows = ways[done % 4](system, entity)
            if rows:
                self.done.note(f"state {ways[done % 4].__name__[1:]}", *rows)
                done += 1
        assert done == count, f"no entities are left to meddle with, after {done}"

    def _changed(self, system: str, entity: core_entity.Entity) -> list[Row]:
        for table, row, claim in self._claims(system, entity):
            image = canonical.DECODE[table.record](claim.held)
            texts = [c.field for c in table.columns if c.type == "text" and "." not in c.field]
            said = [name for name in texts if getattr(image, name) is not None]
            if said:
                name = self._rng.choice(said)
                other = replace(image, **{name: getattr(image, name) + "x"})
                entity.claims[system][table.record][row] = replace(claim, held=Raw(canonical.encode(other)))
                self._write_entity(entity)
                return [Row(f"{system}.{table.name}", row, DIFFERENT)]
        return []

    def _dropped(self, system: str, entity: core_entity.Entity) -> list[Row]:
        for table, row, _ in self._claims(system, entity):
            del entity.claims[system][table.record][row]
            self._write_entity(entity)
            return [Row(f"{system}.{table.name}", row, MISSING)]
        return []

    def _swollen(self, system: str, entity: core_entity.Entity) -> list[Row]:
        for table, row, claim in self._claims(system, entity):
            if table.row != table.entity:
                new = str(self._id(row))
                entity.claims[system][table.record][new] = claim
                self._write_entity(entity)
                return [Row(f"{system}.{table.name}", new, EXTRA)]
        return []

    def _lost(self, system: str, entity: core_entity.Entity) -> list[Row]:
        """Every row that the master has of it."""
        if system != MASTER:
            return []
        found = []
        for name, table in kept(system).items():
            if table.kind == "provider":
                query = f"select {table.row}::text from {name} where {table.entity}::text = %s"
                rows = self._platform.rows(system, query, entity.id)
                found += [Row(f"{system}.{name}", row, MISSING) for (row,) in rows]
        if found:
            self._write_entity(entity, gone=True)
        return found

    def _claims(self, system: str, entity: core_entity.Entity) -> list[tuple[Table, str, core_entity.Claim]]:
        """Its live rows that are compared, in any order."""
        by_record = {table.record: table for table in kept(system).values()}
        found = [
            (by_record[record], row, claim)
            for record, rows in entity.claims.get(system, {}).items()
            if record in by_record
            for row, claim in rows.items()
            if not claim.is_deleted
        ]
        return self._rng.sample(found, len(found))

    def _write_entity(self, entity: core_entity.Entity, *, gone: bool = False) -> None:
        settings = self._platform.settings
        number = partition_of(entity.id.encode(), settings.partitions)
        value = None if gone else core_entity.encode(entity)
        self._producer.produce(settings.topic("entity"), value, f"{entity.kind}/{entity.id}".encode(), number)
        assert self._producer.flush(30) == 0

    def _change(self, count: int) -> None:
        """Records of the master that it never wrote, each newer than what is known and older than what comes."""
        done = 0
        for message in self._recorded(set(self._people["change"])):
            if done == count:
                return
            found = self._forged(message, ("deleted", "altered", "added")[done % 3])
            if found is not None:
                self.done.note(f"change {('deleted', 'altered', 'added')[done % 3]}", found)
                done += 1
        assert done == count, f"no records are left to forge, after {done}"

    def _recorded(self, who: set[str]) -> list[Message]:
        """The newest record of each row of these providers, in any order."""
        settings, found = self._platform.settings, dict[tuple[str, str], Message]()
        topic = settings.topic(f"cdc.{MASTER}")
        for message in reading.read(self._kafka, reading.beginnings(topic, range(settings.partitions))):
            if (message.key() or b"").decode() in who and message.value() is not None:
                said = json.loads(message.value() or b"")
                table = load_mapping(MASTER).tables.get(said["source"]["table"])
                if table is not None and table.mode == "state" and table.name in TOLD:
                    found[table.name, str((said["after"] or said["before"])[table.row])] = message
        rows = [
            message for _, message in sorted(found.items()) if json.loads(message.value() or b"")["after"]
        ]
        return self._rng.sample(rows, len(rows))

    def _forged(self, message: Message, way: str) -> Row | None:
        said = json.loads(message.value() or b"")
        source, row = said["source"], said["after"]
        table = load_mapping(MASTER).tables[source["table"]]
        named, state = row[table.row], {"deleted": MISSING, "altered": DIFFERENT, "added": EXTRA}[way]
        if way == "deleted":
            said.update(op="d", before=row, after=None)
        elif way == "altered":
            said.update(op="u")
            row[TOLD[table.name]] = (row[TOLD[table.name]] or "") + "x"
        else:
            said.update(op="c")
            row[table.row] = named = self._id(named)
        [(now,)] = self._platform.rows(MASTER, "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint")
        source.update(
            sequence=json.dumps([str(now), str(now + 1)]), lsn=int(now) + 1, txId=2_000_000_000 + self._new
        )
        source["snapshot"] = "false"
        self._new += 1
        self._producer.produce(
            message.topic(),
            json.dumps(said, ensure_ascii=False).encode(),
            message.key(),
            message.partition(),
            headers=message.headers(),
        )
        assert self._producer.flush(30) == 0
        return Row(f"{MASTER}.{table.name}", str(named), state)
