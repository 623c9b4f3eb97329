"""Streams of audio to and from services outside (recognition, synthesis, programs of the house's own): the part of IVRServices that media carries.

The switchboard's ivr.ask of kinds recognize and speak, and ivr.stream, become media's stream_open and stream_close in the same turn, before what is
to be played of them.  What media tells of them becomes ivr.answer, ivr.speech and stream.told.  Media and its streaming process go on
while control is away; media's events wait for the next control, so an answer that comes meanwhile is not lost.  A stream that nobody wants any more is closed
when the records are on the disk that say so (committed), and after a restart (media_found).

Texts that are spoken and tokens go to media as `private`, which no log shows."""

import asyncio
import logging

from firmware.errors import LocalError

log = logging.getLogger(__name__)

KINDS = ("recognize", "speak", "fax")
CLOSED_S = 5                # ours: after which the streaming process has let go of a file


class Speech:
    """house: turns, media, switchboard.  rows: function() -> {name: service of the configuration}."""

    def __init__(self, house, rows):
        self.house, self.rows = house, rows
        self.open = {}                  # stream: (kind, call, leg, service)
        self.heard = 0
        house.media.listeners["stream"] = self._told

    # orders of the switchboard, inside its turn

    def ask(self, action):
        """An ivr.ask of KINDS."""
        request, token = action["request"], action["token"]
        if action["ask"] == "fax":
            self._fax(action, request, token)
            return
        start = {"language": request["language"], "call": action["call"]}
        private = {}
        if action["ask"] == "recognize":
            start["phrases"] = request["phrases"]
        else:
            start["voice"] = request["voice"]
            private["text"] = request["text"]
        self._open(token, action["ask"], action["call"], action["leg"], None, request["service"], start, private, request.get("first_s"))

    def _fax(self, action, request, token):
        """A document goes to the leg, or comes from it; media's streaming process is the machine."""
        name = request["document"]
        self.open[token] = ("fax", action["call"], action["leg"], "fax")
        try:
            path = self.house.documents.receiving(name) if request["role"] == "receives" else self.house.documents.file(name)
        except (LocalError, OSError) as error:
            self._failed(token, str(error))
            return
        self.house.media.command("stream_open", None, lambda error, now_ms: self._failed(token, str(error)), id=token, left=action["leg"], purpose="fax",
                                 document=path, role=request["role"], station=request["station"], header=request["header"])

    def stream(self, action):
        """An ivr.stream."""
        if action["on"]:
            self._open(action["stream"], "stream", action["call"], action["leg"], action.get("other"), action["service"], {"call": action["call"]}, {}, None)
        else:
            self._close(action["stream"])

    def _open(self, name, kind, call, leg, other, service, start, private, first_s):
        row = self.rows().get(service)
        self.open[name] = (kind, call, leg, service)
        if row is None or row["kind"] != "speech":
            self._failed(name, "there is no speech service %s any more" % service)
            return
        self.house.media.command("stream_open", None, lambda error, now_ms: self._failed(name, str(error)), id=name, left=leg, right=other, purpose=kind,
                                 url=row["address"], audio=row["audio"], verify=row["verify"], first_s=int(first_s or row["timeout_s"]) or 1, start=start,
                                 private={"token": row["token"], "start": private})

    def _close(self, name):
        if self.open.pop(name, None) is not None:
            self.house.media.command("stream_close", id=name)

    # what media tells, inside a turn

    def _told(self, event, now_ms):
        name, what = event["id"], event["what"]
        kind, call, leg, service = self.open.get(name, (None, None, None, None))
        if kind is None:
            return True
        if kind == "stream":
            told = dict([(field, event[field]) for field in ("text", "confidence", "message", "error") if event.get(field) is not None])
            self.house.turns.post({"kind": "stream.told", "stream": name, "leg": leg, "what": what, "value": told})
        elif what == "page":
            self.house.turns.post({"kind": "fax.page", "call": call, "token": name, "pages": event["pages"]})
        elif what == "fax":
            self._fax_ended(name, service, event)
        elif what == "speech":
            self.house.turns.post({"kind": "ivr.speech", "call": call, "token": name})
        elif what == "text":
            self.heard += 1
            self._answer(name, True, {"text": event["text"], "confidence": event.get("confidence")})
        elif what in ("failed", "interrupted") and (kind in ("speak", "fax") or what == "failed"):
            self._failed(name, str(event.get("error") or "it failed"))
        return True

    def _fax_ended(self, name, service, event):
        """What came is kept before anybody is told of it; pages that the other machine believes in and are not there are no success."""
        why, told = event["why"], {"pages": event["pages"], "rate": event["rate"], "ecm": event["ecm"], "station": event["station"]}
        if event.get("role") == "receives":
            came = self._received(name)
            if came is not None:
                told["document"] = came["document"]
            kept = came["pages"] if came is not None else 0
            if event["ok"] and kept < event["pages"]:
                why = "only %d of %d pages that were confirmed could be kept" % (kept, event["pages"])
        if why is not None:
            log.warning("services: the fax %s: %s", name, why)
        self._answer(name, why is None, told if why is None else "%s: %s" % (service, why), told)

    def _received(self, name):
        """As documents.received()."""
        try:
            return self.house.documents.received(name)
        except OSError as error:
            log.error("services: the fax %s is not kept yet: %s", name, error)
            return None

    def _adopt_soon(self):
        asyncio.get_running_loop().call_later(CLOSED_S, self._adopt)

    def _adopt(self):
        """Pages of faxes whose call, or machine, has ended in their middle are documents, too."""
        try:
            self.house.documents.adopt(set(self.open))
        except OSError as error:
            log.error("services: received faxes are not kept yet: %s", error)

    def _failed(self, name, why):
        """Inside a turn, or (refused by media) in one of its own."""
        kind, call, leg, service = self.open.get(name, (None, None, None, None))
        if kind == "stream":
            self.house.turns.post({"kind": "stream.told", "stream": name, "leg": leg, "what": "failed", "value": {"error": why}})
        elif kind is not None:
            log.warning("services: call %s: %s: %s", call, service, why)
            self._answer(name, False, "%s: %s" % (service, why))
            if kind == "fax":
                self._adopt_soon()

    def _answer(self, name, ok, result, fax=None):
        kind, call, leg, service = self.open[name]
        self._close(name)
        self.house.turns.post({"kind": "ivr.answer", "call": call, "token": name, "ok": ok, "result": result, **({"fax": fax} if fax else {})})

    # what is no longer wanted

    def _wanted(self, name):
        kind, call, leg, service = self.open[name]
        state = self.house.switchboard.core.state
        if kind == "stream":
            known = state.legs.get(leg)
            return known is not None and name in known.streams
        known = state.calls.get(call)
        return known is not None and known.request is not None and known.request["token"] == name

    def committed(self, records):
        """Close streams of calls that went elsewhere."""
        gone = [name for name in self.open if not self._wanted(name)]
        if gone:
            asyncio.get_running_loop().call_soon(self.house.turns.run, "streams", self._close_all, gone)

    def _close_all(self, names, now_ms):
        for name in names:
            if name in self.open and not self._wanted(name):
                fax = self.open[name][0] == "fax"
                self._close(name)
                if fax:
                    self._adopt_soon()

    def media_found(self, audit):
        """After a restart: streams that media still has are ours again, or nobody's."""
        state = self.house.switchboard.core.state
        wanted = {}
        for call in state.calls.values():
            if call.request is not None and call.request["ask"] in KINDS:
                wanted[call.request["token"]] = (call.request["ask"], call.id, call.caller_leg, "service")
        for leg in state.legs.values():
            for name in leg.streams:
                wanted[name] = ("stream", leg.call, leg.id, leg.streams[name]["service"])
        for row in audit.get("streams") or []:
            if row["id"] in wanted:
                self.open[row["id"]] = wanted[row["id"]]
            else:
                self.house.media.command("stream_close", id=row["id"])
        self._adopt_soon()

    def media_lost(self):
        """All streams ended with it."""
        self.open.clear()
