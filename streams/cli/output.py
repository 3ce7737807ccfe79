"""How commands speak: one JSON envelope with --json, short text without, and one classifier of exit codes.

Exit codes: 0 done · 1 something failed or was found · 2 wrong input · 3 the environment lacks something.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any, NoReturn, TextIO, cast

import msgspec
import structlog
import typer

from schemas.problem import Problem
from streams.errors import ConcordError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def plain(value: Any) -> Any:
    """A result as JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return value


def answer(
    command: str,
    as_json: bool,
    work: Callable[[], Any],
    text: Callable[[Any], str],
    fails: Callable[[Any], bool] = lambda result: False,
    failing: int | Callable[[Any], int] = 1,
) -> None:
    """Run a command's work and print what came of it; leaves with the documented exit code.

    `fails`: the work was done, and what it found is a failure (exit code `failing`, or what it says of the result).
    """
    result = run(command, as_json, work)
    if as_json:
        envelope = {"command": command, "ok": not fails(result), "result": plain(result)}
        print(json.dumps(envelope, default=_fallback, indent=2, ensure_ascii=False))
    elif shown := text(result):
        print(shown)
    if fails(result):
        raise typer.Exit(failing(result) if callable(failing) else failing)


def run(command: str, as_json: bool, work: Callable[[], Any]) -> Any:
    """The result of a command's work; an error is told and ends the command."""
    try:
        return work()
    except ConcordError as error:
        refuse(command, as_json, error)


def say(text: str) -> None:
    """Progress, on stderr: stdout belongs to the answer."""
    sys.stderr.write(text + "\n")  # one write: threads may speak at once
    sys.stderr.flush()


def problems(found: Iterable[Problem]) -> list[str]:
    """Everything that is wrong with a file, each with where, why and its cure."""
    lines = []
    for p in found:
        lines.append(f"{'WARN ' if p.warning else 'ERROR'}  {p.where}  {p.code}")
        lines += [f"       {p.what}", f"       why: {p.why}", f"       fix: {p.fix}"]
    return lines


def refuse(command: str, as_json: bool, error: ConcordError) -> NoReturn:
    """Print an error with its next step and leave."""
    if as_json:
        body = {"code": error.code, "message": error.message, "next_step": error.next_step}
        print(json.dumps({"command": command, "ok": False, "error": body}, indent=2))
    else:
        print(f"concord {command}: {error}", file=sys.stderr)
    raise typer.Exit(error.exit_code)


def _fallback(value: Any) -> Any:
    return msgspec.to_builtins(value)


class _Stderr:
    """Where logs go. What can't be written (a full disk behind it) must not end the process that tells of it."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def log_to_stderr() -> None:
    """Structured logs, one JSON object a line, on stderr."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )
