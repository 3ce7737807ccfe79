"""How every client introduces itself to the broker: the one place that says it.

    CONCORD_KAFKA_* --settings.KafkaLogin--> broker(address): librdkafka's settings · faust_login(): Faust's

Nothing else names a broker's address to a client, so that no client can be forgotten (a test holds it). Never logs a
secret, and connects to nothing.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from streams.errors import EnvironmentFault
from streams.settings import KafkaLogin, kafka_login

if TYPE_CHECKING:
    import faust


def broker(address: str) -> dict[str, Any]:
    """What any client of confluent-kafka begins with."""
    login = kafka_login()
    found: dict[str, Any] = {"bootstrap.servers": address}
    if login.security == "plaintext":
        return found
    found["security.protocol"] = login.security
    if login.user:
        found |= {
            "sasl.mechanism": login.mechanism,
            "sasl.username": login.user,
            "sasl.password": _secret(login),
        }
    files = {"ssl.ca": login.ca, "ssl.certificate": login.certificate, "ssl.key": login.key}
    return found | {f"{name}.location": str(path) for name, path in files.items() if path is not None}


def asked_who() -> str:
    """What else to check of a broker that doesn't answer: one that refuses a name or a password says so to its own log
    only, and to us nothing in time."""
    login = kafka_login()
    return (
        ""
        if login.security == "plaintext"
        else f" and accepts CONCORD_KAFKA_{'USER' if login.user else 'CA'}"
    )


def faust_login() -> faust.SASLCredentials | faust.SSLCredentials | None:
    """The same for the chunk transport."""
    import faust  # half a second that only workers need

    login = kafka_login()
    if login.security == "plaintext":
        return None
    context = _context(login) if login.encrypted else None
    if not login.user:
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=login.user, password=_secret(login), mechanism=login.mechanism, ssl_context=context
    )


def _context(login: KafkaLogin) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=login.ca)
        if login.certificate is not None:
            context.load_cert_chain(login.certificate, login.key)
    except (OSError, ssl.SSLError) as error:
        message = f"the certificates of CONCORD_KAFKA_CA, _CERTIFICATE or _KEY can't be used: {type(error).__name__}"
        raise EnvironmentFault(
            "kafka.certificates", message, "check the paths and that they are PEM"
        ) from error
    return context


def _secret(login: KafkaLogin) -> str:
    try:
        return login.secret()
    except OSError as error:
        message = f"CONCORD_KAFKA_PASSWORD_FILE can't be read: {error.strerror}"
        raise EnvironmentFault(
            "kafka.password_unreadable", message, "check the path and its rights"
        ) from error
