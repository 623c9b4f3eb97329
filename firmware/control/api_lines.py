"""The part of the local API that works on lines: loops, loop codes, forced alarms, bit error tests, turn-up.

    GET  /v1/lines                       {"lines": {span: {"loop", "code_sent", "code_received", "bearer", "turn_up"}}}; bearer: what carries it,
                                         of a pseudowire with counters, the far clock's ppm and the delay
    POST /v1/lines/{span}/loop           {"kind": "none"|"local"|"remote"|"payload"|"timeslot", "timeslot"?}
    POST /v1/lines/{span}/code           {"code": name or null}    T1: a loop code to the far end until null
    POST /v1/lines/{span}/force          {"rai"?: bool, "ais"?: bool}
    POST /v1/lines/{span}/turn_up        {"seconds"?: 5..3600, "number"?: called for a test; absent: the configured one, "": none,
                                          "incoming_s"?: 0..3600 to wait for a test call that comes in, "loop"?: true: our own loop
                                          first, with PRBS, no call may be up}     begins; GET /v1/lines/{span}/turn_up is its report
    POST /v1/turn_up                     the same for {"spans": [...] or "all"} beside one another; GET /v1/turn_up is the last run;
                                         {"again": true}: the last run's spans with its options
    POST /v1/turn_up/cancel              ends what runs: what it set on lines is taken back, the reports say what was measured until then;
    POST /v1/lines/{span}/turn_up/cancel     the run that this span is in, with all its spans
    POST /v1/test_calls                  {"span", "number"?} -> {"call"}; GET /v1/test_calls: results, newest first
    GET  /v1/berts                       {"berts": [figures]}
    POST /v1/berts                       {"span", "timeslots": [...] or "all", "pattern", "octet"?} -> {"id"}
    POST /v1/berts/{id}/insert           {"errors"}
    POST /v1/berts/{id}/stop             the last figures"""

from firmware.call.trunk_group import bearers
from firmware.config.written import dialable
from firmware.control.commands import Problem
from firmware.errors import LocalError


class LinesAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("lines",), self.lines), ("POST", ("lines", None, "loop"), self.loop),
                ("POST", ("lines", None, "code"), self.code), ("POST", ("lines", None, "force"), self.force),
                ("POST", ("lines", None, "turn_up"), self.turn_up), ("GET", ("lines", None, "turn_up"), self.report),
                ("POST", ("turn_up",), self.turn_up_many), ("GET", ("turn_up",), self.last_run),
                ("POST", ("turn_up", "cancel"), self.cancel_all), ("POST", ("lines", None, "turn_up", "cancel"), self.cancel),
                ("POST", ("test_calls",), self.test_call), ("GET", ("test_calls",), self.test_calls),
                ("GET", ("berts",), self.berts), ("POST", ("berts",), self.start), ("POST", ("berts", None, "insert"), self.insert),
                ("POST", ("berts", None, "stop"), self.stop)]

    def _adapter(self, name):
        for adapter in self._api.house.adapters:
            if adapter.name == name:
                return adapter
        raise Problem(404, "not found", "This control process has no %s." % name)

    def _row(self, span):
        for row in self._api.house.config.running()["spans"]:
            if row["enabled"] and str(row["span"]) == span:
                return row
        raise Problem(404, "not found", "There is no span %s in service." % span[:20])

    def _free(self, span):
        """The number of a span that the turn-up does not hold."""
        number = self._row(span)["span"]
        self._adapter("turn_up").must_not_hold(number)
        return number

    async def _media(self, do, **parameters):
        reply = await self._api.house.media.client.call(do, **parameters)
        return {name: value for name, value in reply.items() if name not in ("seq", "ok")}

    async def lines(self, query, body):
        tested = self._adapter("turn_up").tested()
        return {"lines": {str(span): {**row, "turn_up": tested.get(span)} for span, row in sorted(self._adapter("lines").lines().items())}}

    async def loop(self, span, query, body):
        kind, timeslot = body.get("kind"), body.get("timeslot")
        if timeslot is not None and type(timeslot) is not int:
            raise Problem(400, "bad parameter", "timeslot is a number.")
        return await self._adapter("lines").loop(self._free(span), kind, timeslot)

    async def code(self, span, query, body):
        code = body.get("code")
        if code is not None and not isinstance(code, str):
            raise Problem(400, "bad parameter", "code is the name of a loop code, or null.")
        return await self._adapter("lines").send_code(self._row(span)["span"], code)

    async def force(self, span, query, body):
        rai, ais = body.get("rai", False), body.get("ais", False)
        if not isinstance(rai, bool) or not isinstance(ais, bool):
            raise Problem(400, "bad parameter", "rai and ais are true or false.")
        return await self._adapter("lines").force(self._free(span), rai, ais)

    async def turn_up(self, span, query, body):
        return self._adapter("turn_up").begin([self._row(span)], **self._options(body))["spans"][0]

    async def turn_up_many(self, query, body):
        spans = body.get("spans", "all")
        if body.get("again"):
            last = self._adapter("turn_up").whole()
            spans = [report["span"] for report in last["spans"]]
            body = {**last["options"], **body}
        rows = [row for row in self._api.house.config.running()["spans"] if row["enabled"]]
        if spans != "all":
            if not isinstance(spans, list) or not spans or any(type(span) is not int for span in spans) or len(set(spans)) != len(spans):
                raise Problem(400, "bad parameter", "spans is a list of different numbers, or all.")
            rows = [self._row(str(span)) for span in sorted(spans)]
        if not rows:
            raise Problem(404, "not found", "There is no span in service.")
        return self._adapter("turn_up").begin(rows, **self._options(body))

    async def cancel_all(self, query, body):
        return await self._adapter("turn_up").cancel()

    async def cancel(self, span, query, body):
        return await self._adapter("turn_up").cancel(self._row(span)["span"])

    async def last_run(self, query, body):
        return self._adapter("turn_up").whole()

    @staticmethod
    def _options(body):
        """The options of a turn-up, checked."""
        options = {name: body[name] for name in ("seconds", "number", "incoming_s", "loop") if body.get(name) is not None}
        for name, low in (("seconds", 5), ("incoming_s", 0)):
            value = options.get(name, low)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 3600:
                raise Problem(400, "bad parameter", "%s is a number of seconds: %d to 3600." % (name, low))
        if not isinstance(options.get("loop", False), bool):
            raise Problem(400, "bad parameter", "loop is true or false.")
        if "number" in options:
            options["number"] = _number(options["number"])
        return options

    async def test_call(self, query, body):
        number = body.get("number") or (self._api.house.config.running().get("turn_up") or {}).get("number", "")
        return {"call": await self._adapter("test_calls").begin(self._row(str(body.get("span")))["span"], _number(number))}

    async def test_calls(self, query, body):
        return {"test_calls": self._adapter("test_calls").list()}

    async def report(self, span, query, body):
        return self._adapter("turn_up").report(self._row(span)["span"])

    async def berts(self, query, body):
        return await self._media("berts")

    async def start(self, query, body):
        row = self._row(str(body.get("span")))
        timeslots = body.get("timeslots", "all")
        if timeslots == "all":
            timeslots = [n for n in range(1, 32 if row["type"] == "e1" else 25)
                         if n in bearers(row) or row["signalling"] == "none"]
        most = 31 if row["type"] == "e1" else 24
        if not isinstance(timeslots, list) or not timeslots or any(type(n) is not int or not 1 <= n <= most for n in timeslots):
            raise Problem(400, "bad parameter", "Give timeslots by numbers from 1 to %d, or all of them." % most)
        name = "bert-%d-%s" % (row["span"], timeslots[0] if len(timeslots) == 1 else "all")
        await self._media("bert_start", id=name, span=row["span"], timeslots=timeslots, pattern=body.get("pattern", "prbs15"),
                          octet=body.get("octet", 0xFF))
        return {"id": name}

    async def insert(self, name, query, body):
        return await self._media("bert_insert", id=name, errors=body.get("errors", 1))

    async def stop(self, name, query, body):
        told = await self._media("bert_stop", id=name)
        if "bert" not in told:
            raise LocalError("no test %s runs" % name[:40])
        return told["bert"]


def _number(value):
    """The digits of a number that a person gave."""
    value = dialable(value) if isinstance(value, str) else value
    if not isinstance(value, str) or len(value) > 32 or any(digit not in "0123456789*#" for digit in value):
        raise Problem(400, "bad parameter", "number is the digits of a telephone number, at most 32.")
    return value
