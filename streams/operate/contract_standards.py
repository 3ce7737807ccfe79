"""The contracts in the forms other tools read: ODCS 3.1, AsyncAPI 3.0 and Backstage's catalogue, as plain data.

    contracts.told --odcs, asyncapi, backstage--> data --contract_pages--> YAML files

Says nothing that a contract, a schema or the topic catalogue doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.avro_type import Field, Type
from schemas.topic_contract import CLASSIFIED
from streams.operate.contracts import Told, children, inner, optional, shown

Data = dict[str, Any]
LOGICAL = {
    "string": "string", "boolean": "boolean", "int": "integer", "long": "integer", "float": "number",
    "double": "number", "bytes": "string", "enum": "string", "record": "object", "map": "object", "array": "array",
}  # fmt: skip
"""Avro -> ODCS; JSON's words are the same."""
TYPE = "application/vnd.apache.avro+json;version=1.9.0"


def odcs(told: Told) -> Data:
    """One contract in the Open Data Contract Standard."""
    said = told.contract
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"concord.{told.topic}",
        "name": told.topic,
        "version": said.version,
        "status": "active",
        "domain": "provider data",
        "dataProduct": "concord",
        "description": {"purpose": said.purpose, "limitations": said.limits, "usage": "docs/consuming.md"},
        "schema": [
            {
                "name": told.schema.tree.name,
                "physicalName": told.topic,
                "physicalType": "topic",
                "logicalType": "object",
                "description": told.schema.tree.doc,
                "properties": [_property(child, said.key) for child in told.schema.tree.fields],
            }
        ],
        "team": {"name": said.owner, "description": "Answers for the meaning of the data."},
        "roles": [{"role": name, "access": "read"} for name in said.readers],
        "slaProperties": _sla(told),
        "customProperties": [
            {"property": "classification", "value": said.classification},
            {"property": "subject", "value": told.subject},
            {"property": "schemaFile", "value": f"schemas/{told.schema.file}"},
            {"property": "compatibility", "value": said.compatibility},
            {"property": "changePolicy", "value": list(said.change_policy)},
            {"property": "headers", "value": dict(said.headers)},
        ],
    }


def _property(field: Field, key: str = "") -> Data:
    found: Data = {
        "name": field.name,
        "logicalType": LOGICAL["array" if _is_list(field.type) else inner(field.type).kind],
        "physicalType": shown(field.type),
        "description": field.doc,
        "required": not optional(field.type),
        "classification": CLASSIFIED[field.cls],
    }
    if field.name == key:
        found |= {"primaryKey": True, "primaryKeyPosition": 1}
    nested = [_property(child) for child in children(field.type)]
    if _is_list(field.type):
        found["items"] = {"logicalType": LOGICAL[inner(field.type).kind]} | _with(nested)
        return found
    return found | _with(nested)


def _with(nested: list[Data]) -> Data:
    return {"properties": nested} if nested else {}


def _is_list(kind: Type) -> bool:
    return kind.kind == "array" or (kind.kind == "union" and any(map(_is_list, kind.parts)))


def _sla(told: Told) -> list[Data]:
    fresh = told.contract.freshness
    return [
        {
            "property": "latency",
            "value": fresh.p50_ms,
            "unit": "ms",
            "description": "commit to readable, p50",
        },
        {
            "property": "latency",
            "value": fresh.p99_ms,
            "unit": "ms",
            "description": "commit to readable, p99",
        },
        *_retention(told),
    ]


def _retention(told: Told) -> Iterator[Data]:
    kept = told.contract.retention
    if told.compacted:
        newest = "the newest record of each key; the topic is compacted"
        yield {"property": "retention", "value": "unlimited", "description": newest}
    hours = {"value": kept.history_hours} | ({} if kept.history_hours == "unlimited" else {"unit": "h"})
    yield {"property": "retention", **hours, "description": "every record, at least"}
    if kept.tombstone_days:
        tombstone = {"value": kept.tombstone_days, "unit": "d", "description": "a tombstone, at least"}
        yield {"property": "retention", **tombstone}


def asyncapi(topics: Sequence[Told]) -> Data:
    """One AsyncAPI document of all topics."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Concord's topics",
            "version": max(told.contract.version for told in topics),
            "description": "Views (each record the entity's whole view), findings, and why edits were not taken over. "
            "Generated.",
        },
        "defaultContentType": "application/vnd.confluent.avro",
        "channels": {_name(told): _channel(told) for told in topics},
        "operations": {f"send.{_name(told)}": _operation(told) for told in topics},
        "components": {"messages": {_name(told): _message(told) for told in topics}},
    }


def _name(told: Told) -> str:
    return told.topic


def _channel(told: Told) -> Data:
    return {
        "address": told.topic,
        "title": told.contract.title,
        "description": f"{told.contract.purpose} {told.contract.limits}",
        "messages": {"view": {"$ref": f"#/components/messages/{_name(told)}"}},
        "bindings": {
            "kafka": {
                "topic": told.topic,
                "topicConfiguration": _configuration(told),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _configuration(told: Told) -> Data:
    kept = [key for key in ("delete.retention.ms", "retention.ms") if key in told.config]
    return {"cleanup.policy": [told.config["cleanup.policy"]]} | {key: int(told.config[key]) for key in kept}


def _operation(told: Told) -> Data:
    channel = f"#/channels/{_name(told)}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": f"Concord sends each new record, keyed by {told.contract.key}",
        "messages": [{"$ref": f"{channel}/messages/view"}],
    }


def _message(told: Told) -> Data:
    headers = {name: {"type": "string", "description": text} for name, text in told.contract.headers.items()}
    return {
        "name": told.schema.tree.name,
        "title": told.contract.title,
        "contentType": "application/vnd.confluent.avro",
        **(
            {"headers": {"type": "object", "properties": headers, "required": list(headers)}}
            if headers
            else {}
        ),
        "payload": {"schemaFormat": TYPE, "schema": told.schema.schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{told.contract.key}, as plain text"},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicNameStrategy",
                "bindingVersion": "0.5.0",
            }
        },
    }


def backstage(topics: Sequence[Told]) -> list[Data]:
    """The entities of catalog-info.yaml: the platform, its topics, and their one AsyncAPI document."""
    component = _entity("Component", "concord", "Keeps a provider's record the same in every system")
    component["spec"] = {
        "type": "service",
        "lifecycle": "production",
        "owner": "platform_admin",
        "providesApis": ["concord-sink-topics"],
        "dependsOn": [f"resource:default/{told.topic}" for told in topics],
    }
    api = _entity("API", "concord-sink-topics", "The topics that others read, as AsyncAPI")
    api["spec"] = {
        "type": "asyncapi",
        "lifecycle": "production",
        "owner": "platform_admin",
        "definition": {"$text": "./docs/topics/asyncapi.yaml"},
    }
    return [component, api, *(_resource(told) for told in topics)]


def _resource(told: Told) -> Data:
    found = _entity("Resource", told.topic, told.contract.title)
    found["metadata"]["tags"] = [told.contract.classification]
    found["metadata"]["links"] = [{"url": f"./docs/topics/{told.topic}.md", "title": "Contract"}]
    return found | {"spec": {"type": "kafka-topic", "owner": told.contract.owner}}


def _entity(kind: str, name: str, text: str) -> Data:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "description": text},
    }
