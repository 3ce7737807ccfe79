"""Who may read and write the topics that others read, from their contracts, as the broker's access control lists.

    contracts.told --wanted--> rights --plan--> what the broker lacks --apply--> granted

Grants, and never takes away: what stands beside the contracts is shown, and a person decides. A broker without an
authorizer allows everybody everything; that is said, not passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from streams.errors import EnvironmentFault, Unavailable
from streams.kafka import broker
from streams.operate.contracts import Told, told
from streams.settings import Settings, need

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One line of the broker's lists: who may do what, on a topic by name or on groups whose name begins so."""

    principal: str
    operation: str
    resource: str
    name: str
    prefixed: bool = False
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What the broker has, lacks, and has beside the contracts on the same topics."""

    held: list[Right]
    missing: list[Right]
    beside: list[Right]


PLATFORM: Mapping[str, tuple[str, ...]] = {
    "TOPIC": ("READ", "WRITE", "DESCRIBE", "CREATE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
    "GROUP": ("READ", "DESCRIBE"),
    "TRANSACTIONAL_ID": ("WRITE", "DESCRIBE"),
}
"""What Concord's own processes and commands do; access control lists themselves are an administrator's."""


def plan(settings: Settings, platform: str = "") -> Plan:
    """What `apply` would grant; nothing missing means the broker allows what the contracts say, and the platform's own
    user, if one is named, what its processes do."""
    return _plan(admin(settings), settings, platform)


def apply(settings: Settings, platform: str = "") -> Plan:
    """Grant what is missing; the plan as it was before. Idempotent."""
    client = admin(settings)
    found = _plan(client, settings, platform)
    if found.missing:
        for asked in client.create_acls([binding(right) for right in found.missing]).values():
            _result(asked)
    return found


def wanted(topics: Iterable[Told], settings: Settings) -> list[Right]:
    """The rights that the contracts give."""
    return sorted({right for one in topics for right in _of(one, settings)})


def _of(one: Told, settings: Settings) -> Iterator[Right]:
    topic = settings.topic(one.topic)
    for name in one.contract.writers:
        yield Right(f"User:{name}", "WRITE", "TOPIC", topic)
        yield Right(f"User:{name}", "DESCRIBE", "TOPIC", topic)
    for name in one.contract.readers:
        yield Right(f"User:{name}", "READ", "TOPIC", topic)
        yield Right(f"User:{name}", "DESCRIBE", "TOPIC", topic)
        yield Right(f"User:{name}", "READ", "GROUP", settings.topic(name), prefixed=True)


def of_platform(name: str, settings: Settings) -> list[Right]:
    """What the platform's own user needs, on whatever begins with the topic prefix; without one, on everything."""
    prefix = settings.topic_prefix
    found = [
        Right(f"User:{name}", operation, resource, prefix or "*", prefixed=bool(prefix))
        for resource, operations in PLATFORM.items()
        for operation in operations
    ]
    if prefix:  # named by Debezium, in front of ours
        topics = f"__debezium-heartbeat.{prefix}"
        found += [Right(f"User:{name}", act, "TOPIC", topics, prefixed=True) for act in PLATFORM["TOPIC"]]
    return found


def _plan(client: AdminClient, settings: Settings, platform: str) -> Plan:
    _require_authorizer(client)
    contracted = wanted(told(), settings)
    rights = contracted + (of_platform(platform, settings) if platform else [])
    topics = {right.name for right in contracted if right.resource == "TOPIC"}
    known = {_right(found) for found in _result(client.describe_acls(_EVERY))}
    held = [right for right in rights if right in known]
    beside = sorted(r for r in known - set(rights) if r.resource == "TOPIC" and _concerns(r, topics))
    return Plan(held, [right for right in rights if right not in known], beside)


def _concerns(right: Right, topics: set[str]) -> bool:
    """Whether it is about one of these topics."""
    if right.prefixed or right.name == "*":
        return any(topic.startswith(right.name.removesuffix("*")) for topic in topics)
    return right.name in topics


_EVERY = AclBindingFilter(
    ResourceType.ANY,
    None,
    ResourcePatternType.ANY,
    None,
    None,
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def binding(right: Right) -> AclBinding:
    """The right in the client's words."""
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        ResourceType[right.resource],
        right.name,
        pattern,
        right.principal,
        "*",
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )


def _right(found: Any) -> Right:
    prefixed = found.resource_pattern_type == ResourcePatternType.PREFIXED
    denied = found.permission_type == AclPermissionType.DENY
    kind, act = found.restype.name, found.operation.name
    return Right(found.principal, act, kind, found.name, prefixed, denied)


def admin(settings: Settings) -> AdminClient:
    """Who asks the broker."""
    return AdminClient({**broker(need(settings.kafka, "CONCORD_KAFKA")), "log_level": 0})


def _require_authorizer(client: AdminClient) -> None:
    """A broker without one answers that there are no lists, as if nobody were allowed anything."""
    [node, *_] = _result(client.describe_cluster()).nodes
    broker = ConfigResource(ResourceType.BROKER, str(node.id))
    [asked] = client.describe_configs([broker]).values()
    if not _result(asked)["authorizer.class.name"].value:
        said = "this broker has no authorizer: whoever reaches it may read and write every topic"
        step = "set authorizer.class.name and super.users on every broker and controller, then repeat"
        raise EnvironmentFault("acls.no_authorizer", said, step)


def _result(asked: Future[Any]) -> Any:
    try:
        return asked.result(TIMEOUT)
    except KafkaException as fault:
        said = f"the broker did not answer about its access control lists: {fault.args[0].str()}"
        step = "check that it runs, and that this user may read and alter its configuration"
        raise Unavailable("acls.unavailable", said, step) from fault
