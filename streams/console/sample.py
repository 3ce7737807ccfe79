"""A few invented providers, for the console without a platform: `concord console --sample`, and its tests.

The platform's own decide hop plays the rows below in memory (operate.sandbox), so that what is shown is what would be
decided. Names are invented; numbers have valid check digits and belong to nobody.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from connectors.envelope import Change
from schemas.handoffs import handoffs as declared
from streams.core.entity import Entity
from streams.core.parity import DIFFERING, IN_FLIGHT
from streams.operate import handoffs
from streams.operate.findings import OpenFindings
from streams.operate.handoffs import Overview
from streams.operate.parity import Parity, System
from streams.operate.quarantine.register import OPEN, Item
from streams.operate.quarantine.unhandled import Unhandled
from streams.operate.sandbox import Sandbox
from streams.operate.standing import CAUGHT_UP, LAGGING, STOPPED, UNKNOWN, Capture, Hop, Input, Watch
from streams.operate.status import Status
from streams.systems import SYSTEMS

ANN, BEN, CLEO = (f"7c1f2a90-5b1e-4d52-9a70-00000000000{n}" for n in (1, 2, 3))
NPIS = {ANN: "1234567893", BEN: "1003000126", CLEO: "1992703292"}
CLINIC, GROUP = "2b6e4c10-0d3f-4f6b-8c55-000000000001", "5f0c7e31-91aa-4b1d-b7c2-000000000001"
PLACES = [
    Change("organization", {
        "org_id": GROUP, "npi": "1245319599", "legal_name": "Example Medical Group", "tin": "120000001",
    }),
    Change("practice_location", {
        "location_id": CLINIC, "org_id": GROUP, "name": "Alder Creek Clinic", "line1": "12 Alder St",
        "city": "Springfield", "state": "IL", "zip": "62701", "phone": "(217) 555-0142", "telehealth": "none",
        "accessibility": [],
    }),
]  # fmt: skip
PEOPLE = ((ANN, "Ann", "Example", "MD"), (BEN, "Ben", "Sample", "DO"), (CLEO, "Cleo", "Specimen", "MD"))
MONDAY = date(2026, 6, 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the sandbox made of them."""

    entities: dict[str, Entity]
    findings: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    """open proposals, as stewardship is sent them, each with its `kind` and `entity_id`"""
    as_of: str


@cache
def sample() -> Sample:
    """Played once a process."""
    with tempfile.TemporaryDirectory(prefix="concord-sample-") as folder:
        box = Sandbox(Path(folder), ("directory", "enrollment", "billing", "stewardship"))
        box.at(MONDAY.toordinal() - date(1970, 1, 1).toordinal())
        box.snapshot([*PLACES, *(change for who in PEOPLE for change in _person(*who))])
        _story(box)
        names = [f"provider/{who}" for who in NPIS] + [f"location/{CLINIC}", f"organization/{GROUP}"]
        found = {name: entity for name in names if (entity := box.entity(name)) is not None}
        open_ = [said for said in box.told.said.values() if said["state"] != "closed"]
        tasks = list(_tasks(box))
        as_of = box.handler.state.as_of
        box.close()
    return Sample(found, [{k: v for k, v in f.items() if k != "times"} for f in open_], tasks, as_of)


def _person(who: str, first: str, last: str, degree: str) -> Iterator[Change]:
    about = {"provider_id": who}
    yield Change("provider", {**about, "npi": NPIS[who], "first_name": first, "last_name": last, "degree": degree,
        "dob": "1980-01-01", "sex": "F", "status": "active", "languages": [{"code": "en"}]})  # fmt: skip
    yield Change("license", {**about, "license_id": f"l-{first}", "state": "IL", "license_type": degree,
        "number": "036-000001", "status": "active", "issued": "2020-01-01", "expires": "2027-12-31"})  # fmt: skip
    yield Change("provider_location", {**about, "id": f"p-{first}", "location_id": CLINIC, "is_primary": True,
        "effective_from": "2020-01-01"})  # fmt: skip
    yield Change("affiliation", {**about, "affiliation_id": f"a-{first}", "org_id": GROUP, "role": "member",
        "bills_under": True, "effective_from": "2020-01-01"})  # fmt: skip
    yield Change("network_participation", {**about, "id": f"n-{first}", "payer": "Fernhollow Health Plan",
        "product": "PPO", "network": "Choice", "par_status": "par", "effective": "2021-01-01"})  # fmt: skip


def _story(box: Sandbox) -> None:
    """The directory says another degree and another name, billing ends an affiliation, a licence lapses."""
    box.edit("directory", "dir_provider", {"cred_provider_ref": ANN, "credential_text": "DO"})
    box.edit(
        "directory", "dir_provider", {"cred_provider_ref": BEN, "last_nm": "Simple", "last_name": "Simple"}
    )
    box.edit("billing", "bil_affiliation", {"ba_id": 1, "end_dt": "2026-12-31"})
    box.commit([Change("license", {"license_id": "l-Cleo", "provider_id": CLEO, "state": "IL", "license_type": "MD",
        "number": "036-000001", "status": "active", "issued": "2020-01-01", "expires": "2026-05-01"})])  # fmt: skip
    box.commit([Change("provider", {"provider_id": BEN, "npi": "1003000127", "first_name": "Ben",
        "last_name": "Sample", "degree": "DO", "dob": "1980-01-01", "sex": "F", "status": "active",
        "languages": [{"code": "en"}]})])  # fmt: skip


def _tasks(box: Sandbox) -> Iterator[dict[str, Any]]:
    for name, content in box.told.views.items():
        system, kind, entity_id = name.split("/", 2)
        if system == "stewardship":
            yield from ({**task, "kind": kind, "entity_id": entity_id} for task in content["proposals"])


def many(findings: list[dict[str, Any]], count: int, today: date) -> Iterator[dict[str, Any]]:
    """So many findings like these, of providers nobody knows, due around today."""
    for number in range(count):
        like = findings[number % len(findings)]
        due = (today + timedelta(days=number % 40 - 5)).isoformat() if like["actor"] and number % 4 else None
        who = f"00000000-0000-4000-8000-{number:012d}"
        yield {**like, "entity_id": who, "kind": "provider", "subject": f"{like['subject']}", "due": due}


# ---- what status, parity and the quarantine would say ----


def status() -> Status:
    """The directory is late, billing's adapter stands still, capture of enrollment can't be asked."""
    late = _hop("directory", LAGGING, "", 1_840, 412.0)
    held = _hop("billing", STOPPED, "no adapter runs: concord up", 73, 1_260.0)
    hops = [late, _hop("enrollment"), held, _hop("stewardship"), _hop("credentialing")]
    captures = [_capture(s, UNKNOWN if s == "enrollment" else CAUGHT_UP) for s in SYSTEMS]
    return Status(
        time.time(), False, captures, _hop("decide"), hops, OpenFindings(None), 4, True, _hop("reference"),
        unhandled=Unhandled(3, by_code={"change.type_wrong": 2, "change.not_json": 1}),
        guard=Watch(CAUGHT_UP, "", {}, 0),
    )  # fmt: skip


def _hop(name: str, state: str = CAUGHT_UP, why: str = "", lag: int = 0, oldest: float = 0.0) -> Hop:
    part = Input(f"sink.{name}.provider", 0, state, 10_000 - lag, 10_000, lag, oldest, 12.5, why)
    return Hop(name, state, why, [f"adapter/{name}/1"], lag, oldest, 12.5, [part], {})


def _capture(system: str, state: str) -> Capture:
    why = "Connect does not answer" if state == UNKNOWN else ""
    lag = None if state == UNKNOWN else 0.8
    return Capture(system, f"concord-{system}", state, why, "RUNNING", 1, True, True, 4_096, 512, lag)


def parity() -> Parity:
    """Most are equal."""
    rows = (("enrollment", 998, 0, 2), ("directory", 951, 41, 8), ("billing", 920, 73, 7))
    return Parity([System(s, equal, way, apart, 3, 0, 4, 1) for s, equal, way, apart in rows], 1, [])


def handed() -> Overview:
    """Three views wait for the directory, one of them for longer than it may; one proposal waits for a person."""
    now = time.time()
    waiting = {
        "directory": {IN_FLIGHT: [(int((now - age) * 1e6), f"provider/{age}") for age in (2, 40, 1_300)]}
    }
    counts = {s: {"equal": 998} for s in SYSTEMS} | {"directory": {"equal": 951, IN_FLIGHT: 3, DIFFERING: 8}}
    proposal = {
        "system": "directory", "state": "awaiting_approval_1", "day": "2026-11-20", "count": 1, "oldest": now - 90_000,
    }  # fmt: skip
    known = handoffs.Known(now, (), [{"systems": counts, "longest": waiting}], "", [proposal], "")
    return handoffs.summed([known.standing(each) for each in declared()])


ITEMS = (
    (
        "cdc.credentialing/2/1047",
        "change.type_wrong",
        "license.expires",
        "credentialing",
        ANN,
        "change.type_wrong",
    ),
    ("cdc.billing/0/7", "change.type_wrong", "bil_affiliation.end_dt", "billing", "", ""),
    ("cdc.directory/1/88", "change.not_json", "", "directory", "", "change.not_json"),
)


def items() -> list[Item]:
    """Three records that could not be used."""
    return [
        Item(origin, OPEN, code, detail, system, "provider" if who else "", who, "license" if who else "", "",
            "1/20/0", f"2026-11-22T09:1{n}:00.000+00:00", 1, origin, f"quarantine/0/{n}", still, "", "", "")
        for n, (origin, code, detail, system, who, still) in enumerate(ITEMS)
    ]  # fmt: skip
