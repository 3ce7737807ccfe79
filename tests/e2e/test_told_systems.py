"""Systems that nobody captures, through the real services: the directory behind an API, enrollment taking files.

What they hold they tell by receipts. A platform of its own, since who is captured is said when it is started.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from stack.environment import Environment
from streams.operate.findings import read_open
from streams.systems import ADAPTERS
from tests.fixtures.platform import Platform, running
from tests.fixtures.waiting import wait_until
from tests.reference_api import CLIENT, SECRET, ReferenceApi, reference_api

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def api() -> Iterator[ReferenceApi]:
    with reference_api() as found:
        yield found


@pytest.fixture(scope="module")
def platform(
    stack: Environment, kafka_admin: AdminClient, api: ReferenceApi, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    told = {
        "CONCORD_RUNNING_SOURCES": "credentialing,billing,stewardship",
        "CONCORD_ADAPTER_ENROLLMENT": "files",
        "CONCORD_ADAPTER_DIRECTORY": api.url,
        "CONCORD_ADAPTER_DIRECTORY_TOKEN_URL": api.token_url,
        "CONCORD_ADAPTER_DIRECTORY_CLIENT_ID": CLIENT,
        "CONCORD_ADAPTER_DIRECTORY_CLIENT_SECRET": SECRET,
        "CONCORD_ADAPTER_DIRECTORY_RATE": "1000",
    }
    with running(stack, kafka_admin, tmp_path_factory.mktemp("told"), **told) as found:
        found.ask("load", "generated", "--count", "20", "--seed", "7")
        yield found


def eventually(platform: Platform, condition: Callable[[], Any], what: str) -> Any:
    try:
        return wait_until(condition, 120, what=what)
    except AssertionError as error:
        told = platform.concord("status").text + platform.concord("parity").text
        raise AssertionError(f"{error}\n{told}") from None


def parity(platform: Platform, system: str) -> dict[str, Any]:
    [found] = platform.ask("parity", "--system", system)["systems"]
    return dict(found)


def confirmed(platform: Platform, system: str) -> bool:
    found = parity(platform, system)
    return found["equal"] > 0 and not any(found[s] for s in ("in_flight", "differing", "unexplained"))


def standing(platform: Platform, who: str, system: str) -> dict[str, Any]:
    [found] = platform.ask("explain", who)["entities"]
    return next(dict(each) for each in found["standings"] if each["system"] == system)


def arrival(platform: Platform, who: str, system: str) -> str:
    """What became of the newest revision that a system was sent."""
    [found] = platform.ask("trace", who)["entities"]
    states = [sink["state"] for r in found["revisions"] for sink in r["sinks"] if sink["sink"] == system]
    return str(states[0])


def somebody(api: ReferenceApi) -> str:
    """The master's id of a provider whom the directory shows."""
    shown = [path for path, held in api.documents.items() if held.get("listings")]
    return min(shown).removeprefix("provider/")


def rename(platform: Platform, who: str, name: str) -> None:
    platform.write(f"update provider set last_name = '{name}' where provider_id = '{who}'")


def test_a_system_behind_an_api_is_equal_once_its_receipts_are_heard(
    platform: Platform, api: ReferenceApi
) -> None:
    eventually(platform, lambda: confirmed(platform, "directory"), "the directory's receipts")
    found = standing(platform, somebody(api), "directory")
    assert (found["state"], found["confirmed"]) == ("equal", found["sent"])
    assert arrival(platform, somebody(api), "directory") == "applied"
    text = platform.concord("explain", somebody(api)).text
    assert f"holds revision {found['confirmed']}\n" in text


def test_what_an_api_refuses_is_one_finding_with_its_reason_until_it_takes_the_next_view(
    platform: Platform, api: ReferenceApi
) -> None:
    eventually(platform, lambda: confirmed(platform, "directory"), "the directory's receipts")
    who = somebody(api)
    api.say(422, body={"title": "names must not be like that", "detail": "Quibble"})
    rename(platform, who, "Quibble")

    def refused() -> list[Mapping[str, Any]]:
        return [found for found in read_open(platform.settings) if found["code"] == "target.refused"]

    [found] = eventually(platform, refused, "a finding")
    assert (found["entity_id"], found["subject"]) == (who, "directory/provider")
    assert "names must not be like that" in found["message"]
    assert "Quibble" not in found["message"]
    assert standing(platform, who, "directory")["state"] == "differing"
    assert arrival(platform, who, "directory") == "refused"
    rename(platform, who, "Quill")
    eventually(platform, lambda: not refused() and confirmed(platform, "directory"), "the finding to close")
    assert api.documents[f"provider/{who}"]["last_name"] == "Quill"


def test_a_system_that_takes_files_is_in_flight_until_its_receipt_file_comes_back(
    platform: Platform, api: ReferenceApi, tmp_path: Path
) -> None:
    eventually(platform, lambda: parity(platform, "enrollment")["in_flight"], "views for enrollment")
    eventually(platform, platform.quiet, "nothing to be pending")
    made = platform.ask("export", "enrollment", "--to", str(tmp_path / "exports"))
    lines = (Path(made["delivery"]) / "provider.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    before = parity(platform, "enrollment")
    assert before["equal"] == 0, "a file is not yet applied"
    assert 0 < before["in_flight"] <= len(rows)
    back = tmp_path / "receipts.jsonl"
    back.write_text("".join(_returned(row) for row in rows))
    platform.ask("export", "enrollment", "--returned", str(back))
    eventually(platform, lambda: confirmed(platform, "enrollment"), "enrollment's receipts")
    assert parity(platform, "enrollment")["equal"] == before["in_flight"]


def _returned(row: dict[str, Any]) -> str:
    said = {"kind": "provider", "id": row["provider_id"], "revision": row["revision"], "outcome": "applied"}
    return json.dumps(said) + "\n"


def test_status_counts_every_receipt_and_knows_who_has_no_adapter(platform: Platform) -> None:
    found = platform.ask("status")
    assert found["balanced"]
    [receipts] = [o for topic, o in found["decide"]["outcomes"].items() if topic.endswith("receipt")]
    assert receipts["outcomes"]["applied"] > 0
    assert "quarantined" not in receipts["outcomes"]
    assert {hop["name"] for hop in found["adapters"]} == set(ADAPTERS) - {"enrollment"}
    assert not {"directory", "enrollment"} & {capture["system"] for capture in found["capture"]}
    assert platform.concord("parity", "--deep").code == 0
    assert platform.concord("adapter", "enrollment", "--no-supervised").code == 2
