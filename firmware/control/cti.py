"""The CTI link (links/cti_tcp.py) as a part of the house: who may log in, what it reads and does.

Users are those of the web pages: $STROWGER_DATA/users.json, written by the web process, read
here.  Who still has the first-boot password may not log in.  Two verifications run at a
time (each takes 19 MiB and tens of milliseconds), beside the control loop.
"""

import asyncio
import concurrent.futures
import functools
import json
import logging
import os
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from firmware.control import api, api_flows, commands, roles
from firmware.control.operations import OPERATIONS, operate
from firmware.links.adapter import Adapter
from firmware.links.cti_tcp import FIELDS, CTIServer
from firmware.storage.journal import Journal

log = logging.getLogger(__name__)

# Requests of the desk: name -> (fields that must be texts, method and path of the local API, where a field's name stands for its value).
DESK = {"pop": (("call",), "GET", ("calls", "call", "pop")), "call_desk": (("call",), "GET", ("calls", "call", "desk")),
        "note": (("call", "text"), "POST", ("calls", "call", "notes")), "disposition": (("call", "code"), "POST", ("calls", "call", "disposition")),
        "customer_find": (("number",), "GET", ("customers",)), "customer": (("customer",), "GET", ("customers", "customer")),
        "tickets": ((), "GET", ("tickets",)), "ticket": (("ticket",), "GET", ("tickets", "ticket")),
        "ticket_open": (("template", "title"), "POST", ("tickets",)), "ticket_change": (("ticket",), "POST", ("tickets", "ticket")),
        "articles": ((), "GET", ("articles",)), "broadcasts": ((), "GET", ("broadcasts",)), "broadcast": (("text",), "POST", ("broadcasts",)),
        "broadcast_seen": (("broadcast",), "POST", ("broadcasts", "broadcast", "seen")), "thresholds": ((), "GET", ("thresholds",)),
        "threshold_acknowledge": (("threshold",), "POST", ("thresholds", "threshold", "acknowledge")), "figures": (("agent",), "GET", ("agents", "agent", "figures"))}

# Where operations stand in the local API that are none of a call: what a role may is asked there (roles.py).
PATHS = {"unpark": ("parked", ":place", "fetch"), "pick_up": ("pick_up",), "agent_log_in": ("agents", ":agent", "log_in"),
         "announcement": ("announcements", ":name"), "callback": ("callbacks",), "callback_cancel": ("callbacks", ":callback", "cancel"),
         "message_state": ("messages", ":message"), "message_delete": ("messages", ":message", "delete"), "assign": ("agents", ":agent", "queues"),
         "wrap_up": ("agents", ":agent", "wrap_up")}

HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)


@functools.cache
def _nobody():
    """A hash for names that are unknown, so that both answers take the same time."""
    return HASHER.hash(secrets.token_urlsafe(16))


def verify(path, user, password):
    """The user's name when the password is theirs, else None; unknown names take as long."""
    try:
        with open(path, encoding="utf-8") as file:
            entry = json.load(file).get(user)
    except (OSError, ValueError, AttributeError):
        entry = None
    try:
        HASHER.verify(entry["hash"] if entry else _nobody(), password)
    except (VerificationError, InvalidHashError, KeyError, TypeError):
        return None
    return user if entry and not entry.get("must_change") else None


class CTILink(Adapter):
    """The CTI server of a house.  sock: the listening socket."""

    name = "cti"

    def __init__(self, house, sock):
        self.house, self.sock = house, sock
        self._gate = concurrent.futures.ThreadPoolExecutor(2, "cti-log-in")
        self._connection = None
        self.server = CTIServer(self._authenticate, self._read, lambda: house.feed.last_seq, {
            "agent_status": (FIELDS["agent_status"], self._agent_status),
            "hangup": (FIELDS["hangup"], self._hangup), "ivr": (("call",), self._ivr),
            **{name: (tuple(OPERATIONS[name][1]), self._operation(name)) for name in OPERATIONS},
            **{name: (fields, self._desk(name)) for name, (fields, _, _) in DESK.items()}}, self._visible)
        self._api = None

    def start(self):
        """Listen."""
        asyncio.ensure_future(self.server.start(self.sock))

    def stop(self):
        """Drop the clients: they log in to the next process."""
        asyncio.ensure_future(self.server.close())
        self._gate.shutdown(wait=False)

    def committed(self, records):
        """The journal has new rows."""
        self.server.wake()

    async def _authenticate(self, user, password):
        path = os.path.join(self.house.data_dir, "users.json")
        return await asyncio.get_running_loop().run_in_executor(self._gate, verify, path, user, password)

    async def _read(self, after, limit):
        records = self.house.feed.since(after)
        if records is not None:
            records = records[:limit]
        else:
            if self._connection is None:
                self._connection = self.house.database.reader()
            records = Journal(self._connection).after(after, limit)
        desk = next((adapter for adapter in self.house.adapters if adapter.name == "desk"), None)
        return await desk.with_pops(records) if desk is not None else records

    def person(self, user):
        """Who a user is."""
        return roles.person(self.house.config.running(), user)

    def _visible(self, user, record):
        return roles.sees_record(self.house.config.running(), self.person(user), record)

    def api(self):
        """The local API, without its socket."""
        if self._api is None:
            self._api = api.API(self.house)
        return self._api

    async def _check(self, user, method, parts, request):
        """Raises Problem where the user's role does not allow it; completes the request (who acts)."""
        await roles.check(self.api(), self.person(user), method, parts, {}, request)

    async def _agent_status(self, user, request):
        given = request
        request = {key: value for key, value in request.items() if key not in ("id", "do")}
        await self._check(user, "PUT", ["agents", given["agent"], "status"], request)
        log.info("cti: %s sets agent %s to %s", user, request["agent"], request["status"])
        await commands.set_agent_status(self.house, request["agent"], request["status"], request.get("reason"), request.get("by"), request.get("locked"))

    def _operation(self, name):
        async def carry_out(user, request):
            log.info("cti: %s: %s %s", user, name, request.get("call") or request.get("agent") or "")
            fields = {key: value for key, value in request.items() if key not in ("id", "do")}
            parts = [request.get(part[1:], "") if part[0] == ":" else part for part in PATHS.get(name, ("calls", ":call", name))] if (
                name in PATHS or isinstance(request.get("call"), str)) else [name]
            await self._check(user, "POST", [str(part) for part in parts], fields)
            return await operate(self.house, name, fields)
        return carry_out

    def _desk(self, name):
        fields, method, path = DESK[name]

        async def carry_out(user, request):
            log.info("cti: %s: %s %s", user, name, request.get("call") or request.get("ticket") or "")
            parts = [request[field] if field in fields else field for field in path]
            query = {key: value for key, value in request.items() if key not in ("id", "do", *path) and isinstance(value, str)}
            body = {key: value for key, value in request.items() if key not in ("id", "do", *path)}
            answer = await self.api().ask(method, parts, query if method == "GET" else {}, None if method == "GET" else body, self.person(user))
            return {key: value for key, value in answer.items() if key not in ("id", "ok")}
        return carry_out

    async def _ivr(self, user, request):
        await self._check(user, "POST", ["calls", request["call"], "ivr"], request)
        return await api_flows.operate(self.house, request["call"], request.get("operation"))

    async def _hangup(self, user, request):
        await self._check(user, "POST", ["calls", request["call"], "hangup"], dict(request))
        log.info("cti: %s hangs up call %s", user, request["call"])
        await commands.hang_up(self.house, request["call"])
