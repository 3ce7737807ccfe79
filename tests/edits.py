"""Edits in all systems at once: what their own users may say, and what they may not, at random and with a seed.

    Editor (a thread a system) --SQL--> the system's own tables; ledger: what was acknowledged

Each edit is one transaction of one row, as the system's software would write it. `Apart` is the judge: every value that
systems share is equal, or an open finding says why not. Never repairs anything.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import psycopg

from streams.core.rules.book import CODES
from streams.core.rules.rule import HOLD, WITHDRAW
from tests.faults import marks
from tests.faults.ledger import Ledger, Outcome

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Rows: TypeAlias = list[tuple[Any, ...]]
PACE = 0.1
"""Seconds from one edit of a system to its next, however fast the machine is."""
WRONG = "Wrong"
"""Begins every value that its system may not say."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One row that somebody changes. `token`: the edit is its owner's, and the ledger keeps what was said last."""

    name: str
    statement: str
    value: Callable[[int], Any]
    views: int
    """at most so many follow from it, where nothing fans out"""
    token: bool = False


OWN: Mapping[str, Edit] = {
    "credentialing": Edit(
        "last_name",
        "update provider set last_name = %(value)s where provider_id = %(who)s::uuid",
        lambda token: marks.values("", token)["name"],
        3,
        True,
    ),
    "directory": Edit(
        "accepting_notes",
        """update dir_listing set accepting_notes = %(value)s where listing_id = (
            select min(listing_id) from dir_listing join dir_provider using (dir_provider_id)
            where cred_provider_ref = %(who)s::uuid)""",
        str,
        0,
        True,
    ),
    "enrollment": Edit(
        "requested_eff",
        """update enrollment set requested_eff = date '2000-01-01' + %(value)s where enr_provider_id = (
            select enr_provider_id from enr_provider where cred_ref = %(who)s::uuid)""",
        int,
        0,
        True,
    ),
    "billing": Edit(
        "remit_addr",
        "update bil_billing_entity set remit_addr = jsonb_build_object('box', %(value)s::text) where cred_org_ref = %(who)s::uuid",
        str,
        0,
        True,
    ),
}
"""system -> what it owns"""

SAID: Mapping[str, str] = {
    "credentialing": "select provider_id::text, last_name from provider where last_name like 'Fern%'",
    "directory": """select cred_provider_ref::text, accepting_notes from dir_listing
                    join dir_provider using (dir_provider_id) where accepting_notes is not null""",
    "enrollment": """select cred_ref::text, (requested_eff - date '2000-01-01')::text from enrollment
                     join enr_provider using (enr_provider_id) where requested_eff is not null""",
    "billing": "select cred_org_ref::text, remit_addr->>'box' from bil_billing_entity where remit_addr is not null",
}
"""system -> whose, and what it says now in the field it owns"""

ENDED: tuple[Edit, ...] = (
    Edit(
        "left_network",
        """delete from network_participation where id = (
            select max(id::text)::uuid from network_participation where provider_id = %(who)s::uuid having count(*) > 1)
            and %(value)s::text is not null""",
        str,
        3,
    ),
    Edit(
        "joined_network",
        """insert into network_participation (provider_id, payer, product, network, par_status, effective)
            values (%(who)s::uuid, 'Blue Heron Mutual', 'Commercial PPO', 'Heron Open Access', 'par', current_date - %(value)s)
            on conflict do nothing""",
        lambda n: n % 300 + 1,
        3,
    ),
)
"""What the master's users end and begin: rows that go and come, which its own views follow"""

NOT_ITS_OWN: Mapping[str, tuple[Edit, ...]] = {
    "credentialing": (),
    "directory": (
        Edit(
            "listing_deleted",
            """delete from dir_listing where listing_id = (
                select min(listing_id) from dir_listing join dir_provider using (dir_provider_id)
                where cred_provider_ref = %(who)s::uuid and listed_to is null and accepting_notes is null)
                and %(value)s::text is not null""",
            str,
            1,
        ),
        Edit(
            "group_name",
            """update dir_listing set group_name = %(value)s where listing_id = (
                select max(listing_id) from dir_listing join dir_provider using (dir_provider_id)
                where cred_provider_ref = %(who)s::uuid)""",
            lambda n: f"{WRONG} Group {n}",
            1,
        ),
        Edit(
            "degree",
            "update dir_provider set credential_text = %(value)s where cred_provider_ref = %(who)s::uuid",
            lambda n: f"{WRONG}{n}",
            1,
        ),
        Edit(
            "last_name",
            "update dir_provider set last_name = %(value)s where cred_provider_ref = %(who)s::uuid",
            lambda n: f"{WRONG}{n}",
            1,
        ),
    ),
    "enrollment": (
        Edit(
            "license",
            "update enr_provider set lic_no = %(value)s where cred_ref = %(who)s::uuid",
            lambda n: f"{WRONG}{n}",
            1,
        ),
        Edit(
            "group_npi",
            """update enrollment set group_npi = '1245319599' where enr_provider_id = (
                select enr_provider_id from enr_provider where cred_ref = %(who)s::uuid) and %(value)s::text is not null""",
            str,
            1,
        ),
    ),
    "billing": (
        Edit(
            "affiliation_deleted",
            """delete from bil_affiliation where ba_id = (
                select min(ba_id) from bil_affiliation join bil_rendering using (rend_id)
                where cred_ref = %(who)s::uuid and end_dt is null) and %(value)s::text is not null""",
            str,
            1,
        ),
        Edit(
            "last_nm",
            "update bil_rendering set last_nm = %(value)s where cred_ref = %(who)s::uuid",
            lambda n: f"{WRONG}{n}".upper(),
            1,
        ),
    ),
}
"""system -> what it holds and doesn't own. Billing may not even propose a name: that ends in conflict, and on hold."""
WRONGLY: Mapping[str, float] = {"directory": 0.5, "enrollment": 0.5, "billing": 0.02}
"""system -> the share of its edits that say what it doesn't own. In billing half of them end on hold: seldom, or nothing
would flow there any more."""
AT_MOST = max(share / len(NOT_ITS_OWN[system]) for system, share in WRONGLY.items())
"""The share of a system's edits that fall on one field which it doesn't own."""

WHO: Mapping[str, str] = {
    "credentialing": "select provider_id::text from provider where status = 'active' order by 1",
    "directory": """select distinct cred_provider_ref::text from dir_listing join dir_provider using (dir_provider_id)
                    where listed_to is null order by 1""",
    "enrollment": "select distinct cred_ref::text from enrollment join enr_provider using (enr_provider_id) order by 1",
    "billing": "select cred_ref::text from bil_rendering where cred_ref is not null order by 1",
}
PAID = "select cred_org_ref::text from bil_billing_entity where cred_org_ref is not null order by 1"

ENROLLED = """
insert into enrollment (enr_provider_id, payer_id, product_id, svc_loc_ref, state, par_status)
select e.enr_provider_id, p.payer_id, p.product_id, works.location, 'active', 'P'
from unnest(%(who)s::text[], %(locations)s::text[], %(networks)s::text[]) as works (who, location, network)
join enr_provider e on e.cred_ref::text = works.who
join payer_product p on p.network_code = works.network
where not exists (
    select from enrollment held where held.enr_provider_id = e.enr_provider_id
    and held.svc_loc_ref = works.location and held.product_id = p.product_id)
"""

WORKS = """select distinct provider_id::text, location_id::text, network from provider_location
           join (select provider_id, network from network_participation
                 union select provider_id, 'Heron Open Access' from provider) n using (provider_id)
           where effective_to is null order by 1, 2, 3"""
"""Where everybody works, with each network they are in and the one they may join."""


def enroll(works: Rows, enrollment: Connection) -> None:
    """Enrollments in force for all of it, so that the payers confirm what the master observes."""
    who, where, networks = ([row[i] for row in works] for i in (0, 1, 2))
    enrollment.execute(ENROLLED, {"who": who, "locations": where, "networks": networks})


@dataclass(slots=True)
class Editor:
    """One system's users, a thread until they have made so many edits, or are told to stop."""

    system: str
    dsn: str
    ledger: Ledger
    rng: Random
    edits: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    views: int = 0
    failure: BaseException | None = None
    is_done: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Editor]:
        thread = threading.Thread(target=self._run, name=f"edit-{self.system}")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(60)

    def _run(self) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                people = [row[0] for row in connection.execute(WHO[self.system])]
                paid = [row[0] for row in connection.execute(PAID)] if self.system == "billing" else people
                began = time.monotonic()
                for number in range(1, self.edits + 1):
                    if self._stop.wait(max(0.0, began + number * PACE - time.monotonic())):
                        return
                    self.one(connection, self._any(), people, paid)
                self.is_done = True
        except BaseException as failure:
            self.failure = failure

    def _any(self) -> Edit:
        if self.system == "credentialing":
            return self.rng.choice(ENDED) if self.rng.random() < 0.2 else OWN[self.system]
        wrongly = self.rng.random() < WRONGLY[self.system]
        return self.rng.choice(NOT_ITS_OWN[self.system]) if wrongly else OWN[self.system]

    def one(self, connection: Connection, edit: Edit, people: list[str], paid: list[str]) -> str:
        """One edit of somebody; who it was."""
        who = self.rng.choice(paid if edit.name == "remit_addr" else people)
        key = f"{self.system}/{who}"
        token = self.ledger.draw(key if edit.token else "wrong")
        done = connection.execute(edit.statement, {"value": edit.value(token), "who": who}).rowcount
        if edit.token and done:
            self.ledger.settle([(key, token)], Outcome.ACKNOWLEDGED)
        self.counts[edit.name] += 1
        self.views += edit.views
        return who


# ---- the judge ----

HELD: Mapping[str, str] = {
    "credentialing": """select provider_id::text, upper(last_name), upper(first_name), npi from provider
                        where status = 'active'""",
    "directory": "select cred_provider_ref::text, upper(last_name), upper(first_name), npi_number from dir_provider",
    "enrollment": "select cred_ref::text, upper(prov_last), upper(prov_first), prov_npi from enr_provider",
    "billing": "select cred_ref::text, last_nm, first_nm, rendering_npi from bil_rendering",
}
"""system -> provider, and the fields all of them hold"""

LEFT: Mapping[str, str] = {
    "directory": """select distinct cred_provider_ref::text from dir_provider left join dir_listing using (dir_provider_id)
                    where (group_name like 'Wrong%' and listed_to is null) or credential_text like 'Wrong%'""",
    "enrollment": "select cred_ref::text from enr_provider where lic_no like 'Wrong%'",
    "billing": "select cred_ref::text from bil_rendering where last_nm like 'WRONG%'",
}
"""system -> who still shows a value that the system may not say"""


def stopped(findings: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """(system, entity) -> code of an open finding that keeps the view back or takes it out: a conflict, mostly. What
    was reverted or proposed excuses nothing: it must be restored."""
    found = {}
    for finding in findings:
        rule = CODES.get(finding["code"])
        for system in LEFT:
            concerned = rule is not None and (not rule.local or finding["subject"].startswith(f"{system}/"))
            if concerned and rule is not None and rule.effect_on(system) in (HOLD, WITHDRAW):
                found[system, str(finding["entity_id"])] = str(finding["code"])
    return found


def apart(ask: Callable[[str, str], Rows], findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Who differs where, and no finding keeps the view back."""
    told = stopped(findings)
    master = {row[0]: row[1:] for row in ask("credentialing", HELD["credentialing"])}
    found = []
    for system, query in LEFT.items():
        held = {row[0]: row[1:] for row in ask(system, HELD[system])}
        differing = [who for who, values in held.items() if who in master and values != master[who]]
        # Of who has left, the system has no view to keep to: what its users make of their row is theirs.
        showing = [row[0] for row in ask(system, query) if row[0] in master]
        found += [
            f"{system}/{who}: {held.get(who)}, the master says {master.get(who)}"
            for who in dict.fromkeys([*differing, *showing])
            if (system, who) not in told
        ]
    return found


def lost(ask: Callable[[str, str], Rows], ledger: Ledger) -> list[str]:
    """What an owner said last and its own system doesn't show."""
    said: dict[str, int] = {}
    for system, query in SAID.items():
        for who, text in ask(system, query):
            token = marks.of_name(text) if system == "credentialing" else int(text)
            said[f"{system}/{who}"] = max(said.get(f"{system}/{who}", 0), token)
    return [
        f"{key}: shows {said.get(key)}, said {token} last"
        for key, token in ledger.newest().items()
        if said.get(key) != token
    ]
