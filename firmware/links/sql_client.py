"""SQL questions of flows: SQLite files, PostgreSQL and MySQL, in threads beside the control loop, with limits on time and size.

    client = SQLClient(service, folder)         service: a row of the setting services; folder: where SQLite files lie
    answer = await client.ask(request)          {"rows": [{column: value}], "count"}; raises LocalError with a sentence
    client.close()

Values of columns come as JSON has them: decimals, dates and times as text, octets as text or hexadecimal.  A statement is sent as
it stands; its values go beside it (:name), so that no caller can change its meaning.  The drivers (pg8000, PyMySQL) are pure
Python; both read and write through LimitedSocket, so a server that sends without end costs max_octets, and one that says nothing,
or an octet now and then, the time of the question, from the greeting on.  What a driver says of
a statement that held a secret entry is not passed on: it likes to quote values.
"""

import asyncio
import concurrent.futures
import datetime
import decimal
import io
import os
import socket
import sqlite3
import ssl
import time

from firmware.errors import LocalError
from firmware.ivr.requests import Hidden, reveal
from firmware.ivr.statement import parts

IDLE_S = 60.0
STEPS = 1000                # of SQLite's machine between two looks at the clock
SHOWN = 200                 # characters of a driver's complaint


class TooMuch(Exception):
    """The server sends more than it may."""


class Octets(io.RawIOBase):
    """A LimitedSocket's octets, each piece within the time that is left: a driver's own limit would begin anew with each."""

    def __init__(self, owner):
        super().__init__()
        self._owner = owner

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, room):
        """See io.RawIOBase."""
        return self._owner.in_time().recv_into(room)

    def write(self, octets):
        """See io.RawIOBase."""
        return self._owner.in_time().send(octets)


class LimitedFile:
    """What the drivers read from: counts octets."""

    def __init__(self, file, owner):
        self._file, self._owner = file, owner

    def read(self, count=-1):
        """Read, and count."""
        if count > self._owner.left:
            self._owner.left = 0
            raise TooMuch
        octets = self._file.read(count)
        self._owner.left -= len(octets or b"")
        return octets

    def __getattr__(self, name):
        return getattr(self._file, name)


class LimitedSocket:
    """A socket whose answers have limits.  left: octets that may still come; until_s: when it must be over (monotonic)."""

    def __init__(self, sock, left, until_s):
        self._sock, self.left, self.until_s = sock, left, until_s

    def in_time(self):
        """The socket, which waits until until_s and no longer.  Raises TimeoutError when that is over."""
        rest_s = self.until_s - time.monotonic()
        if rest_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(rest_s)
        return self._sock

    def makefile(self, mode):
        """A counting file; modes "rb" and "rwb"."""
        octets = Octets(self)
        return LimitedFile(io.BufferedRWPair(octets, octets) if "w" in mode else io.BufferedReader(octets), self)

    def sendall(self, octets):
        """Send all in time."""
        self.in_time().sendall(octets)

    def __getattr__(self, name):
        return getattr(self._sock, name)


class Held:
    """One connection, made until until_s (monotonic).  run(statement, parameters, most_rows, until_s) -> (columns, rows, count)."""

    def __init__(self, service, until_s):
        self.service, self.until_s, self.since_s, self.sock = service, until_s, time.monotonic(), None
        self.spent = False          # not to be used again

    def dial(self, port):
        """A limited socket to the server."""
        host, _, given = self.service["address"].rpartition(":") if ":" in self.service["address"].rpartition("]")[2] else (self.service["address"], "", "")
        sock = socket.create_connection((host.strip("[]"), int(given or port)), timeout=max(0.05, self.until_s - time.monotonic()))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = LimitedSocket(sock, self.service["max_octets"] + 100_000, self.until_s)     # what the greeting may take
        return self.sock

    def allow(self, until_s):
        """For the next statement: so many octets, so much time."""
        self.sock.left, self.sock.until_s = self.service["max_octets"], until_s

    def close(self):
        """Let go, at once: a driver would read what is still to come."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        try:
            self.connection.close()
        except Exception:           # the driver may have lost it already
            pass


class SQLiteHeld(Held):
    def __init__(self, service, folder, until_s):
        super().__init__(service, until_s)
        path = os.path.join(folder, service["address"])
        if not os.path.isfile(path):
            raise LocalError("there is no file %s" % path)
        mode = "rw" if service["write"] else "ro"
        self.connection = sqlite3.connect("file:%s?mode=%s" % (path.replace("%", "%25").replace("?", "%3f").replace("#", "%23"), mode), uri=True,
                                          check_same_thread=False, isolation_level=None, timeout=1.0)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, service["max_octets"])
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def run(self, statement, parameters, most_rows, until_s):
        self.connection.set_progress_handler(lambda: time.monotonic() > until_s, STEPS)
        cursor = self.connection.execute(statement, parameters)
        rows = cursor.fetchmany(most_rows) if cursor.description else []
        count = len(rows) if cursor.description else cursor.rowcount
        columns = [column[0] for column in cursor.description or []]
        cursor.close()
        return columns, rows, count


class PostgreSQLHeld(Held):
    def __init__(self, service, folder, until_s):
        from pg8000 import native
        super().__init__(service, until_s)
        context = None
        self.connection = native.Connection(service["user"], password=service["password"] or None, database=service["database"] or None,
                                            sock=self.dial(5432), ssl_context=context, application_name="strowger")

    def run(self, statement, parameters, most_rows, until_s):
        self.allow(until_s + 0.2)       # the server gives up first, and the connection lives on
        self.connection.run("SET statement_timeout = %d" % max(50, int((until_s - time.monotonic()) * 1000)))
        rows = self.connection.run(statement, **parameters)
        columns = [column["name"] for column in self.connection.columns or []]
        count = self.connection.row_count
        return columns, (rows or [])[:most_rows], len(rows[:most_rows]) if rows else max(0, count)


class MySQLHeld(Held):
    def __init__(self, service, folder, until_s):
        import pymysql
        super().__init__(service, until_s)
        self.connection = pymysql.connect(user=service["user"], password=service["password"], database=service["database"] or None, charset="utf8mb4",
                                          autocommit=True, defer_connect=True, local_infile=False)
        self.connection.connect(sock=self.dial(3306))
        self.cursor = pymysql.cursors.SSCursor

    def run(self, statement, parameters, most_rows, until_s):
        self.allow(until_s)
        text = "".join(part.replace("%", "%%") if kind == "text" else "%%(%s)s" % part for kind, part in parts(statement))
        cursor = self.connection.cursor(self.cursor)
        try:
            cursor.execute(text, parameters)
            columns = [column[0] for column in cursor.description or []]
            rows = cursor.fetchmany(most_rows) if columns else []
            self.spent = len(rows) == most_rows         # more rows may come, which nobody wants to read
            return columns, rows, len(rows) if columns else cursor.rowcount
        finally:
            result = getattr(cursor, "_result", None)
            if result is not None and (self.spent or self.sock.left <= 0):
                result.unbuffered_active = False
            if not self.spent and self.sock.left > 0:
                cursor.close()


KINDS = {"sqlite": SQLiteHeld, "postgresql": PostgreSQLHeld, "mysql": MySQLHeld}


LOST = (2006, 2013)         # of MySQL's clients: the server has gone away, the connection was lost


def _closed(error):
    """Whether an exception says that the connection is gone: both drivers have words of their own for it."""
    return isinstance(error, (OSError, EOFError)) or type(error).__name__ == "InterfaceError" or bool(error.args) and error.args[0] in LOST


def reads(statement):
    """Whether a statement only reads, so that it may be asked twice."""
    return statement.lstrip().lower().startswith("select")


class SQLClient:
    """Questions to one database."""

    def __init__(self, service, folder):
        self.service, self.folder = service, folder
        self._pool = concurrent.futures.ThreadPoolExecutor(service["connections"], "sql-" + service["name"])
        self._gate = asyncio.Semaphore(service["connections"])
        self._idle = []

    async def ask(self, request):
        """See the module's docstring.  request: ivr/requests.py."""
        limit_s = min(request["timeout_s"], self.service["timeout_s"])
        until_s = time.monotonic() + limit_s
        try:
            return await asyncio.wait_for(self._ask(request, until_s), limit_s + 0.3)
        except asyncio.TimeoutError:
            raise LocalError("%s did not answer in time" % self.service["name"]) from None

    async def _ask(self, request, until_s):
        async with self._gate:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, request, until_s)
            return await asyncio.shield(work)

    def ask_now(self, request, until_s):
        """The same for who waits in a thread of its own.  until_s: of the monotonic clock."""
        return self._work(request, until_s)

    def _work(self, request, until_s):
        secret = any(isinstance(value, Hidden) for value in request["parameters"].values())
        parameters = {name: reveal(value) for name, value in request["parameters"].items()}
        held, fresh = None, False
        while True:
            if time.monotonic() > until_s:
                raise LocalError("%s had no connection free in time" % self.service["name"])
            try:
                held = self._kept()
                fresh = held is None
                if fresh:
                    held = KINDS[self.service["kind"]](self.service, self.folder, until_s)
                columns, rows, count = held.run(request["statement"], parameters, request["most_rows"], until_s)
                break
            except LocalError:
                raise
            except ImportError as error:
                raise LocalError("%s cannot be asked: %s; run make setup" % (self.service["name"], error)) from None
            except TooMuch:
                if held is not None:        # None: it was the greeting that did not end
                    held.close()
                raise LocalError("the answer of %s is longer than %d octets" % (self.service["name"], self.service["max_octets"])) from None
            except Exception as error:
                if held is not None:
                    held.close()
                if not fresh and held is not None and _closed(error) and reads(request["statement"]) and time.monotonic() < until_s - 0.1:
                    continue            # a kept connection had died; what writes might have been carried out, and only its answer be lost
                raise LocalError(self._complaint(error, secret, until_s)) from None
        held.since_s = time.monotonic()
        if held.spent:
            held.close()
        else:
            self._idle.append(held)
        return {"rows": [dict(zip(columns, [_plain(value) for value in row])) for row in rows], "count": count}

    def _kept(self):
        while self._idle:
            held = self._idle.pop()
            if time.monotonic() - held.since_s < IDLE_S:
                return held
            held.close()
        return None

    def _complaint(self, error, secret, until_s):
        name = self.service["name"]
        if time.monotonic() >= until_s or isinstance(error, (TimeoutError, socket.timeout)) or "interrupted" in str(error):
            return "%s did not answer in time" % name
        if isinstance(error, (OSError, ssl.SSLError)):
            return "%s cannot be reached: %s" % (name, error)
        if _closed(error):
            return "%s closed the connection" % name
        if secret:
            return "%s refuses the statement (%s; its words are left out, since they may hold the secret)" % (name, type(error).__name__)
        said = error.args[0] if error.args else error
        if isinstance(said, dict):          # pg8000: fields of the server's message
            said = said.get("M", said)
        elif len(error.args) > 1:           # PyMySQL: number and text
            said = error.args[1]
        return "%s refuses the statement: %s" % (name, str(said)[:SHOWN])

    def close(self):
        """Let go of kept connections; what runs ends by itself."""
        for held in self._idle:
            held.close()
        self._idle = []
        self._pool.shutdown(wait=False)


def _plain(value):
    """A column's value as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value if not isinstance(value, int) or abs(value) < 1 << 63 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        octets = bytes(value)
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets.hex()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return str(value)
