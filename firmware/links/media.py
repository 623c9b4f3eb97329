"""Joins the switchboard to the media process.

Actions media.* and the adapters' own wishes (terminations, links) become commands.
They are collected during a turn and sent after its commit (an RTP termination is asked for before it: reserve()), in order, without waiting for
replies: media carries them out in the order in which they come.  A refusal
becomes a switchboard event of the leg or recording concerned.

Events of media become switchboard events.  Each is acknowledged after the commit
of its turn; media repeats what was not acknowledged to the next control process, and the
inbox drops what was.

Media lost: the house is told once (`on_lost`), commands are dropped
until it is back; what stands in the switchboard is cleared by "media.lost".
"""

import asyncio
import logging
import os

from firmware.call import outside
from firmware.config.tones import plan_of
from firmware.errors import LocalError
from firmware.links.adapter import Adapter
from firmware.media.client import MediaClient

log = logging.getLogger(__name__)

EVENTS = {  # media's kind: (switchboard kind, name that "id" gets, fields passed on)
    "signal_complete": ("media.signal_complete", "leg", ("token", "reason", "position_ms")),
    "digit": ("media.digit", "leg", ("digit", "duration_ms")),
    "record_closed": ("media.record_closed", "recording", ("octets", "duration_ms")),
    "record_failed": ("media.record_failed", "recording", ("error",)),
    "record_mark": (None, "recording", ()),         # for the index alone
    "rtp_timeout": ("media.rtp_timeout", "leg", ()),
    "rtp_started": ("media.rtp_started", "leg", ()),
    "audio": ("media.audio", "leg", ("direction", "missing", "reason")),
    "modem_tone": ("media.modem_tone", "leg", ("tone", "on")),
    "leg_quality": ("media.leg_quality", "leg", ("call", "quality")),
}

HEARD = {"progress": "progress", "answer": "answer", "caller_id": "caller_id", "quiet": "quiet", "mf": "r1"}      # media's kind: what the core calls it
HEARD_FIELDS = ("tone", "on", "who", "ms", "quiet", "hz", "words", "fields", "error", "plan", "signal")


def _place(parameters):
    return parameters.get("span"), parameters.get("timeslot")


class MediaLink(Adapter):
    """The adapter of the media process.

    turns: control/turns.py.  stores: for the recordings index.  prompts: links/prompts.py.
    call_of(leg): the call a leg belongs to (for the index).  on_lost(reason): media went away.
    on_signalling(message, now_ms): one message of layer 2, inside a turn.  on_board(event,
    now_ms): the board came or went.  client: for tests."""

    name = "media"

    def __init__(self, run_dir, data_dir, epoch, turns, stores, prompts, call_of, on_signalling, on_lost,
                 on_board=None, client=None):
        self.turns, self.stores, self.prompts, self.call_of = turns, stores, prompts, call_of
        self.data_dir = str(data_dir)
        self.on_board = on_board
        self.on_lost = on_lost
        self.on_signalling = on_signalling
        self.client = client or MediaClient(str(run_dir), epoch, self._event, self._signalling, self._lost, turns.together)
        self.boot_id = None
        self.known_boot_id = (stores.machines.load("media") or {}).get("boot_id")
        self.serving = False
        self.enhanced = {}          # leg: what a command wants done to its sound, before the configuration
        self.emergency = frozenset()        # numbers; configure()
        self._country, self._own = {}, {}   # tones, of the house's own; found(), configure()
        self.listeners = {}         # media's kind: function(event, now_ms) of an adapter; True: that was all
        self.refused = 0
        self._waiting = {}          # leg that cannot hear yet: the signal it shall hear then, or None
        self._commands = []
        self._asked = []            # commands that need not wait for the commit: reserve()
        self._last_commands = []
        self._turn_from = 0         # the first of _commands of the present turn
        self._places = {}           # leg: (span, timeslot) of its termination
        self._index = list(stores.unwritten.recordings)
        self._ack = self._ack_signalling = 0
        self._held = None
        self._missing = set()
        self._boot_noted = True

    # -- connection --

    async def connect(self, wait_s):
        """Connect; events are held back until serve().  Returns media's greeting."""
        self._held = []
        hello = await self.client.connect(wait_s)
        self.boot_id = str(hello["boot_id"])
        return hello

    async def audit(self):
        """Everything that stands in media."""
        return await self.client.audit()

    def found(self, tones, now_ms, terminations=()):
        """In the turn that joins this life of media: remember it, give it the country's tones."""
        self._places = {row["id"]: _place(row) for row in terminations if isinstance(row, dict) and "timeslot" in row}
        self._country = tones
        self._tell_tones()
        self.known_boot_id = self.boot_id
        self._boot_noted = False

    def serve(self):
        """The switchboard has been resumed: let commands out and events in."""
        self.serving = True
        held, self._held = self._held or [], None
        for receive, message in held:
            receive(message)

    def repair_index(self, measured):
        """Recordings that nobody closes any more: measured = [(recording, octets, duration_ms, why)]; a turn's function."""
        self._index += [("interrupted", *row) for row in measured]

    def forget_recordings(self, recordings):
        """Their files are gone; a turn's function."""
        self._index += [("removed", recording) for recording in recordings]

    def _lost(self, reason):
        self.serving = False
        self._commands, self._asked, self._last_commands, self._held, self._waiting, self._turn_from, self._places = [], [], [], None, {}, 0, {}
        self.enhanced = {}
        self._ack = self._ack_signalling = 0
        self.on_lost(reason)

    # -- commands --

    def command(self, do, on_reply=None, on_error=None, **parameters):
        """Queue a command for after the commit; the callbacks run as turns of their own: f(reply, now_ms)."""
        self._commands.append((do, parameters, on_reply, on_error))
        if do == "add" and "timeslot" in parameters:
            self._places[parameters["id"]] = _place(parameters)

    def reserve(self, on_reply, on_error, **parameters):
        """Ask for an RTP termination at the end of this turn already: it is nothing outside, and the audit of the next control process
        finds one that nobody knows.  So a call waits for one commit less.  Otherwise as command()."""
        self._asked.append(("add", dict(parameters, kind="rtp"), on_reply, on_error))

    def configure(self, config, now_ms=0):
        """Which numbers are emergency numbers, and tones of the house."""
        own, self._own = self._own, plan_of(config.get("tones") or [])
        if self.serving and own != self._own:
            self._tell_tones()
        self.emergency = frozenset(row["number"] for row in config["routes"] if row["class"] == outside.EMERGENCY)

    def _tell_tones(self):
        self.command("tones", plan=self._country, own=self._own)

    def urgent(self, digits, priority=False):
        """What "add" needs besides for the leg of an emergency call.  digits: called; priority: it is one whatever they are."""
        return {"emergency": True} if priority or digits in self.emergency else {}

    def hold(self, leg):
        """The leg is being answered and cannot hear yet (register signals): what is to be played to it waits for ready()."""
        self._waiting.setdefault(leg, None)

    def hears(self, leg):
        """Whether a leg hears what is played to it: hold() and ready()."""
        return leg not in self._waiting

    def ready(self, leg, now_ms):
        """The leg hears from now on."""
        action = self._waiting.pop(leg, None)
        if action is not None:
            self._do_signal(action, now_ms)

    def subtract(self, leg):
        """Queue the removal of a leg's termination, behind all other commands of this turn."""
        self._waiting.pop(leg, None)
        self.enhanced.pop(leg, None)
        if not any(command[1]["id"] == leg for command in self._last_commands):     # the adapter and the switchboard both ask
            self._last_commands.append(("subtract", {"id": leg, "call": self.call_of(leg)}, None, None))

    def carry_out(self, action, now_ms):
        """One media.* action of the switchboard."""
        getattr(self, "_do_" + action["do"].split(".")[1])(action, now_ms)

    def _do_signal(self, action, now_ms):
        leg, token = action["leg"], action["token"]
        if leg in self._waiting:
            self._waiting[leg] = action
            return
        items, missing = self.prompts.items(action["items"])
        for sentence in missing:
            if sentence not in self._missing:
                self._missing.add(sentence)
                log.error("media: %s", sentence)

        def refused(error, now_ms):
            self.turns.post({"kind": "media.signal_complete", "leg": leg, "token": token, "reason": "error", "error": str(error)})
        more = {name: action[name] for name, usual in (("start_ms", 0), ("volume_db", 0), ("speed", 1)) if action.get(name, usual) != usual}
        self.command("signal", None, refused, id=leg, token=token, items=items, repeat=action.get("repeat", 1), **more)

    def _do_player(self, action, now_ms):
        more = {name: action[name] for name in ("pause", "volume_db", "speed", "seek") if name in action}
        self.command("player", id=action["leg"], token=action["token"], **more)

    def _do_stop(self, action, now_ms):
        if self._waiting.get(action["leg"]) is not None:
            self._waiting[action["leg"]] = None
            return
        self.command("stop", id=action["leg"], **({"token": action["token"]} if action.get("token") else {}))

    def _do_detect(self, action, now_ms):
        more = {"modem": True} if action.get("modem") else {}
        self.command("detect", id=action["leg"], dtmf=bool(action["dtmf"]), **more)

    def _do_listen(self, action, now_ms):
        leg, wishes = action["leg"], action["wishes"]

        def refused(error, now_ms):
            self.turns.post({"kind": "media.heard", "leg": leg, "what": "refused", "value": {"error": str(error)}})
        given = dict([(name, wishes[name]) for name in ("modem", "progress") if name in wishes])
        if "answer" in wishes:
            given["answer"] = {} if wishes["answer"] else None
        if "caller_id" in wishes:
            given["caller_id"] = None if wishes["caller_id"] == "off" else wishes["caller_id"]
        if "quiet" in wishes:
            given["quiet_s"] = wishes["quiet"]
        if given:
            self.command("detect", None, refused, id=leg, **given)
        if "r1" in wishes:
            self.command("mf_listen", None, refused, id=leg, plan="r1" if wishes["r1"] else None)

    def _do_enhance(self, action, now_ms):
        leg = action["leg"]
        self.enhanced[leg] = dict(action["effects"])

        def refused(error, now_ms):
            self.turns.post({"kind": "media.heard", "leg": leg, "what": "refused", "value": {"error": str(error)}})
        self.command("enhance", None, refused, id=leg, **action["effects"])

    def _do_bridge(self, action, now_ms):
        legs = list(action["legs"])

        def refused(error, now_ms):
            for leg in legs:
                self.turns.post({"kind": "leg.released", "leg": leg, "cause": error.cause, "by": "failure"})
        self.command("bridge", None, refused if legs else None, id=action["bridge"], legs=legs)

    def _do_topology(self, action, now_ms):
        self.command("topology", bridge=action["bridge"], way=action["way"], **{"from": action["from"], "to": action["to"]})

    def _do_conference(self, action, now_ms):
        self.command("conference", bridge=action["bridge"], loudest=action["loudest"],
                     **{name: action[name] for name in ("gain_db", "muted") if name in action})

    def _do_record(self, action, now_ms):
        recording = action["recording"]
        path = os.path.join(self.data_dir, action["path"])
        call = action.get("call") or self.call_of(action.get("left")) or self.call_of(action.get("right"))
        more = {name: action[name] for name in ("format", "channels") if name in action}
        self._index.append(("started", recording, call, path, now_ms,
                            "%s %s" % (more.get("format", "alaw"), more.get("channels", "stereo"))))

        def refused(error, now_ms):
            self._index.append(("failed", recording, str(error)))
            self.turns.post({"kind": "media.record_failed", "recording": recording, "error": str(error)})
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:        # the call is worth more than its recording
            log.error("media: call %s is not recorded, its folder cannot be made: %s. Look at the data disk and its rights",
                      call, error)
            refused(error, now_ms)
            return
        self.command("record", None, refused, id=recording, path=path, left=action.get("left"),
                     right=action.get("right"), **more)

    def _do_record_stop(self, action, now_ms):
        self.command("record_stop", id=action["recording"])

    def _do_record_pause(self, action, now_ms):
        self.command("record_pause", id=action["recording"], pause=action["pause"], text=action["text"])

    def _do_record_legs(self, action, now_ms):
        self.command("record_legs", id=action["recording"], left=action["left"], right=action["right"], text=action["text"])

    def _do_subtract(self, action, now_ms):
        self.subtract(action["leg"])

    # -- the turn --

    def turned(self):
        """Removals go behind all else of their turn and before what the next turn wants; but a timeslot is given back before
        another leg of the turn takes it (both ends seized it, and the far end's call won)."""
        for command in self._last_commands:
            leg = command[1]["id"]
            place = self._places.pop(leg, None)
            added = [n for n in range(self._turn_from, len(self._commands)) if place is not None and self._commands[n][0] == "add" and _place(self._commands[n][1]) == place]
            own = max((n for n in added if self._commands[n][1]["id"] == leg), default=-1)      # where circuits are reset, several legs have a timeslot in one turn
            self._commands.insert(min((n for n in added if n > own), default=len(self._commands)), command)
        self._last_commands = []
        self._turn_from = len(self._commands)
        asked, self._asked = self._asked, []
        self._send_all(asked)

    def dirty(self):
        """The recordings index has something to write."""
        return bool(self._index) or not self._boot_noted

    def save(self, stores):
        """Write the recordings index (inside the transaction)."""
        stores.machines.save("media", {"boot_id": self.known_boot_id})
        for entry in self._index:
            getattr(stores.recordings, entry[0])(*entry[1:])

    def saved(self):
        """The transaction is committed."""
        self._index = []
        self._boot_noted = True

    def flush(self):
        """Send the commands of this turn."""
        self.turned()
        if not self._commands:
            return
        commands, self._commands, self._turn_from = self._commands, [], 0
        self._send_all(commands)

    def _send_all(self, commands):
        if len(commands) == 1:
            self._send(*commands[0])
        elif commands:
            with self.client.together():
                for command in commands:
                    self._send(*command)

    def _send(self, do, parameters, on_reply, on_error):
        def answered(reply, error):
            if error is not None:
                self._refused(do, parameters, on_error, error)
            elif on_reply is not None:
                self.turns.run({"media": do, "id": parameters.get("id")}, on_reply, reply)
        try:
            if not self.client.connected:
                raise LocalError("media is not there")
            self.client.post(do, parameters, answered)
        except LocalError as error:
            self._refused(do, parameters, on_error, error)

    def _refused(self, do, parameters, on_error, error):
        error.cause = getattr(error, "cause", None) or 41
        if self.client.connected:
            self.refused += 1
            log.warning("media: %s %r was refused: %s", do, {name: value for name, value in parameters.items() if name != "private"}, error)
        if on_error is not None and self.client.connected:
            self.turns.run({"media": do, "id": parameters.get("id")}, on_error, error)

    def drop(self, leg, now_ms):
        """Handling of a leg failed: remove what media has of it."""
        self.subtract(leg)

    # -- events --

    def _signalling(self, message):
        if self._held is not None:
            self._held.append((self._signalling, message))
            return
        number = message["n"]
        self.turns.run({"signalling": message}, self.on_signalling, message,
                       source=("signalling", self.boot_id, number),
                       done=lambda: self._acknowledge_signalling(number))

    def _event(self, event):
        if self._held is not None:
            self._held.append((self._event, event))
            return
        number = event["event"]
        self.turns.run({"media event": event}, self._take, event, source=("media", self.boot_id, number),
                       done=lambda: self._acknowledge(number))

    def _take(self, event, now_ms):
        kind = event.get("kind")
        if kind == "board" and self.on_board is not None:
            self.on_board(event, now_ms)
        if kind in self.listeners and self.listeners[kind](event, now_ms):
            return
        if kind in HEARD:
            self.turns.post({"kind": "media.heard", "leg": event["id"], "what": HEARD[kind],
                             "value": dict([(name, event[name]) for name in event if name in HEARD_FIELDS])})
            return
        known = EVENTS.get(kind)
        if known is None:
            if kind not in ("board", "media_failed", "voice", "tone_2100"):
                log.warning("media: event of an unknown kind is passed over: %r", event)
            elif kind == "media_failed":
                log.error("media: %s failed: %s", event.get("id"), event.get("error"))
            return
        name, subject, fields = known
        if kind == "record_mark":
            self._index.append(("marked", event["id"], event["ms"], event["mark"], event["text"]))
            return
        posted = {"kind": name, subject: event["id"]}
        for field in fields:
            posted[field] = event.get(field)
        if kind == "record_closed":
            self._index.append(("closed", event["id"], event["octets"], event["duration_ms"]))
        elif kind == "record_failed":
            self._index.append(("failed", event["id"], event.get("error")))
        self.turns.post(posted)

    def _acknowledge(self, number):
        """Acknowledge once a loop round, not once an event."""
        if not self._ack and not self._ack_signalling:
            asyncio.get_running_loop().call_soon(self._send_acks)
        self._ack = max(self._ack, number)

    def _acknowledge_signalling(self, number):
        if not self._ack and not self._ack_signalling:
            asyncio.get_running_loop().call_soon(self._send_acks)
        self._ack_signalling = max(self._ack_signalling, number)

    def _send_acks(self):
        ack, signalling = self._ack, self._ack_signalling
        self._ack = self._ack_signalling = 0
        try:
            if ack:
                self.client.ack(ack)
            if signalling:
                self.client.ack_signalling(signalling)
        except LocalError as error:
            log.info("media: acknowledgement not sent: %s", error)
