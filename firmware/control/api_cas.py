"""The part of the local API that manages circuits with channel-associated signalling by hand.

    GET  /v1/cas                             the spans: each circuit's state, who has taken it out of service, counters
    POST /v1/cas/{span}/circuits             {"do": "lock" | "drain" | "unlock" | "restart", "timeslots"?: [5, 6]}     without timeslots: all

The answer of a POST is that of GET for the span as it is then."""

from firmware.control.commands import Problem
from firmware.errors import LocalError


class CASAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("cas",), self.spans), ("POST", ("cas", None, "circuits"), self.circuits)]

    def _adapter(self):
        for adapter in self._api.house.adapters:
            if adapter.name == "circuits":
                return adapter
        raise Problem(404, "not found", "This control process has no channel-associated signalling.")

    async def spans(self, query, body):
        return {"cas": self._adapter().described()}

    async def circuits(self, span, query, body):
        if not isinstance(body, dict) or not isinstance(body.get("do"), str):
            raise Problem(400, "bad request", 'The body must be an object with "do".')
        timeslots = body.get("timeslots")
        if timeslots is not None and (not isinstance(timeslots, list) or not timeslots or
                                      any(type(slot) is not int or not 1 <= slot <= 31 for slot in timeslots)):
            raise Problem(400, "bad request", "timeslots must be a list of numbers from 1 to 31; leave it out for all of the span.")
        if not (span.isascii() and span.isdigit() and len(span) < 3):
            raise Problem(404, "not found", "There is no span %s." % span[:20])
        adapter, number, failed = self._adapter(), int(span), []

        def command(now_ms):
            try:
                adapter.manage_circuits(number, body["do"], timeslots, now_ms)
            except LocalError as error:
                failed.append(error)
        self._api.house.turns.run({"cas": [number, body["do"], timeslots]}, command)
        if failed:
            raise failed[0]
        return next(row for row in adapter.described() if row["span"] == number)
