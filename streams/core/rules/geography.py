"""Rules on where a place lies: R23 (county, coordinates), G05 (what a Plan-Net Location may not be without)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.core.canonical import Location
from streams.core.today import Today

STATE_FIPS = dict(
    pair.split(":")
    for pair in (
        "AL:01 AK:02 AZ:04 AR:05 CA:06 CO:08 CT:09 DE:10 DC:11 FL:12 GA:13 HI:15 ID:16 IL:17 IN:18 IA:19 KS:20 KY:21 "
        "LA:22 ME:23 MD:24 MA:25 MI:26 MN:27 MS:28 MO:29 MT:30 NE:31 NV:32 NH:33 NJ:34 NM:35 NY:36 NC:37 ND:38 OH:39 "
        "OK:40 OR:41 PA:42 RI:44 SC:45 SD:46 TN:47 TX:48 UT:49 VT:50 VA:51 WA:53 WV:54 WI:55 WY:56 AS:60 GU:66 MP:69 "
        "PR:72 VI:78"
    ).split()
)
"""State -> the first two digits of its counties."""

Box = tuple[float, float, float, float]
FAR: dict[str, Box] = {
    "AK": (51.0, 71.5, -180.0, -129.0),
    "HI": (18.5, 28.6, -178.6, -154.5),
    "PR": (17.6, 18.7, -68.1, -65.1),
    "VI": (17.5, 18.6, -65.2, -64.4),
    "GU": (13.1, 13.8, 144.5, 145.1),
    "MP": (13.9, 20.7, 144.7, 146.2),
    "AS": (-14.7, -10.9, -171.2, -168.0),
}
MAINLAND: Box = (24.3, 49.5, -125.0, -66.8)
"""(south, north, west, east): a coarse check that needs no outlines."""


def county(today: Today) -> Iterator[str]:
    """The county lies in another state (R23)."""
    root: Location = today.root
    wanted = STATE_FIPS.get(root.state or "")
    if wanted and root.county_fips and root.county_fips[:2] != wanted:
        yield "location/county_fips"


def coordinates(today: Today) -> Iterator[str]:
    """The coordinates lie nowhere near the state (R23)."""
    root: Location = today.root
    latitude, longitude = _number(root.latitude), _number(root.longitude)
    if root.state not in STATE_FIPS or latitude is None or longitude is None:
        return
    south, north, west, east = FAR.get(root.state, MAINLAND)
    if not (south <= latitude <= north and west <= longitude <= east):
        yield "location/latitude"


def half_a_position(today: Today) -> Iterator[str]:
    """A latitude without a longitude, or the other way round (G05)."""
    root: Location = today.root
    if bool(root.latitude) != bool(root.longitude):
        yield "location/longitude" if root.latitude else "location/latitude"


def hours(today: Today) -> Iterator[str]:
    """A day that closes before it opens (G05)."""
    root: Location = today.root
    if isinstance(root.hours, list) and any(_impossible(day) for day in root.hours):
        yield "location/hours"


def _impossible(day: Any) -> bool:
    if not isinstance(day, dict) or day.get("all_day"):
        return False
    opens, closes = day.get("open"), day.get("close")
    return isinstance(opens, str) and isinstance(closes, str) and "" < closes <= opens


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None
