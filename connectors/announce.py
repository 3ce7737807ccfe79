"""Where a process of the edge can be asked: GET /status and /metrics on loopback, announced on the topic `workers`.

    Meter --Announced--> http://127.0.0.1:<free port>, workers[adapter/<system>/<id>], workers[witness/<id>]

The announcement is best effort: an adapter that nobody can find still delivers. Leaves a tombstone on stop.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from uuid import uuid4

from confluent_kafka import KafkaException, Producer

HOST = "127.0.0.1"


class Meter(Protocol):
    """What a process can be asked. Called by the server's threads at any moment; never blocks."""

    def status(self) -> dict[str, Any]:
        """As one JSON object."""

    def metrics(self) -> bytes:
        """As Prometheus text."""


class Announced:
    """The status server of one process, from construction until `close`; `role`: adapter/<system>, witness ...;
    `port` 0 takes a free one. OSError when the port can't be had."""

    def __init__(self, role: str, meter: Meter, producer: Producer, topic: str, port: int = 0) -> None:
        self._producer = producer
        self._topic = topic
        self._key = f"{role}/{uuid4().hex[:8]}"
        self._server = ThreadingHTTPServer((HOST, port), _handler(self._status, meter))
        self._meter = meter
        self._about = {
            "system": role.rpartition("/")[2],
            "host": HOST,
            "port": self._server.server_address[1],
            "pid": os.getpid(),
            "started_at": datetime.now(UTC).isoformat(),
        }
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()
        self._tell(json.dumps(self._about))

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        self._tell(None)
        self._producer.flush(1.0)
        self._server.shutdown()
        self._server.server_close()

    def _status(self) -> dict[str, Any]:
        return {"id": self._key, **self._about, **self._meter.status()}

    def _tell(self, value: str | None) -> None:
        try:
            self._producer.produce(self._topic, key=self._key, value=value)
            self._producer.poll(0)
        except (KafkaException, BufferError):
            return


def _handler(status: Any, meter: Meter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/status":
                    self._answer("application/json", json.dumps(status()).encode())
                case "/metrics":
                    self._answer("text/plain; version=0.0.4", meter.metrics())
                case _:
                    self.send_error(404)

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged."""

    return Handler
