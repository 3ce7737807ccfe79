"""`concord systems|topics|sources|mapping|load`: what an environment needs before anything flows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited, who
from streams.cli.output import AsJson
from streams.settings import need

app = typer.Typer(rich_markup_mode=None)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


systems = _group("systems", "The reference systems' databases.")
topics = _group("topics", "The topics of the catalogue.")
sources = _group("sources", "Capture: one Debezium connector a system.")
mapping = _group("mapping", "Which table and column is which canonical field.")
load = _group("load", "Fill the credentialing database.")

Systems = Annotated[list[str] | None, typer.Argument(help="Systems; all that run here without one.")]


@systems.command("apply", epilog="Example: concord systems apply")
def systems_apply(as_json: AsJson = False) -> None:
    """Create tables, publication, grants and seed of every reference system; safe to repeat."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.apply_systems(configuration.load())

    output.answer(
        "systems apply", as_json, work, lambda r: "\n".join(f"{s}: {', '.join(v)}" for s, v in r.items())
    )


@topics.command("plan", epilog="Example: concord topics plan")
def topics_plan(as_json: AsJson = False) -> None:
    """Show what differs between the catalogue and the cluster."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.plan_topics(configuration.load())

    output.answer("topics plan", as_json, work, _topic_changes)


@topics.command("apply", epilog="Example: concord topics apply")
def topics_apply(reason: Reason = "", by: By = "", as_json: AsJson = False) -> None:
    """Create and configure what is missing; never alters a partition count."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.apply_topics(configuration.load())

    acting = audited("topics.apply", work, by=by, why=reason, told=_changed)
    output.answer("topics apply", as_json, acting, _topic_changes)


def _changed(changes: Any) -> dict[str, Any]:
    return {c.topic: {"action": c.action, **c.settings} for c in changes}


def _topic_changes(changes: Any) -> str:
    lines = [f"{c.action:10} {c.topic} {dict(c.settings) or ''} {c.reason}".rstrip() for c in changes]
    return "\n".join(lines) or "nothing differs"


@sources.command("plan", epilog="Example: concord sources plan credentialing")
def sources_plan(names: Systems = None, as_json: AsJson = False) -> None:
    """Show what differs between the mappings and the running connectors."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.plan_sources(configuration.load(), names or ())

    output.answer("sources plan", as_json, work, _source_plans)


@sources.command("apply", epilog="Example: concord sources apply credentialing --resnapshot")
def sources_apply(
    names: Systems = None,
    resnapshot: Annotated[
        bool, typer.Option("--resnapshot", help="Raise the epoch and read every row again.")
    ] = False,
    epoch: Annotated[int | None, typer.Option(help="The epoch to use; usually found by itself.")] = None,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make the connectors what the mappings say; a new snapshot only when asked for."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.apply_sources(
            configuration.load(), names or (), resnapshot=resnapshot, epoch=epoch, say=output.say
        )

    subject, wanted = ", ".join(names or ("every source",)), {"resnapshot": resnapshot, "epoch": epoch}
    acting = audited("sources.apply", work, by=by, why=reason, subject=subject, wanted=wanted, told=_applied)
    output.answer("sources apply", as_json, acting, _source_plans)


def _applied(plans: Any) -> dict[str, Any]:
    """What became of each connector; of its settings, which: a value may hold a password."""
    return {p.connector: {"action": p.action, "epoch": p.epoch, "settings": list(p.settings)} for p in plans}


def _source_plans(plans: Any) -> str:
    lines = []
    for plan in plans:
        lines.append(f"{plan.action:10} {plan.connector}  epoch {plan.epoch}")
        lines += [f"           because {reason}" for reason in plan.reasons]
        lines += [f"           {key}: {now} -> {new}" for key, (now, new) in plan.settings.items()]
        lines += [f"           {key}: {now}, for now, by concord guard" for key, now in plan.for_now.items()]
    return "\n".join(lines)


@sources.command("backfill", epilog="Example: concord sources backfill credentialing.license --apply")
def sources_backfill(
    table: Annotated[str, typer.Argument(help="SYSTEM.TABLE, as the mapping names it.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without, only say what would be done.")
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Say every row of one table anew, beside the stream: for a newly mapped column. Exit code 3 when capture can't."""

    def work() -> Any:
        from streams.operate import backfill, preparing

        output.log_to_stderr()
        settings, (system, _, name) = configuration.load(), table.partition(".")
        [source] = preparing.chosen_sources(settings, [system])
        with preparing.connect(settings) as connect:
            if not apply:
                return backfill.plan(settings, connect, source, name)
            return backfill.apply(settings, connect, source, name, who(by), output.say)

    if apply:
        work = audited("sources.backfill", work, by=by, why=reason, subject=table, told=_said)
    output.answer("sources backfill", as_json, work, _backfilled)


def _said(found: Any) -> dict[str, Any]:
    return {"number": found.number, "said": found.said, "columns": found.columns}


def _backfilled(found: Any) -> str:
    head = f"{found.system} {found.table}: {len(found.columns)} columns of "
    if found.applied:
        return f"{head}{found.said:,} rows were said anew, {found.number}"
    rows = "an unknown number of" if found.rows is None else f"about {found.rows:,}"
    return f"{head}{rows} rows would be said anew; --apply does it"


@sources.command("status", epilog="Example: concord sources status --json")
def sources_status(names: Systems = None, as_json: AsJson = False) -> None:
    """State, snapshot, position and slot of each connector."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.status_sources(configuration.load(), names or ())

    output.answer("sources status", as_json, work, _source_states)


def _source_states(found: Any) -> str:
    lines = []
    for s in found:
        snapshot = "finished" if s.snapshot_finished else "not finished"
        slot = f"slot keeps {s.slot.retained_bytes:,} bytes" if s.slot else "no slot"
        lines.append(f"{s.connector:16} {s.state}  epoch {s.epoch}  snapshot {snapshot}  lsn {s.lsn}  {slot}")
        lines += [f"    task {t.id} {t.state} {t.trace.splitlines()[0] if t.trace else ''}" for t in s.tasks]
    return "\n".join(lines)


@mapping.command("check", epilog="Example: concord mapping check credentialing")
def mapping_check(names: Systems = None, as_json: AsJson = False) -> None:
    """Hold each mapping against its live database; every problem with its cure. Exit code 1 when there is one."""

    def work() -> Any:
        from streams.operate import preparing

        return preparing.check_mappings(configuration.load(), names or ())

    output.answer("mapping check", as_json, work, _mapping_problems, _is_wrong)


def _is_wrong(found: Any) -> bool:
    return any(not problem.warning for problems in found.values() for problem in problems)


def _mapping_problems(found: Any) -> str:
    lines = []
    for system, problems in found.items():
        lines.append(
            f"{system}: {f'{len(problems)} problems' if problems else 'delivers what its mapping names'}"
        )
        lines += [f"  {p.code}  {p.where}: {p.message}\n      fix: {p.fix}" for p in problems]
    return "\n".join(lines)


Seed = Annotated[
    int, typer.Option(help="Another seed makes other providers; the same again changes nothing.")
]


@load.command("generated", epilog="Example: concord load generated --count 300 --seed 1")
def load_generated(
    count: Annotated[int, typer.Option(help="How many providers.", min=1)] = 300,
    seed: Seed = 1,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Load invented providers, with the defects real data has."""

    def work() -> Any:
        from connectors.credentialing import load as loading

        return loading.load_generated(_credentialing(), count, seed, output.say)

    wanted = {"count": count, "seed": seed}
    acting = audited("load.generated", work, by=by, why=reason, wanted=wanted, told=_rows)
    output.answer("load generated", as_json, acting, _loaded)


@load.command("nppes", epilog="Example: concord load nppes npidata_pfile.csv --limit 1000")
def load_nppes(
    file: Annotated[Path, typer.Argument(help="An NPPES V2 file (npidata_pfile_*.csv).")],
    limit: Annotated[int | None, typer.Option(help="Only the first so many usable rows.", min=1)] = None,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Load an NPPES V2 file by header name, streaming."""

    def work() -> Any:
        from connectors.credentialing import load as loading

        return loading.load_nppes(_credentialing(), file, limit, output.say)

    acting = audited("load.nppes", work, by=by, why=reason, subject=file.name, told=_rows)
    output.answer("load nppes", as_json, acting, _loaded)


def _credentialing() -> str:
    known: str = need(configuration.load().databases.get("credentialing"), "CONCORD_DATABASE_CREDENTIALING")
    return known


def _rows(loaded: Any) -> dict[str, Any]:
    return {"read": loaded.bundles, "rows": loaded.rows}


def _loaded(loaded: Any) -> str:
    rows = ", ".join(f"{table} {count:,}" for table, count in loaded.rows.most_common() if count)
    skipped = ", ".join(f"{reason} {count:,}" for reason, count in loaded.skipped.items())
    lines = [f"{loaded.bundles:,} read; new rows: {rows or 'none'}"]
    return "\n".join(lines + ([f"skipped: {skipped}"] if skipped else []))
