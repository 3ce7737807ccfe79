"""Is a system's database ready to be captured and written? One small pure function a check, over what was seen.

    Database --results--> wal_level, plugins, role, mapping, publication, identity, grants, heartbeat, clock

Fixes are SQL that the database's administrator pastes as it stands: identifiers quoted, passwords never in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from connectors import granted
from connectors.mapping_check import CAPTURE_ROLE, RIGHTS, Problem, judge, quoted
from connectors.source import HEARTBEAT
from schemas.catalog import load_catalog, load_mapping
from streams.operate.doctor.look_database import Database
from streams.operate.doctor.result import Result, error, finding, judged, ok, skipped

SKEW = 2.0
"""Seconds: findings of the clock's hour and lags of seconds are still right then."""
BEAT = 60.0
"""Seconds: a heartbeat is due every 5 to 10 (connectors/<system>/source.json)."""
PLUGIN = "pgoutput"

_BY_CODE = {
    "mapping.publication": "publication",
    "mapping.unpublished": "publication",
    "mapping.partly_published": "publication",
    "mapping.replica_identity": "replica_identity",
    "mapping.nullable": "replica_identity",
    "mapping.grant": "grants",
    "mapping.missing_table": "mapping",
    "mapping.missing_column": "mapping",
    "mapping.type": "mapping",
}
"""Problems of the mapping check -> the check that tells them; a role that is missing is told by `role`."""
_WHY = {
    "mapping": "rows can't be decoded as the mapping says",
    "publication": "what is not published is never captured",
    "replica_identity": "deletes and changes would arrive without their entity",
    "grants": "snapshots, backfills and verification fail, or leave the column out",
}


def results(system: str, db: Database) -> list[Result]:
    """Every check of a database, in the order of cause."""
    if not db.captured:
        none = "nobody captures it here (CONCORD_RUNNING_SOURCES)"
        capture = [skipped(check, system, none) for check in CAPTURE_CHECKS]
    else:
        capture = [
            *wal_level(system, db), *plugins(system, db), *role(system, db), *mapped(system, db),
            *heartbeat(system, db),
        ]  # fmt: skip
    return [*reached(system, db), *clock(system, db.skew, db.doubt), *capture, *adapter(system, db)]


CAPTURE_CHECKS = (
    "wal_level", "output_plugin_libraries", "role", "mapping", "publication", "replica_identity", "grants",
    "heartbeat",
)  # fmt: skip


def reached(system: str, db: Database) -> list[Result]:
    """The roles whose address is known can log in."""
    return judged("database", system, _logins(system, db), f"{db.name} answers, and the roles log in")


def _logins(system: str, db: Database) -> Iterator[Result]:
    for name, reason in db.refused.items():
        if not name:
            continue  # an administrator's DSN that is wrong hinders nothing but looking
        fix = f"alter role {quoted(name)} login;\n-- and if that was not it, set the password anew: \\password {name}"
        if name not in db.roles:
            continue  # told by `role` and `adapter_grants`
        if not db.roles[name].connects:
            fix = f"grant connect on database {quoted(db.name)} to {quoted(name)};"
        why = "capture can't start" if name == CAPTURE_ROLE else "nothing is delivered"
        yield finding("database", system, f"role {name} can't log in: {reason}", why, fix)


def clock(system: str, skew: float, doubt: float) -> list[Result]:
    """Its clock and this machine's agree, as far as the question's own duration lets us say."""
    seen = f"{abs(skew):.3f} s {'ahead of' if skew >= 0 else 'behind'} this machine (± {doubt:.3f} s)"
    return judged("clock", system, _skewed(system, skew, doubt, seen), seen)


def _skewed(subject: str, skew: float, doubt: float, seen: str) -> Iterator[Result]:
    if abs(skew) - doubt > SKEW:
        why = "lags, due dates and `as of` days are told wrongly"
        yield finding("clock", subject, seen, why, SYNCHRONISE)


SYNCHRONISE = (
    "# on the machine whose clock is wrong:\nsudo timedatectl set-ntp true && timedatectl timesync-status"
)


def wal_level(system: str, db: Database) -> list[Result]:
    """Before roles: without it no role could replicate."""
    seen = f"{db.wal_level}, {db.slots_used} of {db.slots} slots used, {db.senders} senders"
    return judged("wal_level", system, _wal(system, db, seen), seen)


def _wal(system: str, db: Database, seen: str) -> Iterator[Result]:
    if db.wal_level != "logical":
        why = "PostgreSQL refuses logical replication slots"
        restart = "-- then restart the server: it takes effect with its next start"
        set_it = "" if db.wal_pending else "alter system set wal_level = 'logical';\n"
        yield finding("wal_level", system, seen, why, set_it + restart)
    full = db.slots_used >= db.slots and not db.slot_there
    for name, none_left in (("max_replication_slots", full), ("max_wal_senders", db.senders == 0)):
        if none_left:
            fix = f"alter system set {name} = {db.slots_used + 10};\n-- then restart the server"
            yield finding("wal_level", system, seen, f"{name} leaves no room for capture", fix)


def plugins(system: str, db: Database) -> list[Result]:
    """Versions of PostgreSQL with the setting load no output plugin that it does not name."""
    check = "output_plugin_libraries"
    if db.plugins_fault and db.slot_there:
        return [
            ok(check, system, f"not shown to this role, and capture's slot is there: {PLUGIN} may be used")
        ]
    if db.plugins_fault:
        fix = f"grant pg_read_all_settings to {quoted(CAPTURE_ROLE)};"
        return [error(check, system, db.plugins_fault, fix)]
    if db.plugins is None:
        return [skipped(check, system, "this version of PostgreSQL has no such setting")]
    named = [name.strip().strip('"') for name in db.plugins.split(",") if name.strip()]
    if PLUGIN in named:
        return [ok(check, system, ", ".join(named))]
    listed = ", ".join(sql.Literal(name).as_string(None) for name in [*named, PLUGIN])
    fix = f"alter system set {check} = {listed};\nselect pg_reload_conf();"
    why = f"PostgreSQL refuses to use {PLUGIN}, which Debezium reads by"
    return [finding(check, system, ", ".join(named) or "names none", why, fix)]


def role(system: str, db: Database) -> list[Result]:
    """The capture role may do what a replication slot's reader must."""
    found = list(_role(system, db))
    return judged("role", system, found, f"{CAPTURE_ROLE} may log in and replicate")


def _role(system: str, db: Database) -> Iterator[Result]:
    known, name = db.roles.get(CAPTURE_ROLE), quoted(CAPTURE_ROLE)
    if known is None:
        fix = f"create role {name} login replication;\n-- then give it a password: \\password {CAPTURE_ROLE}"
        yield finding("role", system, f"role {CAPTURE_ROLE} does not exist", "nobody may capture", fix)
        return
    lacks = [word for word, has in (("login", known.login), ("replication", known.replicates)) if not has]
    if lacks:
        seen = f"{CAPTURE_ROLE} lacks {' and '.join(lacks)}"
        yield finding("role", system, seen, "capture can't start", f"alter role {name} {' '.join(lacks)};")
    if not known.connects:
        fix = f"grant connect on database {quoted(db.name)} to {name};"
        yield finding(
            "role", system, f"{CAPTURE_ROLE} may not connect to {db.name}", "capture can't start", fix
        )
    if not known.uses:
        fix = f"grant usage on schema public to {name};"
        yield finding("role", system, f"{CAPTURE_ROLE} may not use schema public", "it sees no table", fix)


def mapped(system: str, db: Database) -> list[Result]:
    """What `concord mapping check` finds, told by the check it belongs to."""
    if CAPTURE_ROLE not in db.roles:
        return [skipped(check, system, "there is no capture role yet") for check in _WHY]
    found = judge(load_mapping(system), load_catalog(), db.survey)
    seen = f"{len(db.survey.tables)} tables"
    return [r for check in _WHY for r in judged(check, system, _told(system, check, found), seen)]


def _told(system: str, check: str, problems: Iterable[Problem]) -> Iterator[Result]:
    for problem in problems:
        if _BY_CODE.get(problem.code) == check:
            where = problem.where.removeprefix(system).lstrip(".")
            subject = f"{system}/{where}" if where else system
            yield finding(check, subject, problem.message, _WHY[check], _pasted(problem))


def _pasted(problem: Problem) -> str:
    """A cure in words is a remark to whoever pastes it."""
    word = problem.fix.lstrip("- ").split(maxsplit=1)[0].lower()
    is_sql = word in {"alter", "create", "grant", "begin;", "rows"}
    return problem.fix if is_sql else f"-- {problem.fix}"


def heartbeat(system: str, db: Database) -> list[Result]:
    """Debezium writes it every few seconds: what does not move is not captured, or nobody captures."""
    table, role_name = quoted(HEARTBEAT), quoted(CAPTURE_ROLE)
    if db.beat_fault:
        fix = f"grant select (id, at), {', '.join(RIGHTS[HEARTBEAT])} (at) on {table} to {role_name};"
        return [error("heartbeat", system, db.beat_fault, fix)]
    if db.beat is None:
        fix = f"insert into {table} (id) values (1) on conflict do nothing;"  # noqa: S608 (shown, not run)
        why = "a quiet source would keep its WAL for ever"
        return [finding("heartbeat", system, "concord_heartbeat has no row", why, fix)]
    seen = f"written {max(0.0, db.beat):,.0f} s ago"
    if db.beat <= BEAT:
        return [ok("heartbeat", system, seen)]
    why = "capture is stopped, or may not write it; a quiet source keeps its WAL meanwhile"
    fix = f"concord sources status {system}   # says why; then:\nconcord sources apply {system}"
    return [finding("heartbeat", system, seen, why, fix)]


def adapter(system: str, db: Database) -> list[Result]:
    """The adapter's role may do what capture.sql says."""
    if not db.adapter_expected:
        none = "no adapter writes into this database (behind an API, takes files, or no address)"
        return [skipped("adapter_grants", system, none)]
    return judged(
        "adapter_grants", system, _adapter(system, db), f"{db.adapter_role} has what capture.sql grants"
    )


def _adapter(system: str, db: Database) -> Iterator[Result]:
    role_name = quoted(db.adapter_role)
    if db.adapter_role not in db.roles:
        fix = f"create role {role_name} login;\n-- then give it a password: \\password {db.adapter_role}"
        yield finding("adapter_grants", system, f"role {db.adapter_role} does not exist", _PAUSED, fix)
        return
    for kind, name in dict.fromkeys((right.kind, right.name) for right in sorted(db.lacking)):
        rights = [right for right in db.lacking if (right.kind, right.name) == (kind, name)]
        acts = ", ".join(dict.fromkeys(right.act for right in sorted(rights)))
        columns = ", ".join(dict.fromkeys(right.column for right in rights if right.column))
        seen = f"{db.adapter_role} may not {acts}{f' ({columns})' if columns else ''}"
        fix = "\n".join(granted.statements(db.adapter_role, rights))
        yield finding("adapter_grants", f"{system}/{name}", seen, _PAUSED, fix)
    for right in db.absent:
        thing = f"column {right.column}" if right.column else f"the {right.kind}"
        fix = f"concord systems apply   # or connectors/{system}/schema.sql, by the table's owner"
        subject = f"{system}/{right.name}"
        yield finding("adapter_grants", subject, f"{thing} is not there to {right.act}", _PAUSED, fix)


_PAUSED = "the adapter pauses when it has to"
