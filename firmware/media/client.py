"""The asyncio client of the media process: commands, events, signalling.

    client = MediaClient(run_dir, epoch, on_event, on_signalling, on_lost)
    greeting = await client.connect(wait_s=10)     # {"generation", "boot_id", "capacity", "board", ...}
    await client.call("add", id="l1", kind="timeslot", span=1, timeslot=5, law="A")
    reply = await client.call("add", id="l2", kind="rtp", address="127.0.0.1")   # {"port": 20000, ...}
    await client.call("modify", id="l2", remote=["127.0.0.1", 4000], payload_type=8)
    await client.call("bridge", id="b1", legs=["l1", "l2"])
    client.ack(event["event"])
    client.send_signalling(1, "dl_data_request", octets)

on_event(event: dict) and on_signalling(message: dict) are plain functions,
called in order and once for each number, also over a reconnection to the same
media process (boot_id).  A message stays in media until it is acknowledged by
ack(n) or ack_signalling(n), which cover all numbers up to n: acknowledge after
the journal has it.  A new boot_id starts both numberings anew, and all
terminations, bridges, recordings and links of the old one are gone.

on_lost(reason: str) is called once when the connection ends.  Calls that wait
then raise LocalError.  connect() may be called again at any time, and tries
until wait_s is over.

Commands (do: parameters -> reply; all idempotent; times in ms):
 add{id, kind:"timeslot", span, timeslot, law:"A"|"U"}
 add{id, kind:"rtp", address, remote?, payload_type?, ...as modify} -> {address, port}
 modify{id, remote:[host, port]|null, payload_type:0|8, codec:null|"G722"|"G726-32"|"AAL2-G726-32"|"OPUS" (under payload_type),
        dtmf_payload_type:int|null, dtmf_clock_hz:8000..48000 (of its durations), keys:"sound"|"event"|"control" (how its far end is told of
        keys that others of its bridge press: native/keys.pxi), tones:bool (those of a keypad in its sound are digits; default true), ptime_ms:10..60,
        jitter_ms:10..200 (start and floor of the playout delay; default 40), jitter_most_ms:jitter_ms..300 (its ceiling;
        default 200), latch:bool (answer to where it
        comes from; default true), source_host:IPv4|null (the only host besides remote's that may be latched), send:bool, timeout_ms (silence until rtp_timeout, 0 never; default 30000),
        srtp:{suite, send, receive: base64 of master key and salt}|null (RFC 3711; suites: native/srtp.pxi),
        srtp_only:bool (what comes without is thrown away), rtcp_mux:bool, rtcp_port:int|null (the far end's, null: RTP's and one)}
        t38:null|{recovery, depth, span, entries, rate, ecm, version, most_octets}     a fax as packets in place of sound: faxes.py
 watch{id, sound:"none"|"in"|"out"|"both"}      the directions in which sound that is missing for 4 s is told
 subtract{id, call?}                    call: told again with leg_quality
 bridge{id, legs:[ids]}                 sets the membership; [] removes; a leg is in one bridge at most
 topology{bridge, from, to, way}        "both": both hear each other, "one": only `to` hears `from`, "none": neither
 tap{id, source: leg|null}              a leg without a bridge hears what another leg says (SIPREC)
 conference{bridge, loudest:0..16|null, gain_db?:{leg:-40..12}, muted?:[legs]}     the whole state of a bridge as a
        conference of up to 128: how many are heard at once (0 all), gains, who only listens; null: a plain bridge
 signal{id, token, items, repeat (0 for ever), start_ms?, volume_db?, speed?} -> {duration_ms of one round}
 player{id, token, pause?:bool, volume_db?:-40..12, speed?:0.5..2, seek?:{id, ms}}     of what plays; a seek id is obeyed once; speed:
        pitch stays (dsp/wsola.py)
 stop{id, token?}                       what else plays under another token is left alone
 press{id, digit, duration_ms}          an rtp leg presses a key, as its signalling has said: others are told, no event digit follows; once each time
 detect{id, dtmf?:bool, modem?:bool, answer?:null|{greeting_ms?, ...}}    what is listened for; modem: events modem_tone; answer:
        person or machine, from now on, parameters of dsp/amd.py: events answer; further wishes (progress, caller_id, quiet_s): hearing.py
 enhance{id, echo?:bool, noise?:bool, level?:"off"|"agc"|"alc", vad?:bool}
        what works on the audio that comes from a leg, from the next tick on; add takes the same as enhance:{...}.
        All off (the start): octets are left as they are.  echo: 66 ms from the first instant at which an echo can be
        back from the board, for an RTP peer from 20 ms after sending.  vad: events voice.  2100 Hz acts by itself.
        long_tail?:bool (echo's 128 ms): without a place for it, enhance is refused (47); add, and with or_less:true, takes 64 ms (audit: long_tail_refused)
 record{id, path, left, right, format?, channels?:"stereo"|"mono"}      left, right: leg ids; either may be null (silence);
        formats: formats.py (default "alaw"); channels: stereo where the format has it
 record_stop{id}
 record_pause{id, pause:bool, text?}    silence of its true length in place of both legs; a mark where it begins and ends
 record_legs{id, left, right, text?}    goes on with other legs, with a mark
 link_open{link, span, timeslot, kind:"lapd", side:"user"|"network", tei, window?, t200_ms?, t203_ms?, n200?}
 link_open{link, span, timeslot, kind:"mtp2", variant?, correction?, monitor?, parameters?, up_most?}    up_most: messages that control may leave
        unacknowledged before the far end is told of congestion (mtp2_link.py)
 link_close{link}
 cas_open cas_send cas_close mf_listen mf_send check loop     circuits with channel-associated signalling, continuity: circuits.py
 stream_open stream_tell stream_close     a leg's audio to and from services outside: streams.py
 bert_start bert_stop bert_insert berts     bit error tests: bert.py
 derate{percent:10..100}                how much of the machine new legs may use (100 at the start); less: the box is too hot
 bearers_set bearer_order bearers       spans that the board does not carry: bearers.py
 tones{plan, own?}      tone names for signal: {"ringback": {"frequencies_hz", "level_dbm0", "cadence_ms"}}, of the country (the tones of a call's progress are
        listened for by them, too) and of the house, which are only played
 audit{} stats{} ack{upto}
Events: signal_complete{id, token, reason, position_ms}, digit{id, digit, duration_ms, source:"inband"|"event"}, key{id, digit, duration_ms}: control is to tell the far end of a leg,
 record_closed{id, path, octets, duration_ms}, record_mark{id, mark:"paused"|"resumed"|"segment", ms, text}, record_failed{id, path, error}, rtp_started{id, from:[host, port]},
 rtp_timeout{id, silent_ms}, audio{id, direction:"in"|"out", missing:bool, reason}, leg_quality{id, call, quality: as
 in an audit, codec and t38 of a leg that carried a fax}, voice{id, speech:bool}, tone_2100{id, tone:"plain"|"reversing"|"gone"},
 modem_tone{id, tone:"cng"|"calling"|"ans"|"ansam"|"reversal"|"flags", on:bool},
 answer{id, who:"person"|"machine"|"silence"|"unsure"|"beep"|"beep_end", ms|hz, words}, quiet{id, quiet:bool, ms},
 stream{id, leg, what, ...}: streams.py, dtls_failed{id, error}, dtls_closed{id}: browsers.py,
 cas{span, timeslot, bits}, mf{id, plan, signal, place_ms}, check{id, on}, media_failed{id, error}, board{state:"present"|"absent", generation}.
 Each has "event" (its number), "kind" and "tick_ms" (UTC ms of the tick that saw it).
"""

import asyncio
import contextlib
import logging
import os
import socket

import msgpack

from firmware.errors import LocalError

log = logging.getLogger("firmware.media.client")

MESSAGE_OCTETS = 1 << 20      # longest message that is received
TOGETHER_MOST = 1024          # ours: messages in one packet
TOGETHER_OCTETS = 65536       # ours: of messages that leave in one packet; a longer one leaves alone
BUFFER_OCTETS = 1 << 20       # asked of the kernel, which may grant less
CALL_TIMEOUT_S = 5.0          # ours: media answers within a tick unless its prompt disk stalls


def media_socket_path(run_dir):
    """Where media takes commands."""
    return os.path.join(run_dir, "media.sock")


def signalling_socket_path(run_dir):
    """Where media exchanges layer 2 primitives."""
    return os.path.join(run_dir, "media-signalling.sock")


def fitting(packed):
    """How many of some packed messages, one at least, leave in the next packet."""
    size = count = 0
    for octets in packed:
        size += len(octets)
        if count and (size > TOGETHER_OCTETS or count == TOGETHER_MOST):
            break
        count += 1
    return count


class _Pipe:
    """One SEQPACKET connection: whole msgpack maps in and out, never blocking.  together: several may stand in a packet."""

    def __init__(self, path, on_message, on_end, around, together=False):
        self._on_message, self._on_end, self._around = on_message, on_end, around
        self._together, self.corked = together, False
        self._queue, self._stuck = [], False
        self._loop = asyncio.get_running_loop()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_OCTETS)
            self._sock.connect(path)
        except OSError:
            self._sock.close()
            raise
        self._loop.add_reader(self._sock, self.read)

    def send(self, message):
        """Queue one message; raises LocalError when the connection has ended."""
        if self._sock is None:
            raise LocalError("media: the connection has ended; connect again")
        self._queue.append(msgpack.packb(message))
        if not self.corked:
            self._flush()

    def uncork(self):
        """Let out what was sent since `corked` was set."""
        self.corked = False
        if self._sock is not None and not self._stuck:
            self._flush()

    def _flush(self):
        try:
            while self._queue:
                count = fitting(self._queue) if self._together else 1
                self._sock.send(b"".join(self._queue[:count]))
                del self._queue[:count]
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
            self._stuck = True
            return
        except OSError as error:
            self.close(str(error))
            return
        if self._stuck:
            self._loop.remove_writer(self._sock)
            self._stuck = False

    def read(self):
        """Take a burst of what is there."""
        with self._around():
            self._burst()

    def _burst(self):
        for _ in range(64):               # let other tasks run between bursts
            if self._sock is None:
                return
            try:
                data = self._sock.recv(MESSAGE_OCTETS)
            except BlockingIOError:
                return
            except OSError as error:
                self.close(str(error))
                return
            if not data:
                self.close("media closed the connection")
                return
            if not self._together:
                self._on_message(msgpack.unpackb(data))
                continue
            messages = msgpack.Unpacker(max_buffer_size=MESSAGE_OCTETS)
            messages.feed(data)
            for message in messages:
                if self._sock is not None:
                    self._on_message(message)

    def close(self, reason=None):
        """End the connection; a reason given is told to the owner."""
        if self._sock is None:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._sock = None
        if reason is not None:
            self._on_end(reason)


class MediaClient:
    """See the module docstring.  epoch: a higher one fences out all lower ones.  around(): context of each reading of a socket."""

    def __init__(self, run_dir, epoch, on_event, on_signalling, on_lost, around=contextlib.nullcontext):
        self._around = around
        self._run_dir, self._epoch = run_dir, epoch
        self._on_event, self._on_signalling, self._on_lost = on_event, on_signalling, on_lost
        self._commands = self._signalling = None
        self._seq = 0
        self._waiting = {}          # seq: (answered, command, when it is overdue)
        self._answered = 0          # seq of the last command that was answered
        self._heard = 0.0           # when media was read last
        self._watch = None
        self._boot_id = None
        self._last_event = self._last_up = 0
        self._early = None

    @property
    def connected(self):
        """True while both sockets are up."""
        return self._commands is not None and self._signalling is not None

    async def connect(self, wait_s=10.0):
        """Connect both sockets and say hello; returns media's answer.

        Raises LocalError when media is not there within wait_s, or when a
        newer control (higher epoch) owns it.
        """
        self.close()
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            try:
                return await self._connect_once()
            except OSError as error:
                self.close()
                if asyncio.get_running_loop().time() >= deadline:
                    raise LocalError("media: no answer at %s (%s); is the media process running?"
                                     % (media_socket_path(self._run_dir), error)) from error
                await asyncio.sleep(0.05)

    async def _connect_once(self):
        self._early = []                  # what arrives before hello is judged
        self._commands = _Pipe(media_socket_path(self._run_dir), self._on_command_message, self._ended, self._around, together=True)
        self._signalling = _Pipe(signalling_socket_path(self._run_dir), self._on_up_message, self._ended, self._around)
        try:
            hello = await self.call("hello", together=True)
            self._signalling.send({"do": "hello", "epoch": self._epoch})
        except LocalError as error:
            if not self.connected:        # died between connect and hello: try again
                raise OSError(str(error)) from error
            self.close()
            raise
        if hello["boot_id"] != self._boot_id:
            self._boot_id = hello["boot_id"]
            self._last_event = self._last_up = 0
        early, self._early = self._early, None
        for message in early:
            self._deliver(message)
        return hello

    async def call(self, do, **parameters):
        """Send one command and return its reply (a dict).

        Raises LocalError with media's sentence (attribute cause: Q.850 value)
        when it is refused, or when the connection ends before the answer.
        """
        answer = asyncio.get_running_loop().create_future()

        def answered(reply, error):
            if answer.done():
                return
            if error is None:
                answer.set_result(reply)
            else:
                answer.set_exception(error)
        self.post(do, parameters, answered)
        return await answer

    def post(self, do, parameters, answered):
        """Send one command; answered(reply, error) is called once, one of them is None.

        error: LocalError, with attribute cause where media refused.  Raises LocalError when it cannot be sent."""
        if self._commands is None:
            raise LocalError("media: not connected; the command '%s' was not sent" % do)
        self._seq += 1
        loop = asyncio.get_running_loop()
        self._waiting[self._seq] = (answered, do, loop.time() + CALL_TIMEOUT_S)
        self._commands.send(dict(parameters, seq=self._seq, epoch=self._epoch, do=do))      # a pipe that ends answers for all
        if self._watch is None:
            self._watch = loop.call_later(CALL_TIMEOUT_S, self._overdue)

    def _overdue(self):
        """One timer for all commands: those are in order, and so are their answers.

        Our own slowness is not media's: what lies unread counts as said now, and media that goes on answering what came before is
        alive, however many commands wait (those of a takeover are some for each leg).  Who is given up here may be a call."""
        loop = asyncio.get_running_loop()
        if self._commands is not None:
            self._commands.read()
        self._watch, late = None, []
        for seq, (answered, do, limit) in self._waiting.items():
            limit = limit if seq < self._answered else max(limit, self._heard + CALL_TIMEOUT_S)
            if limit > loop.time():
                self._watch = loop.call_at(limit, self._overdue)
                break
            late.append(seq)
        for seq in late:
            answered, do, _ = self._waiting.pop(seq)
            answered(None, LocalError("media: no answer to '%s' within %g s" % (do, CALL_TIMEOUT_S)))

    @contextlib.contextmanager
    def together(self):
        """Commands that are posted inside leave at its end, in as few packets as they fit into."""
        pipe = self._commands
        if pipe is None or pipe.corked:
            yield
            return
        pipe.corked = True
        try:
            yield
        finally:
            pipe.uncork()

    async def audit(self):
        """All pages of audit as one dict of lists."""
        whole, after = {}, 0
        while after is not None:
            page = await self.call("audit", after=after)
            after = page.pop("next", None)
            for name, value in page.items():
                if isinstance(value, list):
                    whole.setdefault(name, []).extend(value)
                else:
                    whole[name] = value
        return whole

    def ack(self, upto):
        """Acknowledge all events up to this number."""
        if self._commands is not None:
            self._commands.send({"do": "ack", "upto": upto, "epoch": self._epoch})

    def send_signalling(self, link, kind, octets=b""):
        """Hand layer 2 a primitive: dl_establish_request, dl_release_request, dl_data_request.

        Raises LocalError when not connected: layer 3 repeats by its own timers.
        """
        if self._signalling is None:
            raise LocalError("media: signalling is not connected; %s for link %s was not sent" % (kind, link))
        self._signalling.send({"link": link, "kind": kind, "octets": octets})

    def ack_signalling(self, upto):
        """Acknowledge all signalling messages up to this number."""
        if self._signalling is not None:
            self._signalling.send({"ack": upto})

    def close(self):
        """Close both sockets; on_lost is not called."""
        for pipe in (self._commands, self._signalling):
            if pipe is not None:
                pipe.close()
        self._commands = self._signalling = None
        self._fail_waiting("media: the connection was closed")

    def _ended(self, reason):
        was_up = self._early is None and self.connected
        self.close()
        self._fail_waiting("media: " + reason)
        if was_up:
            self._on_lost(reason)

    def _fail_waiting(self, sentence):
        waiting, self._waiting = self._waiting, {}
        for answered, _, _ in waiting.values():
            answered(None, LocalError(sentence))

    def _on_command_message(self, message):
        self._heard = asyncio.get_running_loop().time()
        if "event" in message:
            self._deliver(message)
            return
        answered, do, _ = self._waiting.pop(message.get("seq"), (None, None, None))
        if answered is None:
            return
        self._answered = message["seq"]
        if message.get("ok"):
            answered(message, None)
            return
        error = LocalError(message.get("error", "media: refused '%s' without a reason" % do))
        error.cause = message.get("cause", 41)
        answered(None, error)

    def _on_up_message(self, message):
        if "error" in message:
            log.warning("media refused a signalling message: %s", message["error"])
        elif "n" in message:
            self._deliver(message)

    def _deliver(self, message):
        if self._early is not None:
            self._early.append(message)
        elif "event" in message:
            if message["event"] > self._last_event:
                self._last_event = message["event"]
                self._on_event(message)
        elif message["n"] > self._last_up:
            self._last_up = message["n"]
            self._on_signalling(message)
