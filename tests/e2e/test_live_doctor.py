"""`concord doctor` against a real platform: sound as started, each thing broken is named, and its fix as printed heals it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stack.environment import Environment
from stack.layout import PROJECT
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

BROKEN_SQL = (
    ("grants", "revoke select (npi_number) on dir_provider from concord_capture"),
    ("adapter_grants", "revoke update (listed_to) on dir_listing from concord_adapter_directory"),
    ("adapter_grants", "revoke usage on sequence dir_listing_listing_id_seq from concord_adapter_directory"),
    ("publication", "alter publication concord drop table dir_listing"),
    ("replica_identity", "alter table dir_listing replica identity default"),
    ("role", "alter role concord_capture noreplication"),
)
BROKEN_TOPICS = (("retention", "retention.ms", "1000"), ("min_insync", "min.insync.replicas", "3"))


def diagnosis(platform: Platform, *arguments: str, **environ: str) -> tuple[int, list[dict[str, Any]]]:
    command = [sys.executable, "-m", "streams.cli", "doctor", "--json", *arguments]
    done = subprocess.run(
        command, env={**platform.environ, **environ}, cwd=PROJECT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["result"]["results"]


def bad(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in results if r["state"] in ("finding", "error")]


def statements(fix: str) -> list[str]:
    code = "\n".join(line.partition("--")[0] for line in fix.splitlines())
    return [statement for statement in code.split(";") if statement.strip()]


def paste(platform: Platform, sql: Iterable[str]) -> None:
    """As the database's administrator would."""
    with platform.databases["directory"].connect() as connection:
        for statement in sql:
            connection.execute(statement)


def test_a_platform_as_started_is_in_order(platform: Platform) -> None:
    code, found = diagnosis(platform)
    assert bad(found) == []
    assert code == 0
    assert {r["state"] for r in found} <= {"ok", "skipped"}
    assert {r["check"] for r in found if r["state"] == "ok"} >= {
        "slot",
        "heartbeat",
        "min_insync",
        "compatibility",
    }


@pytest.mark.parametrize(("check", "breaking"), BROKEN_SQL)
def test_what_is_broken_in_a_database_is_named_and_its_fix_heals_it(
    platform: Platform, check: str, breaking: str
) -> None:
    paste(platform, [breaking])
    code, found = diagnosis(platform, "--system", "directory", "--only", check)
    [wrong] = bad(found)
    assert (code, wrong["check"], wrong["state"]) == (1, check, "finding")
    paste(platform, statements(wrong["fix"]))
    assert diagnosis(platform, "--system", "directory", "--only", check)[0] == 0


def test_a_plugin_that_may_not_be_used_is_named_and_its_fix_heals_it(platform: Platform) -> None:
    """PostgreSQL takes a reloaded setting a moment later."""
    check = ("--system", "directory", "--only", "output_plugin_libraries")
    if diagnosis(platform, *check)[1][0]["state"] == "skipped":
        pytest.skip("this version of PostgreSQL has no output_plugin_libraries")
    try:
        paste(
            platform,
            ["alter system set output_plugin_libraries = 'test_decoding'", "select pg_reload_conf()"],
        )
        wait_until(lambda: diagnosis(platform, *check)[0] == 1, what="the setting to be taken")
        paste(platform, statements(diagnosis(platform, *check)[1][0]["fix"]))
        wait_until(lambda: diagnosis(platform, *check)[0] == 0, what="the fix to be taken")
    finally:
        paste(platform, ["alter system reset output_plugin_libraries", "select pg_reload_conf()"])


@pytest.mark.parametrize(("check", "setting", "value"), BROKEN_TOPICS)
def test_what_is_broken_of_a_topic_is_named_and_its_fix_heals_it(
    platform: Platform, kafka_admin: AdminClient, check: str, setting: str, value: str
) -> None:
    topic = platform.settings.topic("receipt")
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for asked in kafka_admin.incremental_alter_configs([resource]).values():
        asked.result(30)
    code, found = diagnosis(platform, "--system", "directory", "--only", check)
    [wrong] = bad(found)
    assert (code, wrong["subject"], wrong["state"]) == (1, f"kafka/{topic}", "finding")
    command, *arguments = shlex.split(wrong["fix"], comments=True)
    assert command == "concord"
    assert platform.concord(*arguments).code == 0
    assert diagnosis(platform, "--system", "directory", "--only", check)[0] == 0


def test_a_registry_at_a_wrong_address_is_unknown_and_not_wrong(platform: Platform) -> None:
    code, found = diagnosis(
        platform, "--only", "schemas", CONCORD_REGISTRY="http://127.0.0.1:1/apis/ccompat/v7"
    )
    [unknown] = bad(found)
    assert (code, unknown["check"], unknown["state"]) == (3, "registry", "error")


def test_a_database_nobody_reaches_is_unknown_and_no_password_is_shown(platform: Platform) -> None:
    nowhere = "postgresql://concord_capture:very-secret@127.0.0.1:1/directory"
    more = {f"CONCORD_{kind}_DIRECTORY": nowhere for kind in ("CAPTURE", "DATABASE", "ADAPTER")}
    code, found = diagnosis(platform, "--system", "directory", "--only", "grants", **more)
    [unknown] = bad(found)
    assert (code, unknown["check"], unknown["state"]) == (3, "database", "error")
    assert "very-secret" not in json.dumps(found)


def test_a_role_with_a_wrong_password_is_named_while_the_rest_is_looked_at(
    platform: Platform, stack: Environment
) -> None:
    name = platform.databases["directory"].name
    wrong = stack.capture["directory"].replace("concord_capture:", "concord_capture:x")
    address = f"{wrong.rpartition('/')[0]}/{name}"
    code, found = diagnosis(
        platform,
        "--system",
        "directory",
        "--only",
        "database",
        "--only",
        "grants",
        CONCORD_CAPTURE_DIRECTORY=address,
    )
    assert (code, [r["check"] for r in bad(found)]) == (1, ["database"])
    assert {r["check"] for r in found if r["state"] == "ok"} == {"grants"}


def test_a_paused_connector_is_named_and_the_fix_resumes_it(platform: Platform) -> None:
    from connectors.connect import Connect
    from connectors.source import Names

    name = Names("directory", platform.settings.topic_prefix).connector
    with Connect(platform.settings.connect) as connect:
        connect.pause(name)
        wait_until(lambda: connect.status(name)["connector"]["state"] == "PAUSED", 30, what="the pause")  # type: ignore[index]
    _, found = diagnosis(platform, "--system", "directory", "--only", "connector")
    [wrong] = bad(found)
    subprocess.run(["bash", "-c", wrong["fix"]], check=True, capture_output=True, timeout=30)
    deadline = time.monotonic() + 60
    while diagnosis(platform, "--system", "directory", "--only", "connector", "--only", "slot")[0] != 0:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "breaking",
    [
        "revoke execute on function audit_append(text, text, text, text, jsonb) from concord_audit",
        "revoke select on audit from concord_audit",
        "alter role concord_audit nologin",
    ],
)
def test_an_audit_whose_role_lacks_something_is_named_and_the_fix_gives_it_back(
    platform: Platform, breaking: str
) -> None:
    assert diagnosis(platform, "--only", "audit")[0] == 0
    with platform.databases["stewardship"].connect() as connection:
        connection.execute(breaking)
        code, found = diagnosis(platform, "--only", "audit")
        [wrong] = bad(found)
        assert (code, wrong["check"], wrong["state"]) == (1, "audit", "finding")
        for statement in statements(wrong["fix"]):
            connection.execute(statement)
    assert diagnosis(platform, "--only", "audit")[0] == 0


def test_an_audit_with_a_wrong_password_is_named(platform: Platform, stack: Environment) -> None:
    wrong = platform.environ["CONCORD_AUDIT"].replace("concord_audit:", "concord_audit:x")
    code, found = diagnosis(platform, "--only", "audit", CONCORD_AUDIT=wrong)
    assert (code, [(r["check"], r["state"]) for r in bad(found)]) == (1, [("audit", "finding")])
