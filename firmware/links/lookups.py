"""Questions to systems of the house (HTTP, SQLite files, databases among the services): asked in threads, so that a slow answer delays nobody.

    switchboard: {"do": "lookup.ask", "call", "lookup", "caller", "called"} -> event lookup.answered call lookup agent|None error|None

Each has its time limit; the switchboard goes on without an answer when it is over, whatever the thread does.  No more
than THREADS questions are on their way; what waits longer than its limit is not asked any more.
"""

import asyncio
import concurrent.futures
import json
import logging
import os
import sqlite3
import threading
import time
import urllib.parse
import urllib.request

from firmware.errors import LocalError
from firmware.ivr.statement import parts
from firmware.links.adapter import Adapter
from firmware.links.sql_client import SQLClient

log = logging.getLogger(__name__)

THREADS = 8
ANSWER_OCTETS = 1 << 16
PROGRESS_STEPS = 10_000         # of SQLite between two looks at the clock
MOST_MEMBERS, MOST_CHARACTERS = 60, 1000        # of an answer that is shown; invented


class Databases:
    """The clients of databases that lookups ask; one a service, kept while its settings are the same.  folder: of SQLite files."""

    def __init__(self, folder):
        self._folder, self._clients, self._lock = folder, {}, threading.Lock()

    def ready(self, row, config):
        """The row of a lookup, with the client that asks where it needs one.  Raises LocalError."""
        if row["kind"] != "sql":
            return row
        service = next((one for one in config["services"] if one["name"] == row["service"]), None)
        if service is None:
            raise LocalError("there is no service %s any more" % row["service"])
        with self._lock:
            held = self._clients.get(row["service"])
            if held is None or held.service != service:
                if held is not None:
                    held.close()
                held = self._clients[row["service"]] = SQLClient(service, self._folder)
        return dict(row, client=held)

    def close(self):
        """Let go of all."""
        with self._lock:
            for held in self._clients.values():
                held.close()
            self._clients = {}


def ask(row, caller, called, deadline):
    """The name that a question gives, or None.  row: of Databases.ready().  deadline: monotonic seconds.  Raises OSError, ValueError,
    sqlite3.Error, LocalError."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("it was not asked in time")
    if row["kind"] != "http":
        found = _first_row(row, caller, called, deadline)
        return found[0][1] if found else None
    return _http(row, caller, called, left_s).get(row["field"])


def ask_all(row, caller, called, deadline):
    """The whole answer as [(name, value)] of texts and numbers, the columns of the first row or the members of the object; [] where
    nobody is known.  Arguments and errors as ask()."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("it was not asked in time")
    found = _first_row(row, caller, called, deadline) if row["kind"] != "http" else list(_http(row, caller, called, left_s).items())
    plain = [(str(name)[:64], value) for name, value in found if isinstance(value, (str, int, float)) and value != ""]
    return [(name, value[:MOST_CHARACTERS] if isinstance(value, str) else value) for name, value in plain][:MOST_MEMBERS]


def _http(row, caller, called, left_s):
    url = row["url"].replace("{caller}", urllib.parse.quote(caller, safe="")).replace("{called}", urllib.parse.quote(called, safe=""))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers={"accept": "application/json"}), timeout=left_s) as answer:
        octets = answer.read(ANSWER_OCTETS + 1)
    if len(octets) > ANSWER_OCTETS:
        raise ValueError("the answer is longer than %d octets" % ANSWER_OCTETS)
    found = json.loads(octets)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


def _first_row(row, caller, called, deadline):
    """[(column, value)] of the first row, [] where there is none."""
    if row["kind"] == "sqlite":
        return _sqlite(row, caller, called, deadline)
    given = {"caller": caller, "called": called}
    wanted = {part for kind, part in parts(row["query"]) if kind != "text"}
    if wanted - set(given):
        raise ValueError("the query wants :%s, which a lookup does not know" % sorted(wanted - set(given))[0])
    answer = row["client"].ask_now({"statement": row["query"], "parameters": {name: given[name] for name in wanted}, "most_rows": 1}, deadline)
    return list(answer["rows"][0].items()) if answer["rows"] else []


def _sqlite(row, caller, called, deadline):
    db = sqlite3.connect("file:%s?mode=ro" % urllib.parse.quote(row["file"]), uri=True, timeout=max(0.01, deadline - time.monotonic()))
    try:
        db.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
        rows = db.execute(row["query"], {"caller": caller, "called": called})
        found = rows.fetchone()
    finally:
        db.close()
    return [(head[0], cell) for head, cell in zip(rows.description, found)] if found else []


class Lookups(Adapter):
    """house: the House."""

    name = "lookups"

    def __init__(self, house):
        self.house, self.turns = house, house.turns
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS, "lookup")
        self._asked = []
        self.databases = Databases(os.path.join(house.data_dir, "databases"))
        self.asked = self.failed = 0

    def carry_out(self, action, now_ms):
        """lookup.ask; it leaves after the commit."""
        self._asked.append(action)

    def flush(self):
        """Ask."""
        asked, self._asked = self._asked, []
        for action in asked:
            self.house.spawn(self._ask(action))

    async def _ask(self, action):
        row = next((one for one in self.house.config.running()["lookups"] if one["name"] == action["lookup"]), None)
        agent, error = None, "the lookup is gone"
        self.asked += 1
        if row is not None:
            limit_s = row["timeout_ms"] / 1000
            deadline = time.monotonic() + limit_s
            try:
                row = self.databases.ready(row, self.house.config.running())
                future = self._pool.submit(ask, row, action["caller"], action["called"], deadline)
                agent = await asyncio.wait_for(asyncio.wrap_future(future), limit_s)
                error = None
            except (OSError, ValueError, sqlite3.Error, LocalError, asyncio.TimeoutError) as failure:
                error = ("%s: %s" % (type(failure).__name__, failure))[:200]
        if error is not None:
            self.failed += 1
            log.warning("lookup %s of call %s: %s; the caller goes to anybody", action["lookup"], action["call"], error)
        self.turns.handle({"kind": "lookup.answered", "call": action["call"], "lookup": action["lookup"],
                           "agent": agent if isinstance(agent, str) else None, "error": error})

    def stop(self):
        """Whoever is still asked answers to nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.databases.close()

    def describe(self, state, legs):
        """How many were asked."""
        state["system"]["lookups"] = {"asked": self.asked, "failed": self.failed}
