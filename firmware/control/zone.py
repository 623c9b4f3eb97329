"""The offset of the site's time, as the core and the sums of reports want it."""

import datetime
import functools
import zoneinfo

QUARTER_MS = 900_000        # no zone of today changes its offset within a quarter of an hour


def offset_of(name):
    """function(utc_ms) -> offset in ms of an IANA zone; None where this machine does not know it."""
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None

    @functools.lru_cache(maxsize=4096)
    def of_quarter(quarter):
        moment = datetime.datetime.fromtimestamp(quarter * QUARTER_MS / 1000, zone)
        return int(moment.utcoffset().total_seconds() * 1000)

    return lambda utc_ms: of_quarter(int(utc_ms) // QUARTER_MS)
