"""Answers as text for a terminal: status, explain, trace. Pure; the JSON of `--json` says the same and more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from streams.operate.applied import Held
from streams.operate.contest import Field
from streams.operate.counterparts import Standing
from streams.operate.explain import Explanation, Row, Value
from streams.operate.rollout import Rollout
from streams.operate.ruled import Decision
from streams.operate.standing import Hop, Watch
from streams.operate.status import Status
from streams.operate.told import Origin, Sink, Told
from streams.operate.trace import Moment, Revision, Trace


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows with their columns aligned; the last one runs free."""
    found = [list(row) for row in rows]
    if not found:
        return []
    widths = [max(len(row[i]) for row in found) for i in range(len(found[0]) - 1)]
    return [
        indent + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in found
    ]


# ---- status ----


def status_text(found: Status) -> str:
    """One line a hop, then what is pending, open and counted."""
    return "\n".join([*table(status_rows(found), ""), "", *status_notes(found)])


def status_rows(found: Status) -> list[tuple[str, str, str, str, str, str]]:
    """A heading, then a line a hop."""
    rows = [("hop", "state", "lag", "oldest", "rate", "")]
    for c in found.capture:
        lag = f"{_number(c.lag_bytes)} B of log, {_number(c.retained_bytes)} B kept"
        rows.append((f"capture {c.system}", c.state, lag, _seconds(c.lag_seconds), "", c.why))
    rows += [_hop_row("decide", found.decide), *(_hop_row(f"adapter {h.name}", h) for h in found.adapters)]
    return [*rows, _hop_row("reference follow", found.reference)]


def status_notes(found: Status) -> list[str]:
    """What lags, waits, is open and was counted."""
    return [*_inputs(found), *_counts(found), *found.notes]


def _hop_row(name: str, hop: Hop) -> tuple[str, str, str, str, str, str]:
    rate = f"{hop.rate:,.1f}/s" if hop.rate is not None else "?"
    return (name, hop.state, f"{_number(hop.lag_records)} records", _seconds(hop.lag_seconds), rate, hop.why)


def _inputs(found: Status) -> list[str]:
    """Only what lags: the rest is in the JSON."""
    behind = [i for hop in (found.decide, *found.adapters) for i in hop.inputs if i.state != "caught_up"]
    rows = [
        (f"{i.topic}[{i.partition}]", i.state, f"at {_number(i.position)} of {_number(i.end)}",
         f"{_number(i.lag_records)} records", _seconds(i.lag_seconds))
        for i in behind
    ]  # fmt: skip
    return [*table(rows), ""] if rows else []


def _counts(found: Status) -> Iterator[str]:
    c = found.decide.counters
    if c:
        yield f"pending   {_number(c['dirty'])} entities wait to be decided"
        yield f"clock     {c['ticked'] or 'no tick yet'}, {_number(c['due'])} entities due by date wait to be decided"
        yield from _asked(c["asked"])
        yield f"decided   {c['decided']:,}, {c['emitted']:,} views sent, {c['late']:,} rows came late"
        yield from _rollout(c["rollout"])
        times = f"given a partition {_number(c.get('opened'))} times since they started"
        yield f"workers   {len(found.decide.processes)} answer{_names(found.decide.processes)}, {times}"
        waits = ", ".join(f"{system} {count:,}" for system, count in c["unconfirmed"].items())
        yield f"sent, not confirmed  {waits}"
    for topic, outcomes in found.decide.outcomes.items():
        parts = ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.outcomes.items()))
        verdict = "balanced" if outcomes.balanced else "NOT BALANCED"
        yield f"outcomes  {topic}: {outcomes.consumed:,} consumed = {parts} ({verdict})"
    yield _guard(found.guard)
    codes = ", ".join(f"{code} {count}" for code, count in found.findings.by_code.items())
    yield f"findings  {_number(found.findings.total)} open{f': {codes}' if codes else ''} {found.findings.why}".rstrip()
    waiting = (
        f"{_number(found.unhandled.count)} wait to be replayed or discarded {found.unhandled.why}".rstrip()
    )
    yield f"quarantined  {_number(found.quarantined)} ever, {waiting}"


def _names(processes: Iterable[str]) -> str:
    """Host and pid of each: who comes and goes is missing now and then."""
    found = [process.split()[0].removeprefix("worker/") for process in processes]
    return f" ({', '.join(sorted(found))})" if found else ""


def _guard(found: Watch) -> str:
    """The oldest canary of each hop over all systems."""
    if found.open is None:
        return f"guard     {found.why}"
    hops = dict.fromkeys(hop for ages in found.age.values() for hop in ages)
    oldest = {hop: max(ages[hop] for ages in found.age.values() if hop in ages) for hop in hops}
    ages = ", ".join(f"{hop} {seconds:.1f} s ago" for hop, seconds in oldest.items()) or "none written yet"
    named = f" ({', '.join(found.named)})" if found.named else ""
    return f"guard     watches: {found.open} open{named}; canaries of every system {ages}"


def _asked(asked: Mapping[str, Any] | None) -> Iterator[str]:
    """A date that waits to be told: for answers, or for a person."""
    if asked is None:
        return
    as_of, counts = asked["as_of"], f"{asked['withdrawn']:,} of {asked['providers']:,} providers"
    if asked["stopped"]:
        yield f"clock     STOPPED: {as_of} would withdraw {counts}; next: concord clock tick --as-of {as_of} --confirm"
    else:
        yield f"clock     {as_of} is proposed: {len(asked['answered'])} partitions have answered"


def _rollout(found: Rollout) -> Iterator[str]:
    if found.running:
        yield f"rollout   {_number(found.done)} of {_number(found.total)} entities decided again"
    for part in found.partitions if found.running else ():
        if part.toward:
            counted = f"{_number(part.done)} of {_number(part.total)}"
            yield f"          partition {part.partition}: {counted}, to {part.toward}"
    if found.why:
        yield f"rollout   {found.why}"


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f} s"


# ---- explain ----


def explain_text(found: Explanation) -> str:
    """The entity, what is wrong with it, what each sink was told, then every claim."""
    npi = f"  NPI {found.npi}" if found.npi else ""
    because = f" because {', '.join(found.verdict.because)}" if found.verdict.because else ""
    lines = [
        f"{found.kind}/{found.id}{npi}  {found.name or ''}".rstrip(),
        f"  {found.verdict.state}{because}; revision {found.revision}; found in {found.found_in}; as of {found.as_of}"
        + _supposed(found),
    ]
    for system, verdict in found.by_sink.items():
        why = f" because {', '.join(verdict.because)}" if verdict.because else ""
        lines.append(f"    {system} {verdict.state}{why}")
    for finding in found.findings:
        lines.append(f"  ! {finding.code}  {finding.subject}: {finding.message} ({finding.effect})")
        lines.append(f"    {finding.actor}{f' by {finding.due}' if finding.due else ''}: {finding.action}")
    lines += [f"  {found.belongs}"] if found.belongs else []
    lines += [_standing_line(standing) for standing in found.standings]
    disputed = [each for each in found.fields if each.lost]
    for head, fields in (
        ("disputed values", disputed),
        ("values", [f for f in found.fields if f not in disputed]),
    ):
        if fields:
            lines += ["", f"{head} (authority version {found.authority})", *_field_lines(fields)]
    for decision in found.decisions:
        lines += ["", *_decision_lines(decision)]
    for sink in found.sinks:
        lines += ["", *_sink_lines(sink, found)]
    lines += ["", "claims (what each system says)"]
    for row in found.claims:
        lines += _row_lines(row)
    return "\n".join(lines)


def _decision_lines(found: Decision) -> list[str]:
    name = f"{found.record}.{found.field}"
    head = f"proposal {found.proposal}: {found.system} would have {name} {_value(found.value)}: {found.state}"
    return [head, *(f"  {word}" for word in found.words)]


def _standing_line(standing: Standing) -> str:
    """`directory  in flight since 10:02: sent revision 4, confirmed 3 at 10:01`"""
    sent = f"sent revision {standing.sent}" if standing.sent is not None else "nothing sent"
    held = (
        f"confirmed {standing.confirmed} at {standing.confirmed_at[:19]}"
        if standing.confirmed is not None
        else "none confirmed"
    )
    since = f" since {standing.since[:19]}" if standing.since else ""
    apart = f"; differs in {', '.join(standing.fields)}" if standing.fields else ""
    return f"  {standing.system}  {standing.state.replace('_', ' ')}{since}: {sent}, {held}{apart}"


def _field_lines(fields: Iterable[Field]) -> Iterator[str]:
    """A line a value with who said it; below it who said something else, and what became of that."""
    rows: list[tuple[str, ...]] = []
    for each in fields:
        rows.append((f"{each.record}.{each.field}", _value(each.value), "<- " + _won(each)))
        rows += [
            ("", _value(said.value), f"x  {said.system} row {said.row[:8]}: {said.why}") for said in each.lost
        ]
    yield from table(rows)


def _won(each: Field) -> str:
    said = "; ".join(f"{s.system} row {s.row[:8]} {s.position}" for s in each.won)
    return f"{said or 'the platform'} ({each.rule})"


def _supposed(found: Explanation) -> str:
    return " (what would be sent on that day)" if found.supposed else ""


def _sink_lines(sink: Sink, found: Explanation) -> list[str]:
    held = found.targets.get(sink.system)
    holds = _holds(held) if held is not None else "target not asked"
    reason = f" ({sink.reason})" if sink.reason else ""
    head = f"{sink.system}  revision {sink.revision} {sink.status}{reason}; {holds}"
    told = [t for t in sink.values if t.path not in ("status", "reason")]
    return [head, *table([(t.path, _value(t.value), t.column, "<- " + _origins(t)) for t in told])]


def _holds(held: Held) -> str:
    """`holds revision 4 as 17`; a system that nobody captures doesn't say under which id."""
    if not held.known:
        return held.why
    name = f" as {held.local_id}" if held.local_id is not None else ""
    holds = f"holds revision {held.revision}{name}" if held.revision is not None else "holds none"
    return f"{holds}; {held.why}" if held.why else holds


def _origins(told: Told) -> str:
    """`system.table.column row 1a2b3c4d txid 940 2026-11-22T03:43:32`; the JSON has whole ids."""
    by_row: dict[tuple[str, str], list[Origin]] = {}
    for origin in told.origins:
        by_row.setdefault((f"{origin.system}.{origin.table}", origin.row), []).append(origin)
    parts = [_origin(table, row, origins) for (table, row), origins in by_row.items()]
    return "; ".join(parts) + (f" ({told.how})" if told.how else "") or "the platform"


def _origin(table: str, row: str, origins: list[Origin]) -> str:
    columns = "+".join(dict.fromkeys(o.column for o in origins))
    return f"{table}.{columns} row {row[:8]} txid {origins[0].txid} {origins[0].committed_at[:19]}"


def _row_lines(row: Row) -> list[str]:
    when = f"txid {row.txid}  position {row.position}  {row.committed_at}"
    head = f"  {row.system}.{row.table or row.record} {row.row}  {when}{'  deleted' if row.deleted else ''}"
    values = [v for v in row.values if v.value is not None or v.refused]
    lines = table([(v.field, _value(v.value), _authority(row.system, v)) for v in values], "      ")
    return [head, *lines, *(f"      {gap}: never delivered by capture" for gap in row.gaps)]


def _authority(system: str, value: Value) -> str:
    owned = "" if value.admitted else f"not admitted: {value.owner or 'nobody'} owns it"
    refused = (
        f"refused {_value(value.refused_value)}: {value.refused}; last good value kept"
        if value.refused
        else ""
    )
    return "  ".join(part for part in (owned, refused) if part)


def _value(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- trace ----


def trace_text(found: Trace) -> str:
    """A block a revision, newest first."""
    waits = "; a newer change waits to be decided" if found.waits else ""
    lines = [f"{found.kind}/{found.id}  revision {found.revision}; found in {found.found_in}{waits}"]
    for revision in found.revisions:
        lines += ["", *_revision_lines(revision)]
    return "\n".join(lines)


def _revision_lines(revision: Revision) -> list[str]:
    total = (
        f"  commit -> applied everywhere {revision.total_ms:,.1f} ms" if revision.total_ms is not None else ""
    )
    head = f"revision {revision.revision}  {revision.system} txid {revision.txid}  position {revision.position}{total}"
    rows = [_moment_row(m.hop, m) for m in revision.moments]
    for arrival in revision.sinks:
        rows += [
            _moment_row(f"{arrival.sink} {m.hop}", m, arrival.why if not m.us else "")
            for m in arrival.moments
        ]
    return [head, *table(rows)]


def _moment_row(name: str, moment: Moment, why: str = "") -> tuple[str, str, str, str]:
    delta = f"+{moment.ms:,.1f} ms" if moment.ms is not None else ""
    return name, moment.at or "?", delta, why
