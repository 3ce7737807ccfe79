"""Our murmur2 is Kafka's: the vectors of Apache Kafka's UtilsTest, and Java's arithmetic written another way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.placing import murmur2, partition_of

KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    bytes([ord(c) for c in "abc"]): 479470107,
}
"""org.apache.kafka.common.utils.UtilsTest.testMurmur2: signed 32-bit."""


@pytest.mark.parametrize(("key", "signed"), KAFKA_VECTORS.items())
def test_murmur2_gives_kafkas_vectors(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


def _as_java(data: bytes) -> int:
    """Utils.murmur2 line by line, on signed 32-bit numbers."""

    def i32(n: int) -> int:
        return (n + 2**31) % 2**32 - 2**31

    def ushr(n: int, by: int) -> int:
        return (n & 0xFFFFFFFF) >> by

    m, h = 0x5BD1E995, i32(0x9747B28C ^ len(data))
    for i in range(len(data) // 4):
        k = i32(int.from_bytes(data[4 * i : 4 * i + 4], "little"))
        k = i32(k * m)
        k ^= ushr(k, 24)
        k = i32(i32(k) * m)
        h = i32(i32(h * m) ^ k)
    tail = data[len(data) & ~3 :]
    for i in reversed(range(len(tail))):
        h = i32(h ^ (tail[i] << (8 * i)))
    if tail:
        h = i32(h * m)
    h = i32(h ^ ushr(h, 13))
    h = i32(h * m)
    return i32(h ^ ushr(h, 15))


@given(st.binary(max_size=64))
def test_murmur2_is_javas_on_any_bytes(data: bytes) -> None:
    assert murmur2(data) == _as_java(data) & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_has_one_partition_within_the_count(key: bytes, count: int) -> None:
    """Utils.toPositive(murmur2(key)) % count; the sign bit is cut, not negated."""
    assert partition_of(key, count) == (_as_java(key) & 0x7FFFFFFF) % count
    assert 0 <= partition_of(key, count) < count
