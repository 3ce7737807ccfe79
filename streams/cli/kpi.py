"""`concord kpi`: how long changes, errors and approvals take, what is open, and which denials nobody was warned of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
MOST = 10
"""Denials named one by one; --json has them all."""


@app.command("kpi", epilog="Example: concord kpi --since 7d --json")
def kpi(
    since: Annotated[
        str, typer.Option(help="What was resolved or ruled on since: 2026-11-22, 90m, 12h, 7d.")
    ] = "24h",
    as_json: AsJson = False,
) -> None:
    """Outcome figures, each from what happened; what it is and isn't: docs/kpis.md.

    Exit codes: 0 shown (what nobody could be asked is named), 1 nothing could be asked, 2 --since is no time.
    """

    def work() -> Any:
        from streams.operate.kpi.ask import kpis

        return kpis(configuration.load(), since or "24h")

    output.answer("kpi", as_json, work, lambda found: "\n".join(_lines(found)), _nothing)


def _nothing(found: Any) -> bool:
    parts = (found.delivery, found.causes, found.handoffs, found.approvals, found.denials)
    return all(part is None for part in parts)


def _lines(found: Any) -> Iterator[str]:
    yield from _delivery(found)
    yield from _findings(found)
    if found.handoffs is not None:
        h = found.handoffs
        yield f"handoffs: {h.open:,} open, {h.late:,} late, {h.waits_for_person:,} wait for a person; {h.manual} manual"
    yield from _approvals(found)
    yield from _denials(found)
    yield from (f"unknown {why}" for why in found.unknown)


def _delivery(found: Any) -> Iterator[str]:
    if found.delivery is None:
        return
    yield "change to confirmed, since the adapters were started:"
    rows = [
        (
            system,
            f"{m.count:,}",
            _time(m.mean),
            _at_most(m.count, m.p50_at_most),
            _at_most(m.count, m.p95_at_most),
        )
        for system, m in found.delivery.items()
    ]
    yield from table([("system", "changes", "mean", "half", "95 %"), *rows], "  ")


def _findings(found: Any) -> Iterator[str]:
    if found.causes is None:
        return
    p = found.persisted
    older = f"; {found.persisted_older:,} more opened before what is kept" if found.persisted_older else ""
    yield (
        f"an error stood, of those resolved since {found.since}: {p.count:,} findings, half {_time(p.p50)},"
        f" 95 % {_time(p.p95)}, longest {_time(p.longest)}{older}"
    )
    rows = [
        (
            c.code,
            f"{c.open:,}",
            *(f"{n:,}" for n in c.ages.values()),
            _oldest(c),
            f"{c.closed.count + c.closed_older:,}",
        )
        for c in found.causes
    ]
    ages = list(found.causes[0].ages) if found.causes else []
    yield from table([("code", "open", *ages, "oldest", "resolved"), *rows], "  ") if rows else ()


def _cause(cause: Any) -> tuple[str, ...]:
    counts = (cause.open, *cause.ages.values())
    closed = cause.closed.count + cause.closed_older
    return cause.code, *(f"{count:,}" for count in counts), _oldest(cause), f"{closed:,}"


def _oldest(cause: Any) -> str:
    return f"{'at least ' if cause.at_least else ''}{_time(cause.oldest_seconds)}" if cause.open else ""


def _approvals(found: Any) -> Iterator[str]:
    if found.approvals is None:
        return
    yield f"rulings since {found.since}: {sum(a.count for a in found.approvals):,}, from proposed to ruled:"
    rows = [
        (a.level, a.decision, f"{a.count:,}", _time(a.p50), _time(a.p95), _time(a.longest))
        for a in found.approvals
    ]
    yield from table([("level", "ruling", "count", "half", "95 %", "longest"), *rows], "  ") if rows else ()


def _denials(found: Any) -> Iterator[str]:
    if found.denials is None:
        return
    d = found.denials
    share = "-" if d.unflagged_share is None else f"{d.unflagged_share:.1%}"
    yield (
        f"claims denied since {found.since}: {d.received:,}, of them {d.provider_data:,} for a provider's data;"
        f" no finding of the cause stood before: {share} of those of which it is known"
    )
    rows = [
        (r.reason, *(f"{n:,}" for n in (r.denials, r.flagged, r.otherwise, r.unflagged, r.unknown)))
        for r in d.reasons
    ]
    head = ("reason", "denials", "flagged", "only otherwise", "unflagged", "unknown")
    yield from table([head, *rows], "  ") if rows else ()
    for case in [case for case in d.cases if case.caught in ("unflagged", "otherwise")][:MOST]:
        told = f"; only {', '.join(case.findings)}" if case.findings else ""
        codes = " ".join(code for code in (case.carc, case.rarc) if code)
        yield f"  {case.received} denial {case.denial} of {case.provider}: {case.reason} ({codes}){told}"


def _at_most(count: int, seconds: float | None) -> str:
    if not count:
        return "-"
    return f"<= {_time(seconds)}" if seconds is not None else "longer than measured"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.3f} s"
