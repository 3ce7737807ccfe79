"""What a worker answers on loopback: `GET /entity/<kind>/<id>`, `/status`, `/reached`, `/metrics`, `/due/<date>`.

`concord explain`, `trace` and `status` ask here; an entity comes as JSON, or as it is stored when the caller accepts
`application/msgpack`. The answer holds restricted fields, so it never listens beyond
loopback. Read-only: nothing can be changed through it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from streams.placing import STORED

_json = msgspec.json.Encoder().encode
HOST = "127.0.0.1"


async def serve(
    port: int,
    entity: Callable[[str, str], bytes | None],
    describe: Callable[[bytes], Any],
    status: Callable[[], Awaitable[Any]],
    metrics: Callable[[], str],
    due: Callable[[str], Any],
    reached: Callable[[], Any],
) -> tuple[web.AppRunner, int]:
    """Start the server; returns the runner (to clean up) and the port it got."""

    async def get_entity(request: web.Request) -> web.Response:
        found = entity(request.match_info["kind"], request.match_info["id"])
        if found is None:
            return web.Response(status=404, body=b'{"error":"not in a partition of this worker, or unknown"}')
        if request.headers.get("Accept") == STORED:
            return web.Response(body=found, content_type=STORED)
        return web.Response(body=_json(describe(found)), content_type="application/json")

    async def get_status(request: web.Request) -> web.Response:
        return web.Response(body=_json(await status()), content_type="application/json")

    async def get_reached(request: web.Request) -> web.Response:
        return web.Response(body=_json(reached()), content_type="application/json")

    async def get_metrics(request: web.Request) -> web.Response:
        return web.Response(text=metrics())

    async def get_due(request: web.Request) -> web.Response:
        return web.Response(body=_json(due(request.match_info["date"])), content_type="application/json")

    app = web.Application()
    app.router.add_get("/entity/{kind}/{id}", get_entity)
    app.router.add_get("/status", get_status)
    app.router.add_get("/reached", get_reached)
    app.router.add_get("/metrics", get_metrics)
    app.router.add_get(r"/due/{date:\d{4}-\d{2}-\d{2}}", get_due)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    await site.start()
    server: Any = site._server
    return runner, int(server.sockets[0].getsockname()[1])
