"""The part of the local API that acts on calls that are up and on agents.

    POST /v1/calls/{id}/hold|retrieve|conference|change_over   {"by"?}
    POST /v1/calls/{id}/network                    {"verb": "hold"|"retrieve"|"transfer", "leg"?, "by"?}     the network of the trunk does it (EN 300 141, 369)
    POST /v1/calls/{id}/malicious                  {"leg"?, "by"?}               the network registers the caller (MCID)
    POST /v1/calls/{id}/consult                    {"to": "agent"|"line"|"queue"|"number", "target", "by"?, "join"?}
    POST /v1/calls/{id}/transfer                   {"to"?, "target"?, "by"?}     without target: to the consulted party
    POST /v1/calls/{id}/park                       {"place"?, "by"?} -> {"place"}
    POST /v1/calls/{id}/pick_up                    {"agent"|"line"}              which telephone takes it
    POST /v1/calls/{id}/record                     {"action": "start"|"stop"|"pause"|"resume", "format"?, "channels"?, "text"?, "by"?}
    POST /v1/calls/{id}/play                       {"leg"?, "prompt"|"number"|"digits"|"music"|"tone", "language"?, "repeat"?, "start_ms"?, "resume"?,
                                                    "volume_db"?, "speed"?: 0.5 to 2, "by"?} -> {"start_ms"}
    POST /v1/calls/{id}/player                     {"leg"?, "pause"?, "seek_ms"?, "volume_db"?, "speed"?, "stop"?, "by"?}
    POST /v1/calls/{id}/party                      {"leg", "mute"?, "gain_db"?, "by"?}      one party of the conversation
    POST /v1/calls/{id}/room                       {"loudest"?: 0 to 16, "tones"?, "by"?}   how many are heard at once, 0: all; whether tones tell who comes and goes
    POST /v1/calls/{id}/monitor                    {"mode", "agent"|"line", "level_db"?, "by"?}
    POST /v1/calls/{id}/listen                     {"leg"?, "modem"?, "progress"?, "answer"?, "caller_id"?: "off"|"v23"|"bell202", "r1"?, "quiet"?: seconds, 0 off}
    POST /v1/calls/{id}/enhance                    {"leg"?, "echo"?, "long_tail"?, "noise"?, "level"?: "off"|"agc"|"alc", "vad"?}
    POST /v1/calls/{id}/send                       {"leg"?, "tone" and "duration_ms" | "dtmf" | "r1" | "caller_id": {"number", "name"?, ...}}
    POST /v1/calls/{id}/stream                     {"action": "start"|"stop", "leg"?, "service"?, "both"?, "stream"?} -> {"stream"}   a leg's audio to a speech service
    POST /v1/pick_up                               {"target": agent or line where it rings, "agent"|"line"}
    POST /v1/parked/{place}/fetch                  {"agent"|"line"}
    POST /v1/agents/{name}/log_in                  {"line", "pin"?, "status"?}
    POST /v1/agents/{name}/wrap_up                 {"end"?}                      longer, or over now
    POST /v1/agents/{name}/queues                  {"queues": [{"queue", "level"?, "weight"?}], "by"?}; without queues: the configured ones again
    GET  /v1/announcements                         [{"name", "on", "since_ms", "by", "prompt", "then", "numbers", "queues", "label"}]
    POST /v1/announcements/{name}                  {"on", "by"?}
    GET  /v1/callbacks                             shape: core_callbacks.snapshot
    POST /v1/callbacks                             {"queue", "number", "agent"?, "at_ms"?, "note"?} -> {"callback"}
    POST /v1/callbacks/{id}/cancel                 {"by"?}
    GET  /v1/mailboxes, /v1/mailboxes/{name}       counts; the messages of one (core_mailboxes.told)
    GET  /v1/messages/{id}/audio                   the sound, a WAV file
    POST /v1/messages/{id}                         {"state": "new"|"read", "by"?}
    POST /v1/messages/{id}/delete                  {"by"?}

"leg" is the leg's id, "caller" or "agent" (the other side); what was heard is a record leg.heard, and in the state's legs.
"by" names who acts where it is not plain: an agent or a line.  409 and a sentence: not possible now."""

import os

from firmware.control import core_mailboxes, roles
from firmware.control.commands import Problem, not_found
from firmware.control.mailer import mono
from firmware.control.operations import operate

OF_A_CALL = ("network", "malicious", "hold", "retrieve", "consult", "conference", "change_over", "transfer", "park", "pick_up", "monitor", "record", "play", "player", "party", "room", "listen", "enhance", "send", "stream")


class OperationsAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("POST", ("calls", None, name), self._of_call(name)) for name in OF_A_CALL] + [
            ("POST", ("pick_up",), self.pick_up), ("POST", ("parked", None, "fetch"), self.fetch),
            ("GET", ("announcements",), self.announcements), ("POST", ("announcements", None), self.announcement),
            ("GET", ("mailboxes",), self.mailboxes), ("GET", ("mailboxes", None), self.mailbox),
            ("GET", ("messages", None, "audio"), self.message_audio), ("POST", ("messages", None), self.message),
            ("POST", ("messages", None, "delete"), self.message_delete),
            ("GET", ("callbacks",), self.callbacks), ("POST", ("callbacks",), self.callback),
            ("POST", ("callbacks", None, "cancel"), self.callback_cancel),
            ("POST", ("agents", None, "queues"), self.assign),
            ("POST", ("agents", None, "log_in"), self.log_in), ("POST", ("agents", None, "wrap_up"), self.wrap_up)]

    async def _do(self, operation, body, **path):
        doubled = [name for name in path if name in body]
        if doubled:
            raise Problem(422, "twice", "%s stands in the path; leave it out of the body." % doubled[0])
        return {"ok": True, **await operate(self._api.house, operation, {**body, **path})}

    def _of_call(self, name):
        async def handler(call, query, body):
            return await self._do(name, body, call=call)
        return handler

    async def pick_up(self, query, body):
        return await self._do("pick_up", body)

    async def fetch(self, place, query, body):
        if not (place.isascii() and place.isdigit() and len(place) < 6):
            raise Problem(404, "not found", "There is no place %s." % place[:20])
        return await self._do("unpark", body, place=int(place))

    async def log_in(self, agent, query, body):
        return await self._do("agent_log_in", body, agent=agent)

    async def announcements(self, query, body):
        return {"announcements": self._api.house.state()["announcements"]}

    async def announcement(self, name, query, body):
        return await self._do("announcement", body, name=name)

    async def mailboxes(self, query, body):
        return {"mailboxes": self._api.house.state()["mailboxes"]}

    async def mailbox(self, name, query, body):
        core = self._api.house.switchboard.core
        if name not in core.mailbox_rows:
            raise not_found("mailbox", name[:32])
        return {"messages": core_mailboxes.told(core, name)}

    def _message(self, name):
        row = self._api.house.switchboard.core.state.messages.get(name)
        if row is None or row["state"] == "recording":
            raise not_found("message", name[:32])
        return row

    async def message_audio(self, name, query, body):
        path = os.path.join(self._api.house.data_dir, self._message(name)["path"])
        try:
            return await self._api.in_reader(lambda: mono(path))
        except OSError as error:
            raise Problem(404, "not found", "The sound of message %s cannot be read: %s." % (name[:32], error.strerror)) from error

    async def message(self, name, query, body):
        self._message(name)
        return await self._do("message_state", body, message=name)

    async def message_delete(self, name, query, body):
        self._message(name)
        return await self._do("message_delete", body, message=name)

    async def callbacks(self, query, body):
        rows = self._api.house.state()["callbacks"]
        _, served = roles.domain(self._api.house.config.running(), roles.WHO.get())
        return {"callbacks": [row for row in rows if served is None or row["queue"] in served]}

    async def callback(self, query, body):
        return await self._do("callback", body)

    async def callback_cancel(self, name, query, body):
        if not any(row["callback"] == name for row in self._api.house.state()["callbacks"]):
            raise not_found("callback", name[:32])
        return await self._do("callback_cancel", body, callback=name)

    async def assign(self, agent, query, body):
        return await self._do("assign", body, agent=agent)

    async def wrap_up(self, agent, query, body):
        return await self._do("wrap_up", body, agent=agent)
