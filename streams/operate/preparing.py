"""Preparing an environment: tables, contracts, topics and capture, each idempotent, in the order they need each other.

    systems apply -> schemas publish -> topics apply -> sources apply

What `concord up` does before it starts a process, and what the single commands do one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka.admin import AdminClient

from connectors import sources
from connectors import systems as reference_systems
from connectors.connect import Connect
from connectors.mapping_check import Problem, check
from connectors.source import Names
from schemas import registry
from schemas.catalog import load_catalog, load_mapping
from streams import topics
from streams.errors import InvalidInput
from streams.kafka import broker
from streams.settings import Settings, need
from streams.systems import SYSTEMS

Say = sources.Say


def apply_systems(settings: Settings) -> dict[str, list[str]]:
    """Tables, grants and seed of every reference system; the files applied, by system."""
    dsns = need(settings.databases, "CONCORD_DATABASE_<SYSTEM>")
    return {system: reference_systems.apply(dsn, system) for system, dsn in dsns.items()}


def publish_schemas(settings: Settings) -> list[registry.Published]:
    """Every schema registered under FULL_TRANSITIVE."""
    client = registry.connect(need(settings.registry, "CONCORD_REGISTRY"))
    return registry.publish(client, registry.schema_files(prefix=settings.topic_prefix))


def plan_topics(settings: Settings) -> list[topics.Change]:
    """What differs between the catalogue and the cluster."""
    return topics.plan(_admin(settings), _layout(settings))


def apply_topics(settings: Settings) -> list[topics.Change]:
    """Create and configure what is missing."""
    return topics.apply(_admin(settings), _layout(settings))


def plan_sources(settings: Settings, names: Iterable[str] = ()) -> list[sources.Plan]:
    """What differs between the mappings and the running connectors."""
    with connect(settings) as client:
        return sources.plan(client, settings.kafka, chosen_sources(settings, names))


def apply_sources(
    settings: Settings,
    names: Iterable[str] = (),
    *,
    resnapshot: bool = False,
    epoch: int | None = None,
    say: Say = lambda text: None,
) -> list[sources.Plan]:
    """Make Connect capture what the mappings say."""
    wanted = chosen_sources(settings, names)
    with connect(settings) as client:
        return sources.apply(client, settings.kafka, wanted, resnapshot=resnapshot, epoch=epoch, say=say)


def status_sources(settings: Settings, names: Iterable[str] = ()) -> list[sources.Status]:
    """How capture stands."""
    with connect(settings) as client:
        return sources.status(client, chosen_sources(settings, names))


def check_mappings(settings: Settings, names: Iterable[str] = ()) -> dict[str, list[Problem]]:
    """What each system's live database lacks of what its mapping names."""
    return {
        system: check(load_mapping(system), load_catalog(), _capture_dsn(settings, system))
        for system in _chosen(names, SYSTEMS)
    }


def prepare_targets(settings: Settings, say: Say) -> None:
    """What processes need before they start."""
    applied = apply_systems(settings)
    say(f"systems   {len(applied)} databases have their tables: {', '.join(applied)}")
    published = publish_schemas(settings)
    say(f"schemas   {len(published)} registered, {sum(p.created for p in published)} new")
    changed = apply_topics(settings)
    say(f"topics    {len(changed)} created or configured")


def prepare_sources(settings: Settings, say: Say) -> None:
    """Capture, which fills the topics."""
    for plan in apply_sources(settings, say=say):
        say(f"source    {plan.connector}: {plan.action}, epoch {plan.epoch}")


def chosen_sources(settings: Settings, names: Iterable[str] = ()) -> list[sources.Source]:
    """The sources asked for, or those that run in this installation."""
    return [
        sources.Source(
            Names(system, settings.topic_prefix), _capture_dsn(settings, system), settings.capture_address
        )
        for system in _chosen(names, settings.sources)
    ]


def connect(settings: Settings) -> Connect:
    """Kafka Connect's client."""
    return Connect(need(settings.connect, "CONCORD_CONNECT"))


def _chosen(names: Iterable[str], otherwise: Iterable[str]) -> list[str]:
    wanted = list(names) or list(otherwise)
    for name in wanted:
        if name not in SYSTEMS:
            raise InvalidInput(
                "systems.unknown", f"no system is called {name!r}", f"one of: {', '.join(SYSTEMS)}"
            )
    return wanted


def _capture_dsn(settings: Settings, system: str) -> str:
    return str(need(settings.capture.get(system), f"CONCORD_CAPTURE_{system.upper()}"))


def _admin(settings: Settings) -> AdminClient:
    return AdminClient({**broker(need(settings.kafka, "CONCORD_KAFKA")), "log_level": 0})


def _layout(settings: Settings) -> topics.Layout:
    return topics.Layout(partitions=settings.partitions, prefix=settings.topic_prefix)
