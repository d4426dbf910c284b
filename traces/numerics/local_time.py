"""Local time of grid zones, with or without a time zone database."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def utc_offset_h(tz: str | None, unix_s: float, standard_h: float = 0.0) -> float:
    """Hours that clocks are ahead of UTC.

    Args:
        tz: name in the IANA database, or None.
        unix_s: when.
        standard_h: the answer where the database or the name is missing.
    """
    zone = _zone(tz) if tz else None
    if zone is None:
        return standard_h
    day = int(unix_s // 86400.0)
    begins, ends = _offset_h(zone, day * 86400), _offset_h(zone, (day + 1) * 86400)
    # On the few days on which clocks are changed, the second counts.
    offset = begins if begins == ends else _offset_h.__wrapped__(zone, unix_s)
    return standard_h if offset is None else offset


@lru_cache(maxsize=65536)
def _offset_h(zone: ZoneInfo, unix_s: float) -> float | None:
    offset = datetime.fromtimestamp(unix_s, timezone.utc).astimezone(zone).utcoffset()
    return None if offset is None else offset.total_seconds() / 3600.0
