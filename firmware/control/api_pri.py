"""The part of the local API that manages PRI by hand.

    GET  /v1/pri                             the spans: D channels, what is out of service at which end, counters
    POST /v1/pri/{span}/channels             {"do": "lock" | "drain" | "unlock" | "restart", "timeslots"?: [5, 6]}     without timeslots: all
    POST /v1/pri/{span}/d_channel            {"do": "switch"}       NFAS: the D channel that stands by takes over

The answer of a POST is that of GET for the span as it is then; what the far end must confirm comes later."""

from firmware.control.commands import Problem
from firmware.errors import LocalError


class PRIAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("pri",), self.spans), ("POST", ("pri", None, "channels"), self.channels),
                ("POST", ("pri", None, "d_channel"), self.d_channel)]

    def _adapter(self):
        for adapter in self._api.house.adapters:
            if adapter.name == "spans":
                return adapter
        raise Problem(404, "not found", "This control process has no PRI.")

    async def spans(self, query, body):
        return {"pri": self._adapter().described()}

    async def channels(self, span, query, body):
        timeslots = body.get("timeslots") if isinstance(body, dict) else None
        if timeslots is not None and (not isinstance(timeslots, list) or not timeslots or
                                      any(type(slot) is not int or not 1 <= slot <= 31 for slot in timeslots)):
            raise Problem(400, "bad request", "timeslots must be a list of numbers from 1 to 31; leave it out for all of the span.")
        return self._turn("manage_channels", span, self._verb(body), timeslots)

    async def d_channel(self, span, query, body):
        if self._verb(body) != "switch":
            raise Problem(400, "bad request", 'A D channel takes {"do": "switch"}.')
        return self._turn("switch_d_channel", span)

    @staticmethod
    def _verb(body):
        if not isinstance(body, dict) or not isinstance(body.get("do"), str):
            raise Problem(400, "bad request", 'The body must be an object with "do".')
        return body["do"]

    def _turn(self, name, span, *given):
        """Run a command as a turn; its LocalError becomes the answer (409)."""
        if not (span.isascii() and span.isdigit() and len(span) < 3):
            raise Problem(404, "not found", "There is no span %s." % span[:20])
        adapter, number, failed = self._adapter(), int(span), []

        def command(now_ms):
            try:
                getattr(adapter, name)(number, *given, now_ms)
            except LocalError as error:
                failed.append(error)
        self._api.house.turns.run({"pri": [name, number, *given]}, command)
        if failed:
            raise failed[0]
        return next(row for row in adapter.described() if row["span"] == number)
