"""The setting "siprec": an outside recorder that is fed with conversations (RFC 7866)."""

import ipaddress

from firmware.config.field import Rows, Section, Switch, Text
from firmware.errors import ConfigError

NAMED = Section("one of them", {"name": Text("its name", required=True)})
SIPREC = Section("an outside recorder (a session recording server, RFC 7866) that gets the sound of conversations", {
    "enabled": Switch("feed it", default=False),
    "address": Text("its IPv4 address and UDP port, for example 10.0.0.9:5060", default=""),
    "user": Text("what stands before the @ of its address", pattern=r"[A-Za-z0-9._-]{1,32}", hint="use letters, digits, dot, dash and underline", default="srs"),
    "queues": Rows("the conversations of these queues; neither queues nor trunk groups: all", NAMED, key="name", most=1000),
    "trunk_groups": Rows("the conversations with these trunk groups", NAMED, key="name", most=1000)})


def address_of(text):
    """(host, port), None where it is none."""
    host, _, port = text.rpartition(":")
    try:
        return (str(ipaddress.IPv4Address(host)), int(port)) if 0 < int(port) < 65536 else None
    except ValueError:
        return None


def check(result, queues, trunk_groups):
    """ConfigErrors of what one field alone does not show."""
    row, errors = result["siprec"], []
    if row["enabled"] and address_of(row["address"]) is None:
        errors.append(ConfigError("siprec.address", "is no IPv4 address with a port; give it like 10.0.0.9:5060"))
    for part, known, what in (("queues", queues, "queue"), ("trunk_groups", trunk_groups, "trunk group")):
        errors += [ConfigError(f"siprec.{part}[{i}].name", f"there is no {what} {entry['name']!r}; add it or choose another one")
                   for i, entry in enumerate(row[part]) if entry["name"] not in known]
    return errors
