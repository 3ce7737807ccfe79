"""The certificate authorities this process trusts, read once.

Beside whoever asks over HTTP: httpx reads them anew for every client and every `httpx.get`, which costs 20 ms of CPU
under the interpreter's lock, so a poll that does so is felt as latency. Never decides whom to trust: httpx's
own defaults, `SSL_CERT_FILE` included.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """For the `verify` of every client."""
    return httpx.create_ssl_context()
