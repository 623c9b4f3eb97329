"""Joins the flows to what they ask of the outside: web services, databases, FastAGI programs.

The switchboard's actions ivr.ask and ivr.tell come here; nothing leaves before the turn that decided it is committed (flush).
Each question runs as a task beside the loop's turns, with limits of its own; the answer comes back as a switchboard event,
a failure as a sentence.  A call that goes elsewhere meanwhile (hang-up, time limit) drops its question: committed() looks
at what the records say.  After kill -9 the switchboard asks again what may be repeated (core_ivr.recover).
"""

import asyncio
import concurrent.futures
import logging
import os

from firmware.errors import LocalError
from firmware.links.adapter import Adapter
from firmware.links.agi import AGISession
from firmware.links.http_client import HTTPClient
from firmware.links.speech import KINDS as SPEECH, Speech
from firmware.links.sql_client import SQLClient

log = logging.getLogger(__name__)

WAITING = 2000          # questions under way at once; more means that a service stands and calls keep coming; invented
CLOSING = ("ivr.moved", "ivr.left", "call.clearing", "call.ended", "ivr.entered")


class IVRServices(Adapter):
    """house: turns, switchboard, config, data_dir."""

    name = "services"

    def __init__(self, house):
        self.house = house
        self.executor = concurrent.futures.ThreadPoolExecutor(4, "services")
        self.rows, self.clients = {}, {}
        self.under_way = {}             # token: (call, task, session or None)
        self.results = {}               # token: future of an AGI program's operation
        self.asked = self.failed = 0
        self.speech = Speech(house, lambda: self.rows)
        self._output = []
        self._take(house.config.running())

    def _take(self, config):
        rows = {row["name"]: row for row in config.get("services") or []}
        for name in list(self.clients):
            if rows.get(name) != self.rows.get(name):
                self.clients.pop(name).close()
        self.rows = rows

    # -- the turn --

    def carry_out(self, action, now_ms):
        """ivr.ask, ivr.tell or ivr.stream; goes out after the commit."""
        if action["do"] == "ivr.stream":
            self.speech.stream(action)
        elif action["do"] == "ivr.ask" and action["ask"] in SPEECH:
            self.asked += 1
            self.speech.ask(action)
        else:
            self._output.append(action)

    def flush(self):
        """Ask and tell."""
        output, self._output = self._output, []
        for action in output:
            token = action["token"]
            if action["do"] == "ivr.tell":
                future = self.results.pop(token, None)
                if future is not None and not future.done():
                    future.set_result(action["result"])
            elif action["ask"] != "cti" and token not in self.under_way:
                self._begin(token, action)

    def _begin(self, token, action):
        session = None
        if len(self.under_way) >= WAITING:
            work = self._refuse("%d questions are under way already" % WAITING)
        elif action["ask"] == "agi" and action["request"]["service"] in self.rows:
            session = AGISession(self.rows[action["request"]["service"]], action, self._operate(action["call"], token), self.house.config.running()["site"]["timezone"])
            work = session.run()
        else:
            work = self._ask(action)
        self.asked += 1
        task = asyncio.ensure_future(self._run(token, action, work))
        self.under_way[token] = (action["call"], task, session)

    async def _refuse(self, why):
        raise LocalError(why)

    async def _run(self, token, action, work):
        event = {"kind": "ivr.answer", "call": action["call"], "token": token, "leg": action["leg"]}
        try:
            result = await work
            ok = True
        except LocalError as error:
            ok, result = False, str(error)
        except asyncio.CancelledError:
            self.under_way.pop(token, None)
            raise
        except Exception as error:      # a fault of ours costs this question
            log.exception("services: a question of call %s to %s failed", action["call"], action["request"].get("service"))
            ok, result = False, "the switch failed at it: %s" % type(error).__name__
        self.under_way.pop(token, None)
        if not ok:
            self.failed += 1
            log.warning("services: call %s: %s", action["call"], result)
        if ok and action["ask"] == "agi":
            operation = {"do": "go", "node": result} if result else {"do": "go"}
            if not self._post(dict(event, kind="ivr.operate", operation=operation)):
                self._post(dict(event, kind="ivr.operate", operation={"do": "fail", "why": "there is no node %s" % result}))
            return
        self._post(dict(event, ok=ok, result=result))

    def _post(self, event):
        """Hand an event over; whether it was taken.  `leg` stays out: a failure here must not cost the call."""
        event.pop("leg", None)
        core = self.house.switchboard.core
        core.refusal = None
        self.house.turns.handle(event)
        return core.refusal is None

    async def _ask(self, action):
        name = action["request"]["service"]
        row = self.rows.get(name)
        if row is None:
            raise LocalError("there is no service %s any more" % name)
        client = self.clients.get(name)
        if client is None:
            client = self.clients[name] = self._make(row)
        return await client.ask(action["request"])

    def _make(self, row):
        if row["kind"] == "http":
            return HTTPClient(row, self.executor)
        if row["kind"] in ("sqlite", "postgresql", "mysql"):
            return SQLClient(row, os.path.join(self.house.data_dir, "databases"))
        raise LocalError("service %s is of a kind that cannot be asked so" % row["name"])

    # -- programs --

    def _operate(self, call, token):
        async def operate(operation):
            if not self._holds(call, token):
                return None
            future = self.results[token] = asyncio.get_running_loop().create_future()
            if not self._post({"kind": "ivr.operate", "call": call, "token": token, "operation": operation}):
                self.results.pop(token, None)
                if not self._holds(call, token):
                    return None
                raise LocalError(self.house.switchboard.core.refusal)
            if not self._holds(call, token) and not future.done():
                self.results.pop(token, None)
                return {} if operation.get("do") in ("hangup", "go", "fail") else None
            return await future
        return operate

    def _holds(self, call, token):
        """Whether a call still waits for this question or program."""
        known = self.house.switchboard.core.state.calls.get(call)
        return known is not None and known.request is not None and known.request["token"] == token

    def committed(self, records):
        """Drop the questions of calls that went elsewhere."""
        self.speech.committed(records)
        for call in {record["call"] for record in records if record["kind"] in CLOSING} if self.under_way else ():
            for token, (whose, task, session) in list(self.under_way.items()):
                if whose == call and not self._holds(call, token):
                    self._drop(token, task, session)

    def _drop(self, token, task, session):
        future = self.results.pop(token, None)
        if future is not None and not future.done():
            future.set_result(None)
        if session is not None:
            session.hang_up()           # the program may end in order; its time is over soon
            asyncio.get_running_loop().call_later(5.0, task.cancel)
        else:
            task.cancel()
        self.under_way.pop(token, None)

    # -- life --

    def configure(self, config, now_ms):
        """Other services; what is under way ends by the old ones."""
        self._take(config)

    def media_found(self, audit, now_ms):
        """Streams that went on without this process."""
        self.speech.media_found(audit)

    def media_lost(self, now_ms):
        """Streams end with media."""
        self.speech.media_lost()

    def describe(self, state, legs):
        """How much is under way."""
        state["services"] = {"under_way": len(self.under_way), "asked": self.asked, "failed": self.failed, "streams": len(self.speech.open)}

    def stop(self):
        """End."""
        for call, task, session in list(self.under_way.values()):
            task.cancel()
        for client in self.clients.values():
            client.close()
        self.executor.shutdown(wait=False, cancel_futures=True)
