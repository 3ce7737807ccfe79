"""Which topic it is that has this name: a topic made anew under the same name is another one, with other offsets.

broker --topic_id--> restore (checkpoints), references (offsets up to which dependents were decided)
"""

from __future__ import annotations

from typing import Any

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from streams.kafka import broker


def topic_id(bootstrap: str, topic: str) -> str:
    """Kafka's id of the topic."""
    admin = AdminClient(broker(bootstrap))
    described: Any = admin.describe_topics(TopicCollection([topic]), request_timeout=30)[topic].result()
    return str(described.topic_id)
