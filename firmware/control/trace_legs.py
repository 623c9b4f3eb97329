"""Where in the ring of signalling (firmware/trace) a call is found, and the erasing of a person there.

    legs, wide = legs_of(records, config)               of one call's journal records
    found = await forget(house, read, forms, calls)     {"masked", "dropped"}: records of the ring; after the person's last call
"""

import os
import time

from firmware.call.signalling_points import circuits_of, link_places, point_code
from firmware.control import apart
from firmware.errors import LocalError
from firmware.storage.journal import Journal

FIELDS = ("tech", "span", "timeslot")


def legs_of(records, config, until_us=None):
    """([leg of firmware/trace/calls.py], whether point codes have 24 bits) of a call's records.  until_us: of legs that were not released; None: now."""
    until_us = time.time_ns() // 1000 if until_us is None else until_us
    legs, wide, circuits = {}, False, None
    for record in records:
        leg, data, when = record["leg"], record.get("data") or {}, record["ts_ms"] * 1000
        if record["kind"] in ("leg.offered", "leg.created") and data.get("tech") == "sip":
            legs[leg] = {"tech": "sip", "leg": leg, "from_us": when, "until_us": until_us}
        elif record["kind"] in ("leg.offered", "leg.created") and isinstance(data.get("span"), int):
            legs[leg] = {**{name: data[name] for name in FIELDS}, "from_us": when, "until_us": until_us}
        elif record["kind"] == "leg.seized" and leg in legs and isinstance(data.get("span"), int):
            legs[leg].update(span=data["span"], timeslot=data["timeslot"])
        elif record["kind"] == "leg.released" and leg in legs:
            legs[leg]["until_us"] = when
    for leg in legs.values():
        if leg["tech"] == "ss7":
            circuits = _circuits(config) if circuits is None else circuits
            leg["cic"], leg["codes"], wide = circuits.get((leg["span"], leg["timeslot"]), (None, None, wide))
        elif leg["tech"] == "pri":
            leg.update(_numbering(config, leg["span"]))
    return list(legs.values()), wide


def _numbering(config, span):
    """{"numbering"} of a PRI leg's channels, as a configuration has it; nothing where they are the timeslots of the D channel's span."""
    rows = [row for row in config.get("spans") or [] if row["signalling"] == "pri"]
    own = next((row for row in rows if row["span"] == span), None)
    if own is None:
        return {}
    group = own["nfas"]["group"]
    members = [row for row in rows if row["nfas"]["group"] == group] if group else [own]
    leader = next((row for row in members if row["nfas"]["d_channel"] == "primary"), own)
    consecutive = leader["channel_numbering"] == "consecutive"
    if not group and not consecutive:
        return {}
    return {"numbering": {"spans": [row["span"] for row in members if not group or row["nfas"]["d_channel"] != "none"], "consecutive": consecutive,
                          "interface": own["nfas"]["interface"] if group else None, "own_interface": leader["nfas"]["interface"]}}


def _circuits(config):
    """{(span, timeslot): (CIC, [our point code, theirs], 24 bits)} of a configuration."""
    found = {}
    places = link_places(config)
    for point in config["ss7"]:
        own = point_code(point["point_code"], point["variant"], "")
        for group in point["circuit_groups"]:
            codes = [own, point_code(group["destination"], point["variant"], "")]
            for cic, span, timeslot in circuits_of(group, places):
                found[(span, timeslot)] = (cic, codes, point["variant"] != "itu")
    return found


async def forget(house, read, forms, calls):
    """Take a person out of the ring (firmware/trace/forget.py), by a process at the lowest priority.

    read(function): function(connection) in a thread that reads (Keeping._read).  forms: of the number.  calls: ids of all calls that name it, as caller or called; their journal rows still say where their legs were (times and
    timeslots are enough).  Done again after a kill it changes nothing more.  Raises LocalError where it did not come to its end."""
    config = house.config.running()

    def places(connection):
        journal, asked = Journal(connection), []
        for call in calls:
            records = journal.of_call(call)
            legs, wide = legs_of(records, config, records[-1]["ts_ms"] * 1000 if records else 0)
            if legs:
                asked.append({"legs": legs, "wide": wide})
        return asked
    asked = await read(places)
    try:
        return await apart.ask("firmware.trace.forget", {"forms": list(forms), "calls": asked}, os.path.join(house.data_dir, "trace"))
    except apart.Unanswered as error:
        raise LocalError("the signalling trace still names the person: %s" % error) from None
