"""What the configuration wants done to the sound that comes from a leg, as media's commands `add` and `enhance` take it."""

CLEAR = "clear"             # "law" of a leg whose octets are data: media passes them through as they are
OFF = {"echo": False, "long_tail": False, "noise": False, "level": "off", "vad": False}     # media's start; also what an audit shows then


def enhancement(row):
    """Parameters of media's `add`: the enhancement of a trunk group or line, where any is on."""
    wanted = (row or {}).get("enhancement") or {}
    return {"enhance": wanted} if any(value not in (False, "off") for name, value in wanted.items() if name != "long_tail") else {}


def put(media, leg, wanted):
    """What the configuration wants works on a leg from now on; where media has no canceller of 128 ms left, one of 64 ms does."""
    less = {"or_less": True} if wanted.get("echo") and wanted.get("long_tail") else {}
    media.command("enhance", id=leg, **wanted, **less)


def renew(media, audit, wanted):
    """Say again what is wanted of legs that media has: a kill may have kept it from media, or the configuration changed.

    audit: media's; wanted: {leg: what enhancement() gave}.  A refusal leaves the leg as it is: the call is worth more."""
    for row in audit.get("terminations") or []:
        if row["id"] in wanted and "enhance" in row:
            target = dict(OFF, **wanted[row["id"]].get("enhance", {}))
            target.update(media.enhanced.get(row["id"], {}))        # a command goes before the configuration
            if target != dict(OFF, **row["enhance"]):
                put(media, row["id"], target)
