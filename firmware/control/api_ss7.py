"""The part of the local API that manages SS7 by hand.

    GET  /v1/ss7                                        the signalling points: links, destinations, circuit groups
    POST /v1/ss7/{point}/links/{link}    {"do": "activate" | "deactivate" | "inhibit" | "uninhibit"}
    POST /v1/ss7/{point}/circuits/{group}    {"do": "block" | "unblock" | "reset" | "check", "cics": [5, 6]}   without cics: all; check: one
                                             {"do": "suspend" | "resume" | "meter" | "operator", "cics": [5]}  of the answered calls there

The answer of a POST is the point as it is then; what the far end must confirm comes later."""

from firmware.control.commands import Problem
from firmware.errors import LocalError


class SS7API:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("ss7",), self.points), ("POST", ("ss7", None, "links", None), self.link),
                ("POST", ("ss7", None, "circuits", None), self.circuits)]

    def _adapter(self):
        for adapter in self._api.house.adapters:
            if adapter.name == "ss7":
                return adapter
        raise Problem(404, "not found", "This control process has no SS7.")

    async def points(self, query, body):
        return {"ss7": [point.describe() for _, point in sorted(self._adapter().points.items())]}

    async def link(self, point, link, query, body):
        return self._turn("manage_link", point, link, self._verb(body))

    async def circuits(self, point, group, query, body):
        cics = body.get("cics") if isinstance(body, dict) else None
        if cics is not None and (not isinstance(cics, list) or not cics or any(type(cic) is not int for cic in cics)):
            raise Problem(400, "bad request", "cics must be a list of whole numbers; leave it out for all of the group.")
        return self._turn("manage_circuits", point, group, self._verb(body), cics)

    @staticmethod
    def _verb(body):
        if not isinstance(body, dict) or not isinstance(body.get("do"), str):
            raise Problem(400, "bad request", 'The body must be an object with "do".')
        return body["do"]

    def _turn(self, name, point, *given):
        """Run a command as a turn; its LocalError becomes the answer (409)."""
        adapter, failed = self._adapter(), []

        def command(now_ms):
            try:
                getattr(adapter, name)(point, *given, now_ms)
            except LocalError as error:
                failed.append(error)
        self._api.house.turns.run({"ss7": [name, point, *given]}, command)
        if failed:
            raise failed[0]
        return adapter.points[point].describe()
