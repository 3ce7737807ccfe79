"""Where Kafka Connect puts a key: murmur2 of the key's bytes over the partition count.

Every producer of ours sets `partitioner=murmur2_random`, which is the same function inside librdkafka; this one
serves the check that a key belongs to its partition, and the tools that ask where an entity lives.
"""

from __future__ import annotations

STORED = "application/msgpack"
"""How a tool asks a worker for an entity in the format of topic `entity`."""

_M = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (org.apache.kafka.common.utils.Utils), as an unsigned 32-bit number."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Connect's default partitioner gives a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
