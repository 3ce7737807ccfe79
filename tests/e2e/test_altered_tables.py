"""Somebody alters a table under an adapter: it stands still with one finding, the others go on, and it goes on by itself.

Real DDL on the directory's own tables, while the master goes on changing. Shares the platform of this ring and leaves it
as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streams.operate.findings import read_open
from tests.adapters import records
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.timeout(900)
CHANGED = 12
"""Providers changed while the directory stands still."""
NAMES = {
    "directory": ("dir_provider", "last_name"),
    "billing": ("bil_rendering", "last_nm"),
    "enrollment": ("enr_provider", "prov_last"),
}

THERE = {
    "directory": "select cred_provider_ref::text from dir_listing join dir_provider using (dir_provider_id)"
    " where listed_to is null and cred_provider_ref is not null",
    "billing": "select cred_ref::text from bil_rendering where cred_ref is not null",
    "enrollment": "select cred_ref::text from enr_provider where cred_ref is not null",
}


@dataclass(frozen=True)
class Alteration:
    """One kind of DDL, how it is undone, and what the finding says of it."""

    ddl: str
    back: str
    says: str


KINDS = {
    "column dropped": Alteration(
        "alter table dir_provider drop column gender",
        "alter table dir_provider add column gender char(1);"
        " grant select, insert (gender), update (gender) on dir_provider to concord_adapter_directory;"
        " grant select (gender) on dir_provider to concord_capture",
        "dir_provider.gender is gone",
    ),
    "column renamed": Alteration(
        "alter table dir_provider rename column last_name to family_name",
        "alter table dir_provider rename column family_name to last_name",
        "dir_provider.last_name is gone",
    ),
    "type narrowed": Alteration(
        "alter table dir_provider alter column last_name type varchar(40)",
        "alter table dir_provider alter column last_name type varchar(100)",
        "dir_provider.last_name is character varying(40), was character varying(100)",
    ),
    "another type": Alteration(
        "alter table dir_provider alter column display_name type jsonb using to_jsonb(display_name)",
        "alter table dir_provider alter column display_name type varchar(200) using display_name #>> '{}'",
        "dir_provider.display_name is jsonb, was character varying(200)",
    ),
    "table renamed": Alteration(
        "alter table dir_provider rename to dir_practitioner",
        "alter table dir_practitioner rename to dir_provider",
        "dir_provider.cred_provider_ref is gone",
    ),
    "a column more that must have a value": Alteration(
        "alter table dir_provider add column reviewed_by text not null default '';"
        " alter table dir_provider alter column reviewed_by drop default",
        "alter table dir_provider drop column reviewed_by",
        "dir_provider.reviewed_by is new and must have a value",
    ),
}


def eventually(platform: Platform, condition: Callable[[], Any], what: str) -> Any:
    try:
        return wait_until(condition, 120, what=what)
    except AssertionError as error:
        told = platform.concord("status").text + platform.concord("parity").text
        raise AssertionError(f"{error}\n{told}") from None


@pytest.fixture(scope="module")
def people(platform: Platform) -> list[str]:
    """The master's ids of providers whom every system has."""
    if not platform.rows("credentialing", "select from provider limit 1"):
        platform.ask("load", "generated", "--count", "20", "--seed", "7")
    eventually(platform, platform.quiet, "nothing to be pending")
    found = set.intersection(*({who for (who,) in platform.rows(system, THERE[system])} for system in THERE))
    assert found
    return sorted(found)[:CHANGED]


@contextmanager
def altered(platform: Platform, kind: Alteration) -> Iterator[None]:
    """Within, the directory's tables are so; then their owner mends them, with the rights that went with a column."""
    with closing(platform.databases["directory"].connect()) as connection:
        connection.execute(kind.ddl)
        try:
            yield
        finally:
            connection.execute(kind.back)


def renamed(platform: Platform, people: list[str], name: str) -> None:
    """One transaction a provider, as an application does."""
    for number, who in enumerate(people):
        platform.write(f"update provider set last_name = '{name}{number}' where provider_id = '{who}'")


def arrived(platform: Platform, people: list[str], system: str, name: str) -> bool:
    """Whether a system has all of them under that name."""
    table, column = NAMES[system]
    query = f"select count(*) from {table} where upper({column}) like %s"
    return platform.rows(system, query, f"{name.upper()}%") == [(len(people),)]


def findings(platform: Platform) -> list[Mapping[str, Any]]:
    return [found for found in read_open(platform.settings) if found["code"].startswith("target.")]


def said(platform: Platform) -> tuple[int, int]:
    """How often an adapter has said that it stands still, and how often in its log that a person must act."""
    settings: Any = platform.settings
    receipts = records(settings, settings.topic("receipt"))
    log = Path(platform.environ["CONCORD_STATE"]) / "log" / "concord-adapter-directory.log"
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return (
        sum(json.loads(value or b"{}")["outcome"] == "paused" for _, value in receipts),
        sum(line["level"] == "error" for line in lines),
    )


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_stands_still_with_one_finding_and_goes_on_by_itself(
    platform: Platform, people: list[str], name: str
) -> None:
    kind, letter = KINDS[name], chr(ord("a") + list(KINDS).index(name))
    long, short = f"Alt{letter}{'x' * 40}", f"Alt{letter}short"
    eventually(platform, lambda: not findings(platform), "nothing to be open")
    before = said(platform)
    with altered(platform, kind):
        renamed(platform, people, long)
        [found] = eventually(platform, partial(findings, platform), "a finding")
        assert (found["kind"], found["entity_id"], found["code"]) == ("system", "directory", "target.paused")
        assert kind.says in found["message"]
        for system in ("billing", "enrollment"):
            there = partial(arrived, platform, people, system, long)
            eventually(platform, there, f"{system}, undisturbed")
        [hop] = [hop for hop in platform.ask("status")["adapters"] if hop["name"] == "directory"]
        assert kind.says in hop["why"]
        renamed(platform, people, short)
        eventually(platform, lambda: arrived(platform, people, "billing", short), "billing, undisturbed")
        assert [each["code"] for each in findings(platform)] == ["target.paused"], "not one a record"
    eventually(platform, lambda: arrived(platform, people, "directory", short), "what came meanwhile")
    eventually(platform, lambda: not findings(platform), "the finding to close")
    eventually(platform, platform.quiet, "nothing to be pending")
    assert tuple(now - then for now, then in zip(said(platform), before, strict=True)) == (1, 1), "said once"
