"""The part of the local API that cuts pieces out of the ring of all signalling (firmware/trace), as pcapng.

    GET /v1/trace?span=N&from=MS&to=MS     a span's signalling between two moments, UTC ms; the last ten minutes
    GET /v1/trace?trunk=NAME ...           the messages of a SIP trunk; neither: everything
    GET /v1/calls/{id}/trace               the frames and SIP messages of one call's legs

A process of its own at the lowest priority reads the disk; the answer is streamed while it does (streams.py)."""

import ipaddress
import json
import os
import time

from firmware.control.commands import Problem
from firmware.control.trace_legs import legs_of
from firmware.errors import LocalError
from firmware.storage.journal import Journal

MINUTES_10_MS = 600_000


class TraceAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("trace",), self.spans), ("GET", ("calls", None, "trace"), self.call)]

    async def spans(self, query, body):
        now = time.time_ns() // 1_000_000
        until = self._number(query, "to", now, 0, 1 << 50)
        since = self._number(query, "from", until - MINUTES_10_MS, 0, 1 << 50)
        span = self._number(query, "span", 0, 1, 64) if query.get("span") else None
        question = {"since_us": since * 1000, "until_us": until * 1000 + 999, "spans": [span] if span else None,
                    "comment": "everything" if span is None else "span %d" % span}
        if query.get("trunk"):
            question.update(hosts=self._hosts(query["trunk"]), comment="SIP trunk %s" % query["trunk"][:40])
        return await self._cut(question)

    def _hosts(self, name):
        """Addresses and networks of a SIP trunk's far end."""
        for row in self._api.house.config.running()["sip_trunks"]:
            if row["name"] == name:
                adapter = next((one for one in self._api.house.adapters if one.name == "sip"), None)
                trunk = adapter.endpoint.trunks.get(name) if adapter is not None else None
                hosts = {address[0] for address in trunk.row["addresses"]} if trunk is not None else set()
                hosts |= {entry["address"] for entry in row["addresses"]} | {entry["network"] for entry in row["sources"]}
                return sorted(host for host in hosts if _is_network(host))
        raise Problem(404, "not found", "There is no SIP trunk %s." % name[:40])

    @staticmethod
    def _number(query, name, default, least, most):
        text = query.get(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 17 and least <= int(text) <= most):
            raise Problem(400, "bad parameter", "%s is a number from %d to %d; from and to are milliseconds since 1970 (UTC)." % (name, least, most))
        return int(text)

    async def call(self, call, query, body):
        records = await self._api._read(lambda connection: Journal(connection).of_call(call))
        if not records:
            raise Problem(404, "not found", "There is no call %s." % call[:40])
        legs, wide = legs_of(records, self._api.house.config.running())
        if not legs:
            raise LocalError("call %s has no leg of a telephone or trunk" % call[:40])
        return await self._cut({"since_us": min(leg["from_us"] for leg in legs) - 5_000_000, "until_us": max(leg["until_us"] for leg in legs) + 15_000_000,
                                "legs": legs, "wide": wide, "comment": "call %s" % call})

    async def _cut(self, question):
        return await self._api.children.child(("firmware.trace", os.path.join(self._api.house.data_dir, "trace")), json.dumps(question).encode(),
                                              b"application/x-pcapng", "the trace")


def _is_network(text):
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
