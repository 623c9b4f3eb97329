"""The local API: HTTP and JSON on a Unix socket, inside the control process.

Who uses it: the web process, the command `strowger`, tests.  Who may: file permissions
of the socket (0660) decide; no passwords here.  Version 1 (all bodies JSON):

    GET  /v1/state                     the switch now, with the journal number it is true for
    GET  /v1/events?after=N[&pops=1]   journal records as lines, history first, then live, never ends; with brief=1 only {"seq"}, the newest,
                                       each time that some have come
    GET  /v1/calls?limit=50&before=ID  CDRs, newest first
    GET  /v1/calls/{id}                one call: CDR, records, recordings
    POST /v1/calls/{id}/hangup
    GET  /v1/me                        who asks and how far that goes: roles.py
    GET  /v1/agents/{name}/figures     today's, by the definitions of the reports
    PUT  /v1/agents/{name}/status      {"status", "reason"?, "by"?: "agent"|"supervisor", "locked"?: only a supervisor may change it}
    POST /v1/calls/{id}/hold, consult, transfer, ..., /v1/agents/{name}/log_in, wrap_up: see api_operations.py
    GET  /v1/reports/queues, agents, trunk_groups: see api_reports.py
    GET  /v1/staffing                  how many agents calls need: see api_staffing.py
    GET  /v1/routes/{digits}?line=L    what would become of a number dialled at a line (or ?trunk_group=G: come in there, &caller=N), &at=2026-11-23T22:00 of the site
    GET  /v1/spans/{span}/timeslots/{timeslot}?limit=50     a timeslot now, as in the state, and before: {"timeslot", "states", "calls": CDRs}, newest first
    GET  /v1/spans/{span}/history?minutes=60&to=MS    what its timeslots were: {"span", "from_ms", "to_ms", "whole", "timeslots": [{"timeslot", "states"}]}, oldest first;
                                       "states": [{at_ms part state why call leg}], storage/timeslots.py
    GET  /v1/configuration             {"revision", "configuration"}
    POST /v1/configuration/propose     a configuration -> {"ok", "errors", "changes", "restart": paths that wait for one}
    POST /v1/configuration/apply       {"revision", "configuration"}
    GET  /v1/configuration/history     {"changes": [{revision at_ms by paths count back_to}]}: who changed what when, the newest first, from the journal
    GET  /v1/configuration/history/N   what revision N changed: {"revision", "changes": [{path old new}]}; ?whole=1: that configuration, {"revision", "configuration"}
    POST /v1/configuration/rollback    {"revision", "from"?}: that one is in force again, as a new revision; from: only if this one still is in force
    GET  /v1/flows, /v1/surveys ...    flows, their versions, their checks: api_flows.py
    GET  /v1/customers, /v1/tickets, /v1/articles, /v1/calls/{id}/pop ...: api_desk.py
    GET  /v1/broadcasts, /v1/thresholds, /v1/schedule ...: api_floor.py
    GET  /v1/health
    GET  /v1/media                     the tick's figures, what media carries, its links and recorder
    GET  /v1/phones: desk phones that the box sets up, see api_phones.py
    GET  /v1/alarms, /v1/performance, /v1/chassis: see api_chassis.py; /v1/ss7: see api_ss7.py; /v1/pri: api_pri.py; /v1/cas: api_cas.py; /v1/lines, /v1/berts: see api_lines.py
    GET  /v1/trace, /v1/calls/{id}/trace: see api_trace.py; /v1/set_aside: api_journal.py; /v1/prompts: api_prompts.py; /v1/documents: api_documents.py; /v1/users: api_users.py

Errors are problem documents (RFC 9457).  Reads of the database run in one
thread beside the control loop, so a page never delays a call.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import socket
import sqlite3
import time
import urllib.parse

import uvicorn

from firmware.control import api_campaigns, api_cas, api_chassis, api_desk, api_documents, api_flow_staffing, api_flows, api_journal, api_lines, api_operations, api_phones, api_pri, api_prompts, api_reports, api_ss7, api_staffing, api_trace, api_users, commands
from firmware.control import api_floor, roles
from firmware.control.commands import Problem
from firmware.control.streams import IDLE_S, Children, Stream
from firmware.acd.report import FORMULAS
from firmware.errors import ConfigError, LocalError
from firmware.jsontext import encode, once, parse
from firmware.storage.cdr import CDRs
from firmware.storage.journal import Journal
from firmware.storage.recordings import Recordings

log = logging.getLogger(__name__)

DROPPED_OCTETS = 64 << 20       # of a body that is too large; ours
BODY_LIMIT_OCTETS = 4 << 20
KEEPALIVE_S = 10.0
GATHER_S = 0.05             # between two pieces of the event stream, so that records of a busy time share one; invented
PAGE_LIMIT = 500
SEEN_PAGES = 20             # of that many calls are looked through for those that a person may see; invented
HEARD_MS = 600_000          # invented
SPANS, HISTORY_MINUTES, HISTORY_MINUTES_MOST = 64, 60, 60 * 24 * 366
STATE_CHEAP_S, STATE_SHARE = 0.005, 0.1     # invented: below that no sharing, above it a tenth of the time


class API:
    """The ASGI application.  house: the composed control process (control/house.py)."""

    def __init__(self, house):
        self.house = house
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "api-reader")
        self._connection = None
        self._state, self._state_until = b"", 0.0
        self.children = Children()
        self._listened = {}         # (user, recording) -> when it was journaled
        self._routes = [
            ("GET", ("state",), self.state), ("GET", ("events",), None), ("GET", ("calls",), self.calls),
            ("GET", ("calls", None), self.call), ("POST", ("calls", None, "hangup"), self.hangup),
            ("PUT", ("agents", None, "status"), self.agent_status),
            ("GET", ("routes", None), self.route), ("GET", ("spans", None, "timeslots", None), self.timeslot),
            ("GET", ("spans", None, "history"), self.span_history),
            ("GET", ("configuration",), self.configuration),
            ("POST", ("configuration", "propose"), self.propose),
            ("POST", ("configuration", "apply"), self.apply), ("GET", ("configuration", "history"), self.changes),
            ("GET", ("configuration", "history", None), self.change), ("POST", ("configuration", "rollback"), self.rollback),
            ("GET", ("me",), self.me), ("GET", ("agents", None, "figures"), self.figures),
            ("GET", ("health",), self.health), ("GET", ("media",), self.media),
            *api_operations.OperationsAPI(self).routes(), *api_desk.DeskAPI(self).routes(), *api_floor.FloorAPI(self).routes(), *api_reports.ReportsAPI(self).routes(), *api_chassis.ChassisAPI(self).routes(),
            *api_flows.FlowsAPI(self).routes(), *api_lines.LinesAPI(self).routes(), *api_ss7.SS7API(self).routes(), *api_pri.PRIAPI(self).routes(), *api_cas.CASAPI(self).routes(),
            *api_staffing.StaffingAPI(self).routes(), *api_flow_staffing.FlowStaffingAPI(self).routes(), *api_campaigns.CampaignsAPI(self).routes(), *api_journal.JournalAPI(self).routes(), *api_prompts.PromptsAPI(self).routes(), *api_trace.TraceAPI(self).routes(),
            *api_phones.PhonesAPI(self).routes(), *api_documents.DocumentsAPI(self).routes(), *api_users.UsersAPI(self).routes()]

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        try:
            handler, names = self._find(scope["method"], scope["path"])
            query = dict(urllib.parse.parse_qsl(scope["query_string"].decode("latin-1")))
            if handler is None:
                await roles.check(self, roles.of_headers(self.house.config.running(), scope["headers"]), "GET", ["events"], query, None)
                await self._events(query, receive, send)
                return
            body = None
            parts = [urllib.parse.unquote(part) for part in scope["path"].strip("/").split("/")][1:]
            if scope["method"] == "PUT" and parts[0] in ("prompts", "documents"):
                # Before 32 MiB are held for whoever may not give them; and once more when they are there, as with all requests.
                await roles.check(self, roles.of_headers(self.house.config.running(), scope["headers"]), "PUT", parts, query, None)
                body = {"octets": await self._octets(receive, api_prompts.OCTETS_MOST)}
            elif scope["method"] in ("PUT", "POST"):
                roles.admit(self, roles.of_headers(self.house.config.running(), scope["headers"]), scope["method"], parts)
                body = await self._body(receive)
            who = roles.of_headers(self.house.config.running(), scope["headers"])
            await roles.check(self, who, scope["method"], parts, query, body)
            roles.WHO.set(who)
            status, kind, answer = 200, b"application/json", await handler(*names, query=query, body=body)
            if isinstance(answer, Stream):
                await self._stream(answer, receive, send)
                return
            if isinstance(answer, bytes) and answer[:3] == b"\xef\xbb\xbf":
                kind = b"text/csv; charset=utf-8"
            elif isinstance(answer, bytes) and answer[:4] == b"RIFF":
                kind = b"audio/wav"
            elif isinstance(answer, bytes) and answer[:4] in (b"II*\0", b"MM\0*"):
                kind = b"image/tiff"
        except Problem as problem:
            status, kind, answer = problem.status, b"application/problem+json", problem.document
        except ConfigError as error:
            status, kind = 422, b"application/problem+json"
            answer = Problem(422, "the configuration is not usable", str(error),
                             errors=[{"path": error.path, "advice": error.advice}]).document
        except LocalError as error:
            status, kind = 409, b"application/problem+json"
            answer = Problem(409, "not possible now", str(error)).document
        except sqlite3.Error as error:
            log.error("api: %s %s: the database does not answer: %s", scope["method"], scope["path"], error)
            status, kind = 503, b"application/problem+json"
            answer = Problem(503, "the database does not answer", "It says: %s. Look at the data disk." % error).document
        except Exception:
            log.exception("api: %s %s failed", scope["method"], scope["path"])
            status, kind = 500, b"application/problem+json"
            answer = Problem(500, "fault in the control process",
                             "The control process could not do this; its log says why.").document
        octets = answer if isinstance(answer, bytes) else encode(answer)
        await send({"type": "http.response.start", "status": status, "headers": [
            (b"content-type", kind), (b"content-length", str(len(octets)).encode()),
            (b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": octets})

    async def _stream(self, stream, receive, send):
        """Send what is made meanwhile.  Breaks the connection off where that fails, so that the reader knows."""
        gone = asyncio.ensure_future(self._disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", stream.kind), (b"cache-control", b"no-store")]})
            async for piece in stream.pieces:
                if gone.done():
                    return
                sent = asyncio.ensure_future(send({"type": "http.response.body", "body": piece, "more_body": True}))
                await asyncio.wait({sent, gone}, timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
                if not sent.done():
                    sent.cancel()
                    return              # gone, or takes nothing any more: the answer stays without its end
                sent.result()
            await send({"type": "http.response.body", "body": b""})
        except (LocalError, asyncio.TimeoutError) as error:
            log.error("api: an answer breaks off: %s", error)      # without its end: the server closes the connection
        finally:
            gone.cancel()
            stream.close()

    def _find(self, method, path):
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        if parts[:1] != ["v1"]:
            raise Problem(404, "not found", "The API begins with /v1/.")
        allowed = []
        for wanted, pattern, handler in self._routes:
            if len(pattern) == len(parts) - 1 and all(p in (None, q) for p, q in zip(pattern, parts[1:])):
                if wanted == method:
                    return handler, [q for p, q in zip(pattern, parts[1:]) if p is None]
                allowed.append(wanted)
        if allowed:
            raise Problem(405, "method not allowed", "%s takes %s." % (path, " or ".join(allowed)))
        raise Problem(404, "not found", "There is nothing at %s." % path)

    @staticmethod
    async def _octets(receive, most):
        octets, dropped, more = bytearray(), 0, True
        while more and dropped <= DROPPED_OCTETS:       # what is too much is read and dropped: a client that still sends hears no answer
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "the client went away")
            octets += message.get("body", b"")
            more = message.get("more_body", False)
            if dropped or len(octets) > most:
                dropped += len(octets)
                octets.clear()
        if dropped:
            raise Problem(413, "too large", "A body may have %d octets." % most)
        return bytes(octets)

    async def _body(self, receive):
        octets = await self._octets(receive, BODY_LIMIT_OCTETS)
        if not octets:
            return {}
        try:
            body = parse(octets, once)
        except ValueError as error:
            raise Problem(400, "no JSON", "The body is no JSON that can be taken: %s." % error) from error
        if not isinstance(body, dict):
            raise Problem(400, "no JSON object", "The body must be a JSON object.")
        return body

    async def ask(self, method, parts, query, body, who=None):
        """One request from inside the process.  parts: of the path below /v1/; who: roles.Person.  Raises Problem."""
        await roles.check(self, who, method, parts, query, body)
        roles.WHO.set(who)
        handler, names = self._find(method, "/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in parts))
        return await handler(*names, query=query, body=body)

    async def in_reader(self, function):
        """Run function() in the reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def _read(self, function):
        """Run function(connection) in the reader thread."""
        def work():
            if self._connection is None:
                self._connection = self.house.database.reader()
            return function(self._connection)
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    read = _read        # for the other parts

    def whole(self, query, name, default, least, most):
        """A whole number of a query."""
        return self._whole(query, name, default, least, most)

    # -- what is there --

    async def state(self, query, body):
        who = roles.WHO.get()
        if who is not None and who.role != "admin":
            return roles.cut_state(self.house.config.running(), who, self.house.state())
        now = time.monotonic()
        if now >= self._state_until:
            self._state = encode(self.house.state())
            took_s = time.monotonic() - now
            # With 1,800 calls this takes 40 ms: many readers then share one answer.
            self._state_until = now + took_s / STATE_SHARE if took_s > STATE_CHEAP_S else 0.0
        return self._state

    async def health(self, query, body):
        return self.house.health()

    async def media(self, query, body):
        reply = await self.house.media.client.call("stats")
        return {name: value for name, value in reply.items() if name not in ("seq", "ok")}

    async def calls(self, query, body):
        limit = self._whole(query, "limit", 50, 1, PAGE_LIMIT)
        before = query.get("before")
        if before is not None:
            commands.check_call_id(before)
        who, config = roles.WHO.get(), self.house.config.running()
        if who is not None and who.role != "admin":
            return {"calls": await self._read(lambda db: self._seen(db, limit, before, lambda cdr: roles.sees_call(config, who, cdr)))}
        return {"calls": await self._read(lambda db: CDRs(db).page(limit, before))}

    @staticmethod
    def _seen(db, limit, before, visible):
        """CDRs that a person may see, out of so many."""
        found = []
        for _ in range(SEEN_PAGES):
            page = CDRs(db).page(PAGE_LIMIT, before)
            found += [cdr for cdr in page if visible(cdr)]
            if len(page) < PAGE_LIMIT or len(found) >= limit:
                break
            before = page[-1]["call"]
        return found[:limit]

    async def call(self, call, query, body):
        commands.check_call_id(call)
        root = self.house.data_dir

        def read(db):
            return (CDRs(db).get(call), Journal(db).of_call(call), Recordings(db, root).of_call(call))
        cdr, records, recordings = await self._read(read)
        if not records:
            raise commands.not_found("call", call)
        who = roles.WHO.get()
        if who is not None and who.role == "agent":
            recordings = []
        wanted = query.get("recording")
        if wanted is not None and any(row["id"] == wanted for row in recordings):
            self._heard(call, wanted, who.name if who is not None else query.get("by") or "admin")
        return {"cdr": cdr, "records": records, "recordings": recordings}

    def _heard(self, call, recording, user):
        """Somebody listens to a recording: journaled, once for all the pieces that a player fetches."""
        now_ms = self.house.clock.now_ms()
        if now_ms - self._listened.get((user, recording), -HEARD_MS) >= HEARD_MS:
            if len(self._listened) > 1000:
                self._listened.clear()
            self._listened[user, recording] = now_ms
            self.house.turns.handle({"kind": "command.desk", "record": "recording.heard", "data": {"recording": recording, "by": user[:64]}, "call": call})

    async def me(self, query, body):
        """Who asks: {"name", "role", "agent", "agents", "queues"}; None: all of them."""
        who, config = roles.WHO.get(), self.house.config.running()
        agents, queues = roles.domain(config, who)
        return {"name": who.name if who else None, "role": who.role if who else "admin", "agent": who.agent if who else None,
                "agents": None if agents is None else sorted(agents), "queues": None if queues is None else sorted(queues)}

    async def figures(self, agent, query, body):
        """Today's figures of an agent, with what each is."""
        if not self.house.agent_exists(agent):
            raise commands.not_found("agent", agent[:32])
        now_ms, core = self.house.clock.now_ms(), self.house.switchboard.core
        found = core.state.statistics.agent_figures(agent, now_ms)
        return {"agent": agent, "now_ms": now_ms, "figures": found, "formulas": FORMULAS["agents"]}

    async def hangup(self, call, query, body):
        await commands.hang_up(self.house, call)
        return {"ok": True}

    async def agent_status(self, agent, query, body):
        await commands.set_agent_status(self.house, agent, body.get("status"), body.get("reason"), body.get("by"), body.get("locked"))
        return {"ok": True}

    async def route(self, digits, query, body):
        return commands.explain_route(self.house, digits, query.get("line"), query.get("trunk_group"), query.get("caller"), query.get("at"))

    async def timeslot(self, span, timeslot, query, body):
        for row in self.house.state()["spans"]:
            for slot in row["timeslots"] if str(row["span"]) == span else ():
                if str(slot["timeslot"]) == timeslot:
                    limit = self._whole(query, "limit", 50, 1, PAGE_LIMIT)
                    states = await self.house.timeslots.ask(lambda history: history.of_timeslot(row["span"], slot["timeslot"], limit))
                    return {"timeslot": slot, "states": states, "calls": await self._read(lambda db: CDRs(db).of_timeslot(row["span"], slot["timeslot"], limit))}
        raise commands.not_found("timeslot", "%s of span %s" % (timeslot[:8], span[:8]))

    async def span_history(self, span, query, body):
        """What each timeslot of a span was over some hours."""
        if not span.isascii() or not span.isdigit() or len(span) > 2 or not 1 <= int(span) <= SPANS:
            raise commands.not_found("span", span[:8])
        now_ms = self.house.clock.now_ms()
        to_ms = self._whole(query, "to", now_ms, 0, 1 << 53)
        from_ms = to_ms - self._whole(query, "minutes", HISTORY_MINUTES, 1, HISTORY_MINUTES_MOST) * 60_000

        def told(history):
            """JSON, made beside the loop: megabytes of a busy span; a timeslot at a time, because an encoder lets nobody else run."""
            found, whole = history.of_span(int(span), from_ms, to_ms)
            rows = b",".join(encode({"timeslot": slot, "states": found[slot]}) for slot in sorted(found))
            return encode({"span": int(span), "from_ms": from_ms, "to_ms": to_ms, "whole": whole})[:-1] + b',"timeslots":[' + rows + b"]}"
        return await self.house.timeslots.ask(told)

    async def configuration(self, query, body):
        running = self.house.config.running()
        return {"revision": running["revision"], "configuration": running}

    async def propose(self, query, body):
        candidate = body.get("configuration", body)
        return await self.house.propose_configuration(candidate)

    async def apply(self, query, body):
        revision, candidate = body.get("revision"), body.get("configuration")
        if not isinstance(revision, int) or not isinstance(candidate, dict):
            raise Problem(422, "incomplete", 'The body must be {"revision": number, "configuration": object}.')
        return await self.house.apply_configuration(candidate, revision)

    async def changes(self, query, body):
        return {"changes": self.house.switchboard.core.state.changes[::-1]}

    async def change(self, revision, query, body):
        number = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 16 else 0
        if query.get("whole") == "1":
            return {"revision": number, "configuration": await asyncio.to_thread(self.house.config.earlier, number)}
        return {"revision": number, "changes": await asyncio.to_thread(self.house.config.change, number)}

    async def rollback(self, query, body):
        revision, running = body.get("revision"), body.get("from")
        if any(isinstance(number, bool) or not isinstance(number, kind) for number, kind in ((revision, int), (running, (int, type(None))))):
            raise Problem(422, "incomplete", 'The body must be {"revision": number of an earlier one, "from"?: number of the one in force}.')
        return await self.house.rollback_configuration(revision, running)

    # -- the live stream --

    async def _events(self, query, receive, send):
        seq = self._whole(query, "after", 0, 0, 1 << 53)
        if 0 < seq < self.house.keeping.gone_upto():
            raise Problem(410, "gone", "The journal begins after record %d: what came before it was pruned (retention.journal_months). "
                                       "Read the state anew and follow from its seq." % self.house.keeping.gone_upto())
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store")]})
        desk = next((adapter for adapter in self.house.adapters if adapter.name == "desk"), None) if query.get("pops") == "1" else None
        gone = asyncio.ensure_future(self._disconnect(receive))
        try:
            while not gone.done() and not self.house.feed.closed:
                seq, octets = await self._lines(seq, desk, query.get("brief") == "1")
                if octets is None:
                    news = asyncio.ensure_future(self.house.feed.wait(seq, KEEPALIVE_S))
                    await asyncio.wait({news, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if not news.done():
                        news.cancel()
                        return
                    if news.result():
                        continue
                    octets = b"\n"
                await send({"type": "http.response.body", "body": octets, "more_body": True})
                await asyncio.sleep(GATHER_S)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _lines(self, seq, desk, brief):
        """(number of the newest record, lines) of what came after seq; lines None: nothing did.  brief: one line with that number alone."""
        newest = self.house.feed.last_seq
        if brief:
            return max(seq, newest), b'{"seq":%d}\n' % newest if newest > seq else None
        records = self.house.feed.since(seq)
        if records is None:
            records = await self._read(lambda db: Journal(db).after(seq))
            if not records:
                return newest, None
        if not records:
            return seq, None
        told = await desk.with_pops(records) if desk is not None else records
        return records[-1]["seq"], b"".join(encode(record) + b"\n" for record in told)

    @staticmethod
    async def _disconnect(receive):
        while (await receive())["type"] != "http.disconnect":
            pass

    # -- checks --

    @staticmethod
    def _whole(query, name, default, least, most):
        text = query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 18 and least <= int(text) <= most):
            raise Problem(400, "bad parameter", "%s must be a whole number from %d to %d." % (name, least, most))
        return int(text)


def listen(path):
    """Bind the API's Unix socket, replacing a dead one.  Returns the socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = path + ".new"
    if os.path.exists(beside):
        os.unlink(beside)
    listener.bind(beside)
    os.chmod(beside, 0o660)
    listener.listen(128)
    os.replace(beside, path)
    listener.setblocking(False)
    return listener


def server(house):
    """A uvicorn server of the API that leaves signals alone; `await server.serve(sockets=[...])`."""
    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self):
            yield

    return Server(uvicorn.Config(API(house), http="h11", ws="none", lifespan="off", log_config=None, proxy_headers=False,
                                 access_log=False, timeout_graceful_shutdown=1, timeout_keep_alive=30))
