"""FastAGI: a program outside has a call for a while, by the protocol that Asterisk's gateway interface speaks over TCP.

A node "agi" connects to agi://host:port/script, sends the agi_ variables, and then carries out one command a line, each with one
answer ("200 result=..."), until the program closes the connection (the flow goes on at next, or where SET EXTENSION named a
node), the caller hangs up (HANGUP, then 511), or nothing comes for the node's time.  A connection that breaks in the
middle of a command, or is reset, leads to failed.

Commands: ANSWER, CHANNEL STATUS, CONTROL STREAM FILE, GET DATA, GET FULL VARIABLE, GET OPTION, GET VARIABLE, HANGUP, NOOP, RECEIVE
CHAR, RECORD FILE, SAY ALPHA|DATE|DATETIME|DIGITS|NUMBER|PHONETIC|TIME, SET CALLERID|CONTEXT|EXTENSION|PRIORITY|VARIABLE|MUSIC|AUTOHANGUP,
STREAM FILE, VERBOSE, WAIT FOR DIGIT.  Files are prompts by their name; EXEC knows no applications (-2), DATABASE keeps nothing.
SET VARIABLE SECRET 1: what the caller keys from now on reaches the program only, no journal, no log.  Source of the wire format: the
AGI chapter of Asterisk's documentation; checked against Asterisk::AGI of Debian and pyst2 (tests/links/test_agi.py).
"""

import asyncio
import datetime
import logging
import re
import shlex
import urllib.parse
import zoneinfo

from firmware.errors import LocalError

log = logging.getLogger(__name__)

PORT = 4573
LINE_OCTETS = 8192
CONNECT_S = 5.0
LONGEST_S = 3600
PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,60}\Z")
VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
GIVEN = {"callerid(num)": "caller", "callerid(number)": "caller", "callerid(dnid)": "called", "exten": "called", "uniqueid": "call", "language": "language",
         "channel(language)": "language", "callerid(all)": "caller"}
ENDED = object()


class Usage(Exception):
    """The command has other words than it should."""


class AGISession:
    """One call in a program's hands.

    service: a row of the setting services; operate(operation) -> coroutine of its result (None: the call is not ours any more),
    raises LocalError.  zone: the site's, for SAY DATE."""

    def __init__(self, service, ask, operate, zone):
        self.service, self.ask, self.operate, self.zone = service, ask, operate, zone
        self.node = None            # where the flow shall go on
        self.secret = False
        self.hung_up = False
        self.busy = False
        self.writer = None

    async def run(self):
        """Serve until the program closes.  Returns the node to go on at, or None.  Raises LocalError where the program failed."""
        parts = urllib.parse.urlsplit(self.service["address"])
        try:
            reader, self.writer = await asyncio.wait_for(
                asyncio.open_connection(parts.hostname, parts.port or PORT, limit=LINE_OCTETS), CONNECT_S)
        except (OSError, asyncio.TimeoutError) as error:
            raise LocalError("%s cannot be reached: %s" % (self.service["name"], error or "no answer in time")) from None
        try:
            self.writer.write(self._greeting(parts).encode())
            line = await reader.readuntil(b"\n")
            while True:
                # The next line is awaited beside the command, so that a program that dies meanwhile is noticed.
                following = asyncio.ensure_future(reader.readuntil(b"\n"))
                try:
                    command = line.decode("utf-8", "replace").strip()
                    if command:
                        await self._answer(command, following)
                    line = await following
                finally:
                    following.cancel()
        except asyncio.IncompleteReadError as error:
            if error.partial.strip():
                raise LocalError("%s closed the connection in the middle of a line" % self.service["name"]) from None
            return self.node
        except (asyncio.LimitOverrunError, OSError) as error:
            raise LocalError("%s failed: %s" % (self.service["name"], error)) from None
        finally:
            self.writer.close()

    async def _answer(self, command, following):
        work = asyncio.ensure_future(self._one(command))
        try:
            await asyncio.wait({work, following}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and following.done() and following.exception() is not None:
                raise LocalError("%s closed the connection while it had something done" % self.service["name"])
            self.writer.write((await work + "\n").encode())
            await self.writer.drain()
        finally:
            work.cancel()

    def hang_up(self):
        """The caller is gone, or the flow: the program is told once."""
        if not self.hung_up and self.writer is not None and not self.writer.is_closing():
            self.hung_up = True
            self.writer.write(b"HANGUP\n")

    def _greeting(self, parts):
        request, call = self.ask["request"], self.ask["call"]
        script = "/".join(piece for piece in (parts.path.strip("/"), request["script"].strip("/")) if piece)
        caller = self.ask["caller"]
        lines = {"network": "yes", "network_script": script, "request": "%s://%s/%s" % (parts.scheme, parts.netloc, script), "channel": "Strowger/" + call,
                 "language": request["language"], "type": "Strowger", "uniqueid": call, "version": "1", "callerid": caller["caller"] or "unknown",
                 "calleridname": "unknown", "callingpres": "0", "callingani2": "0", "callington": "0", "callingtns": "0", "dnid": caller["called"] or "unknown",
                 "rdnis": "unknown", "context": "strowger", "extension": caller["called"] or "s", "priority": "1", "enhanced": "0.0", "accountcode": "",
                 "threadid": call.lstrip("c")}
        lines.update(("arg_%d" % (number + 1), text) for number, text in enumerate(request["arguments"]))
        return "".join("agi_%s: %s\n" % (name, str(text).replace("\r", " ").replace("\n", " ")) for name, text in lines.items()) + "\n"

    async def _one(self, command):
        """The answer to one command."""
        try:
            words = shlex.split(command, posix=True)
        except ValueError:
            words = command.split()
        if self.hung_up:
            return "511 Command Not Permitted on a dead channel or intercept routine"
        for length in (3, 2, 1):
            name = " ".join(words[:length]).upper()
            if name in COMMANDS and length <= len(words):
                method, least, usage = COMMANDS[name]
                try:
                    if len(words) - length < least:
                        raise Usage
                    return "200 result=" + await getattr(self, method)(words[length:], name)
                except Usage:
                    return "520-Invalid command syntax.  Proper usage follows:\n%s %s\n520 End of proper usage." % (name, usage)
                except LocalError as error:
                    log.info("agi: %s of %s: %s", name, self.service["name"], error)
                    return "200 result=-1"
                except CallGone:
                    self.hang_up()
                    return "511 Command Not Permitted on a dead channel or intercept routine"
        return "510 Invalid or unknown command"

    async def _do(self, operation):
        result = await self.operate(operation)
        if result is None:
            raise CallGone
        return result

    # Answers, each what stands behind "200 result=".

    async def zero(self, words, name):
        return "0"

    async def one(self, words, name):
        return "1"

    async def status(self, words, name):
        return "6"

    async def no_application(self, words, name):
        return "-2"

    async def hangup(self, words, name):
        await self._do({"do": "hangup"})
        return "1"

    async def verbose(self, words, name):
        log.info("agi: %s says %r", self.service["name"], words[0][:200] if not self.secret else "(hidden)")
        return "1"

    async def extension(self, words, name):
        self.node = words[0]
        return "0"

    async def set_variable(self, words, name):
        variable = words[0].lower()
        if variable == "secret":
            self.secret = words[1] not in ("", "0")
            return "1"
        if VARIABLE.match(variable):
            await self._do({"do": "set", "variables": {variable: words[1]}})
        return "1"

    async def get_variable(self, words, name):
        given = words[0].strip()
        if name == "GET FULL VARIABLE" and given.startswith("${") and given.endswith("}"):
            given = given[2:-1]
        variable = GIVEN.get(given.lower(), given.lower())
        if not VARIABLE.match(variable):
            return "0"
        value = (await self._do({"do": "get", "expression": variable}))["value"]
        if value is None:
            return "0"
        return "1 (%s)" % (value if isinstance(value, str) else str(value)).replace("\n", " ")

    async def stream(self, words, name):
        key = await self._play([_prompt(words[0])], words[1] if len(words) > 1 else "")
        return "%s endpos=0" % key

    async def option(self, words, name):
        key = await self._play([_prompt(words[0])], words[1])
        if key == "0":
            key = await self._digit(_ms(words[2]) if len(words) > 2 else 5000, words[1])
        return "%s endpos=0" % key

    async def data(self, words, name):
        wait_s = min(LONGEST_S, max(0.001, (_ms(words[1]) if len(words) > 1 else 6000) / 1000))
        most = int(words[2]) if len(words) > 2 and words[2].isdigit() and 0 < int(words[2]) < 256 else 255
        items = [_prompt(words[0])] if words[0] not in ("", "silence") else []
        result = await self._do({"do": "collect", "items": items, "length": most, "terminator": "#", "first_timeout_s": wait_s, "digit_timeout_s": wait_s,
                                 "secret": self.secret})
        return result["digits"] + (" (timeout)" if result["timeout"] else "")

    async def digit(self, words, name):
        return await self._digit(_ms(words[0], True), "0123456789*#")

    async def record(self, words, name):
        keys, most_s = words[2] or "#", max(1, min(LONGEST_S, _ms(words[3], True) // 1000 or 1))
        result = await self._do({"do": "record", "keys": "".join(key for key in keys if key in "0123456789*#") or "#", "most_s": most_s,
                                 "beep": any(word.upper() == "BEEP" for word in words[4:])})
        held = result["recorded"]
        if held is None:
            return "-1 (writefile)"
        await self._do({"do": "set", "variables": {"recorded": held}})
        return "0 (timeout) endpos=%d" % (held["duration_ms"] * 8)

    async def say(self, words, name):
        what = name.rpartition(" ")[2]
        value, keys = words[0], words[1] if len(words) > 1 else ""
        if what in ("DATE", "TIME", "DATETIME"):
            if not value.lstrip("-").isdigit() or len(value) > 12:
                raise Usage
            moment = datetime.datetime.fromtimestamp(int(value), zoneinfo.ZoneInfo(self.zone)).strftime("%Y-%m-%dT%H:%M")
            items = [{"date": moment}] * (what != "TIME") + [{"time": moment}] * (what != "DATE")
        else:
            items = [{{"DIGITS": "digits", "NUMBER": "number"}.get(what, "spelled"): value}]
        return await self._play(items, keys)

    async def _play(self, items, keys):
        result = await self._do({"do": "play", "items": items, "keys": "".join(key for key in keys if key in "0123456789*#")})
        return str(ord(result["key"])) if result["key"] else "0"

    async def _digit(self, wait_ms, keys):
        result = await self._do({"do": "collect", "length": 1, "terminator": "", "first_timeout_s": max(0.001, wait_ms / 1000), "secret": self.secret})
        return str(ord(result["digits"])) if result["digits"] and result["digits"] in keys else "0"


class CallGone(Exception):
    """The call is not in this program's hands any more."""


def _prompt(name):
    """A file's name as that of a prompt: without folders and ending."""
    plain = name.rpartition("/")[2]
    if not PLAIN.match(plain):
        raise LocalError("%r is no name of a prompt" % name[:60])
    return plain


def _ms(word, endless=False):
    """Milliseconds; -1 is for ever, which here is an hour."""
    if endless and word == "-1" or word == "0":
        return LONGEST_S * 1000 if word == "-1" else 1000 * LONGEST_S if endless else 6000
    if not word.isdigit() or len(word) > 9:
        raise Usage
    return min(LONGEST_S * 1000, int(word))


# name: (method, how many words must follow, usage)
COMMANDS = {
    "ANSWER": ("zero", 0, ""), "NOOP": ("zero", 0, "[text]"), "CHANNEL STATUS": ("status", 0, "[channel]"), "HANGUP": ("hangup", 0, "[channel]"),
    "VERBOSE": ("verbose", 1, "message [level]"), "SET CONTEXT": ("zero", 1, "context"), "SET EXTENSION": ("extension", 1, "node"),
    "SET PRIORITY": ("zero", 1, "priority"), "SET AUTOHANGUP": ("zero", 1, "seconds"), "SET MUSIC": ("zero", 1, "on|off [class]"),
    "SET CALLERID": ("one", 1, "number"), "SET VARIABLE": ("set_variable", 2, "name value"), "GET VARIABLE": ("get_variable", 1, "name"),
    "GET FULL VARIABLE": ("get_variable", 1, "expression [channel]"), "STREAM FILE": ("stream", 1, "file escape-digits [offset]"),
    "CONTROL STREAM FILE": ("stream", 1, "file escape-digits [skip] [forward] [rewind] [pause]"), "GET OPTION": ("option", 2, "file escape-digits [timeout]"),
    "GET DATA": ("data", 1, "file [timeout] [max digits]"), "WAIT FOR DIGIT": ("digit", 1, "timeout"), "RECEIVE CHAR": ("zero", 1, "timeout"),
    "RECORD FILE": ("record", 4, "file format escape-digits timeout [offset] [BEEP] [s=silence]"), "SAY DIGITS": ("say", 1, "digits escape-digits"),
    "SAY NUMBER": ("say", 1, "number escape-digits [gender]"), "SAY ALPHA": ("say", 1, "text escape-digits"), "SAY PHONETIC": ("say", 1, "text escape-digits"),
    "SAY DATE": ("say", 1, "seconds escape-digits"), "SAY TIME": ("say", 1, "seconds escape-digits"), "SAY DATETIME": ("say", 1, "seconds escape-digits [format] [zone]"),
    "EXEC": ("no_application", 1, "application options"), "DATABASE GET": ("zero", 2, "family key"), "DATABASE PUT": ("zero", 3, "family key value"),
    "DATABASE DEL": ("zero", 2, "family key"), "DATABASE DELTREE": ("zero", 1, "family [key tree]"), "SEND TEXT": ("zero", 1, "text"),
    "SEND IMAGE": ("zero", 1, "image"), "TDD MODE": ("zero", 1, "on|off"),
}
