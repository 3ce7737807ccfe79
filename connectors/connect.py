"""Kafka Connect's REST interface, as far as sources need it: a thin client whose errors say what to do.

    sources.py --Connect--> the Connect worker

Answers are what Connect said, decoded; nothing is cached and nothing judged here. A worker that is
rebalancing answers 409 for a moment: the call is repeated until the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import httpx

from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.trust import trusted

DEADLINE = 60.0
PAUSE = 0.1
TIMEOUT = "connect.timeout"
"""The code of a fault: Connect answers, and what was waited for has not come."""


class Connect:
    """One Connect cluster, by the address of any of its workers."""

    def __init__(self, url: str, timeout: float = 30.0, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=timeout, verify=trusted())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def config(self, name: str) -> dict[str, str] | None:
        """The configuration of a connector (references, never secrets), or None where there is none."""
        found = self._call("GET", f"/connectors/{name}/config", missing=True)
        return {key: str(value) for key, value in found.items()} if found is not None else None

    def create_stopped(self, name: str, config: Mapping[str, str]) -> None:
        """Create a connector that doesn't run yet, so that its leftover offsets can be judged first."""
        body = {"name": name, "config": dict(config), "initial_state": "STOPPED"}
        self._call("POST", "/connectors", body)

    def update(self, name: str, config: Mapping[str, str]) -> None:
        """Replace a connector's configuration; Connect restarts its task."""
        self._call("PUT", f"/connectors/{name}/config", dict(config))

    def status(self, name: str) -> dict[str, Any] | None:
        """State of the connector and its tasks, or None where there is none."""
        found: dict[str, Any] | None = self._call("GET", f"/connectors/{name}/status", missing=True)
        return found

    def offset(self, name: str) -> dict[str, Any] | None:
        """The offset Connect has committed: everything before it is in Kafka. None = nothing yet."""
        found = self._call("GET", f"/connectors/{name}/offsets", missing=True) or {}
        offsets = [entry["offset"] for entry in found.get("offsets", []) if entry.get("offset")]
        return offsets[0] if offsets else None

    def stop(self, name: str) -> None:
        """Stop a connector. Its task may still be ending when this returns (origin.wait_released)."""
        self._call("PUT", f"/connectors/{name}/stop")
        self._until(lambda: self._stopped(name), f"connector {name} to stop")

    def pause(self, name: str) -> None:
        """Let a connector keep its task and read nothing."""
        self._call("PUT", f"/connectors/{name}/pause")

    def resume(self, name: str) -> None:
        """Let a stopped or paused connector run and wait until its task does, or has failed."""
        self._call("PUT", f"/connectors/{name}/resume")
        self._until(lambda: self._started(name), f"connector {name} to start")

    def restart(self, name: str) -> None:
        """Start a connector and its tasks again; it goes on from its offset."""
        self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=false")

    def restart_failed(self, name: str) -> None:
        """Start a connector's failed tasks again; those that run are left alone."""
        self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    def place_offset(self, name: str, offset: Mapping[str, Any]) -> None:
        """Have a stopped connector go on from here."""
        found = self._call("GET", f"/connectors/{name}/offsets")["offsets"]
        body = {"offsets": [{"partition": found[0]["partition"], "offset": dict(offset)}]}
        self._call("PATCH", f"/connectors/{name}/offsets", body)

    def forget_offset(self, name: str) -> None:
        """Delete a stopped connector's offset: when it starts again it takes an initial snapshot."""
        self._call("DELETE", f"/connectors/{name}/offsets")

    def delete(self, name: str) -> None:
        """Remove a connector; its offset and its slot stay."""
        self._call("DELETE", f"/connectors/{name}", missing=True)

    def faults(self, config: Mapping[str, str]) -> list[str]:
        """What Debezium itself finds wrong with a configuration (it also connects to the database)."""
        plugin = config["connector.class"].rpartition(".")[2]
        body = {"name": config["topic.prefix"], **config}
        found = self._call("PUT", f"/connector-plugins/{plugin}/config/validate", body)
        values = (entry["value"] for entry in found["configs"])
        return [f"{value['name']}: {fault}" for value in values for fault in value["errors"]]

    def _stopped(self, name: str) -> bool:
        status = self.status(name)
        return status is not None and status["connector"]["state"] == "STOPPED" and not status["tasks"]

    def _started(self, name: str) -> bool:
        status = self.status(name)
        tasks = status["tasks"] if status else []
        return bool(tasks) and all(task["state"] in ("RUNNING", "FAILED") for task in tasks)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._deadline
        while not condition():
            if time.monotonic() > deadline:
                step = "look at the Connect worker's log, then repeat"
                raise Unavailable(TIMEOUT, f"waited {self._deadline:.0f} s for {what}", step)
            time.sleep(PAUSE)

    def _call(self, method: str, path: str, body: Any = None, missing: bool = False) -> Any:
        deadline = time.monotonic() + self._deadline
        while True:
            answer = self._send(method, path, body)
            if missing and answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if answer.is_success:
                return answer.json() if answer.content else None
            if not _passing(answer) or time.monotonic() > deadline:
                raise _refused(method, path, answer)
            time.sleep(PAUSE)

    def _send(self, method: str, path: str, body: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.TransportError as fault:
            message = f"Kafka Connect at {self._client.base_url} does not answer: {fault}"
            raise Unavailable("connect.unavailable", message, "check that it runs, then repeat") from None


def _passing(answer: httpx.Response) -> bool:
    """A refusal that ends by itself: a rebalance, or a task that is still ending."""
    words = ("may be running", "zombie", "currently in use", "not been stopped", "rebalance")
    return answer.status_code == httpx.codes.CONFLICT or any(word in answer.text for word in words)


def _refused(method: str, path: str, answer: httpx.Response) -> InvalidInput | EnvironmentFault:
    try:
        reason = str(answer.json().get("message", answer.text))
    except ValueError:
        reason = answer.text
    message = f"Kafka Connect refused {method} {path} ({answer.status_code}): {reason}"
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return InvalidInput("connect.rejected", message, "correct the setting it names")
    return EnvironmentFault("connect.refused", message, "look at the Connect worker's log")
