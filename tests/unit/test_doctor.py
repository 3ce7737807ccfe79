"""What `concord doctor` says of what it saw: in order, wrong with a fix to paste, or not to be looked at; never mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors import granted
from connectors.granted import Right
from connectors.mapping_check import CAPTURE_ROLE, looked_at
from connectors.sighting import Connector, Server, Slot
from connectors.source import HEARTBEAT, SIGNAL
from connectors.survey import Column, Facts, Survey
from schemas.catalog import load_mapping
from streams.cli import doctor as spoken
from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.operate.doctor import audit, broker, capture, contracts, machine
from streams.operate.doctor.broker import Broker
from streams.operate.doctor.examine import Diagnosis, examine
from streams.operate.doctor.judge_database import results
from streams.operate.doctor.look_database import Database, Role
from streams.operate.doctor.result import CHECKS, Result, error, finding, ok, ordered, shown, skipped
from streams.operate.guard.book import Finding
from streams.operate.guard.facts import Facts as Looked
from streams.operate.guard.once import Watched
from streams.operate.rights import Plan
from streams.settings import Settings
from streams.systems import SYSTEMS
from streams.topics import Change

ADAPTER = "concord_adapter_directory"
SOUND_ROLE = Role(login=True, replicates=True, connects=True, uses=True)


def table(name: str) -> Facts:
    mapping = load_mapping("directory")
    known = {t.qualified: t for t in mapping.tables.values()}.get(name)
    columns = known.captured if known else ("id", "type", "data", "at")
    found = {c: Column("text", enum=False, required=True, readable=True) for c in columns}
    rights = frozenset({"select", "insert", "update"})
    return Facts(found, identity=tuple(columns), published=tuple(columns), rights=rights)


def database(**changes: Any) -> Database:
    tables = {SIGNAL: table(SIGNAL), HEARTBEAT: table(HEARTBEAT)}
    sound = Database(
        name="directory", wal_level="logical", wal_pending=False, plugins="pgoutput, test_decoding", slots=10,
        slots_used=1, slot_there=True, senders=10, skew=0.01, doubt=0.001,
        roles={CAPTURE_ROLE: SOUND_ROLE, ADAPTER: SOUND_ROLE}, refused={}, survey=Survey(tables),
        adapter_role=ADAPTER, adapter_expected=True, beat=4.0,
    )  # fmt: skip
    return replace(sound, **changes)


def of(check: str, db: Database) -> list[Result]:
    return [r for r in results("directory", db) if r.check == check]


def wrong(check: str, **changes: Any) -> Result:
    [found] = of(check, database(**changes))
    assert found.state == "finding"
    assert found.why
    assert found.fix
    return found


def test_a_sound_server_is_in_order() -> None:
    checks = (
        "database",
        "clock",
        "wal_level",
        "output_plugin_libraries",
        "role",
        "heartbeat",
        "adapter_grants",
    )
    assert [(r.check, r.state) for r in results("directory", database()) if r.check in checks] == [
        (check, "ok") for check in checks
    ]


@pytest.mark.parametrize(
    ("check", "changes", "fix"),
    [
        ("wal_level", {"wal_level": "replica"}, "alter system set wal_level = 'logical';\n-- then restart the server: it takes effect with its next start"),
        ("wal_level", {"wal_level": "replica", "wal_pending": True}, "-- then restart the server: it takes effect with its next start"),
        ("wal_level", {"slots": 1, "slot_there": False}, "alter system set max_replication_slots = 11;\n-- then restart the server"),
        ("wal_level", {"senders": 0}, "alter system set max_wal_senders = 11;\n-- then restart the server"),
        ("output_plugin_libraries", {"plugins": "wal2json"}, "alter system set output_plugin_libraries = 'wal2json', 'pgoutput';\nselect pg_reload_conf();"),
        ("output_plugin_libraries", {"plugins": ""}, "alter system set output_plugin_libraries = 'pgoutput';\nselect pg_reload_conf();"),
        ("role", {"roles": {CAPTURE_ROLE: replace(SOUND_ROLE, replicates=False), ADAPTER: SOUND_ROLE}}, 'alter role "concord_capture" replication;'),
        ("role", {"roles": {CAPTURE_ROLE: replace(SOUND_ROLE, connects=False), ADAPTER: SOUND_ROLE}}, 'grant connect on database "directory" to "concord_capture";'),
        ("role", {"roles": {CAPTURE_ROLE: replace(SOUND_ROLE, uses=False), ADAPTER: SOUND_ROLE}}, 'grant usage on schema public to "concord_capture";'),
        ("heartbeat", {"beat": None}, 'insert into "public"."concord_heartbeat" (id) values (1) on conflict do nothing;'),
        ("adapter_grants", {"lacking": (Right("table", "dir_listing", "update", "listed_to"),)}, 'grant update ("listed_to") on "dir_listing" to "concord_adapter_directory";'),
        ("database", {"refused": {ADAPTER: "password authentication failed"}}, 'alter role "concord_adapter_directory" login;\n-- and if that was not it, set the password anew: \\password concord_adapter_directory'),
    ],
)  # fmt: skip
def test_each_fault_of_a_server_has_its_fix(check: str, changes: dict[str, Any], fix: str) -> None:
    assert wrong(check, **changes).fix == fix


def test_a_role_that_is_missing_is_told_once_and_nothing_is_judged_by_it() -> None:
    found = results(
        "directory", database(roles={ADAPTER: SOUND_ROLE}, refused={CAPTURE_ROLE: "no such role"})
    )
    assert [r.check for r in found if r.state == "finding"] == ["role"]
    assert {r.state for r in found if r.check in ("mapping", "publication", "grants")} == {"skipped"}


def test_wal_level_is_told_before_the_role_that_could_not_replicate_anyway() -> None:
    roles = {CAPTURE_ROLE: replace(SOUND_ROLE, replicates=False), ADAPTER: SOUND_ROLE}
    found = ordered(results("directory", database(wal_level="replica", roles=roles)))
    assert [r.check for r in found if r.state == "finding"][:2] == ["wal_level", "role"]


def test_a_version_without_the_setting_is_skipped() -> None:
    [found] = of("output_plugin_libraries", database(plugins=None))
    assert found.state == "skipped"


def test_a_setting_this_role_may_not_see_is_unknown_unless_capture_proves_it() -> None:
    hidden = database(plugins=None, plugins_fault="permission denied")
    assert of("output_plugin_libraries", hidden)[0].state == "ok"
    [found] = of("output_plugin_libraries", replace(hidden, slot_there=False))
    assert (found.state, found.fix) == ("error", 'grant pg_read_all_settings to "concord_capture";')


def test_a_heartbeat_that_stands_still_is_wrong_and_one_nobody_may_read_is_unknown() -> None:
    assert wrong("heartbeat", beat=600.0).seen == "written 600 s ago"
    [found] = of("heartbeat", database(beat=None, beat_fault="permission denied"))
    assert (found.state, found.fix) == (
        "error",
        'grant select (id, at), update (at) on "public"."concord_heartbeat" to "concord_capture";',
    )


def test_a_clock_is_only_wrong_beyond_what_the_question_took() -> None:
    assert wrong("clock", skew=-9.0).seen.startswith("9.000 s behind")
    assert of("clock", database(skew=3.0, doubt=2.0))[0].state == "ok"


def test_tables_that_are_missing_belong_to_the_mapping_with_a_remark_as_fix() -> None:
    found = [r for r in of("mapping", database()) if r.subject == "directory/public.dir_provider"]
    assert [r.state for r in found] == ["finding"]
    assert found[0].fix.startswith("-- correct the name")


def test_what_nobody_captures_is_skipped_but_its_adapter_is_not() -> None:
    found = {r.check: r.state for r in results("directory", database(captured=False))}
    assert (found["wal_level"], found["heartbeat"], found["adapter_grants"]) == ("skipped", "skipped", "ok")


def test_the_check_looks_at_every_table_of_the_mapping() -> None:
    assert set(looked_at(load_mapping("directory"))) > {SIGNAL, HEARTBEAT}


# ---- rights ----


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_rights_of_every_adapter_are_read_from_its_capture_file(system: str) -> None:
    found = granted.granted(system, f"concord_adapter_{system}")
    assert Right("table", "concord_offset", "update") in found
    assert Right("schema", "public", "usage") in found


def test_rights_on_columns_stay_rights_on_columns() -> None:
    script = """
    grant select (a, b), update (b) -- a remark; grant all on x to r;
        on t, "U" to r;
    grant usage on sequence s1, s2 to r;
    grant execute on function f(text, jsonb) to r;
    grant select on t to other;
    """
    found = list(granted.parsed(script, "r"))
    assert found[:3] == [
        Right("table", "t", "select", "a"), Right("table", "t", "select", "b"), Right("table", "t", "update", "b"),
    ]  # fmt: skip
    assert [(r.kind, r.name) for r in found[6:]] == [
        ("sequence", "s1"), ("sequence", "s2"), ("function", "f(text, jsonb)"),
    ]  # fmt: skip
    assert granted.statements("r", found[:3]) == [
        'grant select ("a", "b") on "t" to "r";',
        'grant update ("b") on "t" to "r";',
    ]


# ---- kafka ----

ALL = frozenset({"DESCRIBE", "READ", "WRITE"})
SOUND_BROKER = Broker("b:9092", 1, 50, (), {"cdc.directory": ALL}, Plan([], [], []), None, ahead=False)


def broken(**changes: Any) -> list[Result]:
    return [r for r in broker.judge(replace(SOUND_BROKER, **changes)) if r.state != "ok"]


def test_a_broker_in_order_has_nothing_to_tell() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        ("retention.ms", "retention"),
        ("cleanup.policy", "retention"),
        ("min.insync.replicas", "min_insync"),
        ("max.message.bytes", "topics"),
    ],
)
def test_a_setting_of_a_topic_is_told_by_its_check(setting: str, check: str) -> None:
    [found] = broken(changes=(Change("entity", "configure", {setting: ("1", "2")}),))
    assert (found.check, found.subject, found.seen) == (check, "kafka/entity", f"{setting} is 1, not 2")
    assert found.fix == "concord topics apply"


def test_a_topic_that_is_missing_is_told_once() -> None:
    change = Change("entity", "create", {"retention.ms": (None, "1"), "partitions": (None, "4")})
    assert [(r.check, r.seen) for r in broken(changes=(change,))] == [("topics", "no such topic")]


def test_an_older_partition_count_everywhere_is_the_settings_fault_and_one_topic_is_its_own() -> None:
    counts = {"partitions": ("8", "4")}
    every = tuple(Change(f"t{n}", "refuse", counts) for n in range(50))
    assert {r.fix.partition(" ")[2].split()[0] for r in broken(changes=every)} == {"CONCORD_PARTITIONS=8"}
    [alone] = broken(changes=every[:1])
    assert "CONCORD_TOPIC_PREFIX" in alone.fix


def test_what_this_installation_may_not_do_is_named() -> None:
    [found] = broken(allowed={"entity": frozenset({"DESCRIBE", "READ"})})
    assert found.seen == "this installation may not write"
    assert "--operation Write --topic entity" in found.fix


def test_a_broker_without_an_authorizer_is_skipped_and_lists_nobody_may_read_are_unknown() -> None:
    [none] = broken(rights=None, rights_fault=EnvironmentFault("acls.no_authorizer", "m", "n"))
    [unread] = broken(rights=None, rights_fault=Unavailable("acls.unavailable", "m", "n"))
    assert (none.state, unread.state) == ("skipped", "error")


def test_a_broker_that_is_ahead_is_told() -> None:
    [found] = broken(ahead=True)
    assert found.check == "clock"


# ---- registry, capture, machine ----


def test_a_registry_that_would_take_a_breaking_schema_is_wrong() -> None:
    seen = contracts.Registry("http://r", 3, "", {"a-value": "FULL_TRANSITIVE", "b-value": "NONE"})
    [found] = [r for r in contracts.judge(seen) if r.state != "ok"]
    assert (found.subject, found.fix) == ("registry/b-value", "concord schema publish")


def test_a_paused_connector_and_a_grown_slot_have_a_command_each() -> None:
    slot = Slot(True, 1, 5 * 1024**3, None, "extended", "", None, None)
    facts = Looked("directory", "s", Server("1/1", 9, 0.0, slot, None), connector=Connector("PAUSED"))
    findings = [
        Finding("directory", code, "source/directory", "medium", code, "words", 1, 0, 0)
        for code in ("connector.stopped", "slot.grown", "mapping.differs")
    ]
    found = capture.judge("directory", "http://c/", "t1.directory", Watched(facts, findings, []))
    assert [(r.check, r.fix.split("   ")[0]) for r in found] == [
        ("connector", "curl -fsS -X PUT 'http://c/connectors/t1.directory/resume'"),
        ("slot", "concord sources status directory"),
    ]


def test_every_cure_of_the_guard_can_be_filled_in() -> None:
    for text in capture._FIX.values():
        assert "{" not in text.format(system="s", connect="c", connector="n")


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(100, 200, "ok"), (4, 200, "finding"), (25, 2_000, "ok"), (0.5, 4, "finding"), (1.5, 10, "ok")],
)
def test_room_is_judged_by_what_anybody_needs(free: float, total: float, state: str) -> None:
    [found] = machine.disk([machine.Room("/data", int(free * machine.GIB), int(total * machine.GIB))])
    assert found.state == state


# ---- the whole ----


def test_what_could_not_be_looked_at_decides_the_exit_code() -> None:
    bad, unknown = finding("slot", "x", "s", "w", "f"), error("kafka", "kafka", "w", "f")
    assert Diagnosis([ok("slot", "x", "s"), skipped("disk", "machine", "w")]).code == 0
    assert Diagnosis([bad]).code == 1
    assert Diagnosis([bad, unknown]).code == 3


def test_nothing_known_is_all_errors_and_no_finding() -> None:
    found = examine(Settings(), only=["kafka", "registry", "connect", "database"])
    assert {r.state for r in found.results} == {"error"}
    assert all(r.why and r.fix for r in found.results)
    assert found.code == 3


def test_a_chosen_check_that_nobody_could_look_at_is_not_passed_over() -> None:
    found = examine(Settings(), systems=["directory"], only=["grants", "retention"])
    assert found.code == 3


@pytest.mark.parametrize(("systems", "only"), [(["direktory"], []), ([], ["slto"])])
def test_an_unknown_name_is_refused_with_the_nearest(systems: list[str], only: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        examine(Settings(), systems, only)
    assert caught.value.next_step.startswith("did you mean")


def test_the_text_shows_each_fix_and_ends_with_a_summary() -> None:
    found = Diagnosis(
        [ok("disk", "machine", "room"), finding("grants", "directory/t", "s", "w", "one;\ntwo;")]
    )
    lines = spoken.text(found).splitlines()
    assert [line.split()[-1] for line in lines if "one;" in line or "two;" in line] == ["one;", "two;"]
    assert lines[-1] == "1 wrong; 1 in order, 0 skipped"
    assert {r.check for r in found.results} <= set(CHECKS)


def test_an_address_is_shown_without_its_password() -> None:
    assert shown("https://me:secret@host:1/x failed") == "https://***@host:1/x failed"


# ---- the audit ----


def test_the_audits_role_has_its_rights() -> None:
    [found] = audit.judge(audit.Audit("stewardship", "concord_audit"))
    assert (found.state, found.seen) == ("ok", "concord_audit reads it in stewardship and adds to it")


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"refused": "no"}, 'alter role "concord_audit" login;\ngrant connect on database "stewardship" to "concord_audit";\n-- and if that was not it, set the password anew: \\password concord_audit'),
        ({"lacking": (Right("table", "audit", "select"),)}, 'grant select on "audit" to "concord_audit";'),
        ({"absent": (Right("table", "audit", "select"),)}, "concord systems apply   # or connectors/stewardship/schema.sql, by the table's owner"),
    ],
)  # fmt: skip
def test_each_fault_of_the_audit_has_its_fix(changes: dict[str, Any], fix: str) -> None:
    [found] = audit.judge(replace(audit.Audit("stewardship", "concord_audit"), **changes))
    assert (found.state, found.fix) == ("finding", fix)


@pytest.mark.parametrize("dsn", ["", "postgresql://concord_audit:very-secret@127.0.0.1:1/stewardship"])
def test_an_audit_that_nobody_reaches_is_unknown_and_no_password_is_shown(dsn: str) -> None:
    [found] = examine(Settings(audit=dsn), only=["audit"]).results
    assert (found.check, found.state) == ("audit", "error")
    assert "very-secret" not in found.why + found.fix
