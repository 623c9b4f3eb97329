"""Blocking client of the local API: HTTP and JSON on $STROWGER_RUN/control.sock.

Used by the web process, the command `strowger` and the tests.

    client = ControlClient(run_dir)
    client.get("/v1/state")                       -> dict
    client.put("/v1/agents/1001/status", {"status": "on_break", "reason": "lunch"}) -> dict
    client.post("/v1/calls/c17/hangup")           -> dict
    for record in client.stream_events(after=0):  # never ends; None each 10 s (keep-alive)
        ...

A refusal raises ControlError (a LocalError) with the problem document in
`.problem` and its HTTP status in `.status`; a control process that is not there
raises ControlError with status 503.  One client may be used by several threads:
each request has a connection of its own.
"""

import contextlib
import http.client
import json
import os
import socket
import urllib.parse

from firmware.errors import LocalError


class ControlError(LocalError):
    """The control process refused (or is not there).  status: HTTP; problem: RFC 9457 dict."""

    def __init__(self, status, problem):
        super().__init__(problem.get("detail") or problem.get("title") or "HTTP status %d" % status)
        self.status = status
        self.problem = problem


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class ControlClient:
    """The local API of the control process whose run directory is given.

    run_dir: default $STROWGER_RUN.  timeout_s: of one request.  user: for whom it asks, whose role decides (control/roles.py);
    None: for who may open the socket."""

    def __init__(self, run_dir=None, timeout_s=10.0, user=None):
        run_dir = run_dir or os.environ.get("STROWGER_RUN")
        if not run_dir:
            raise LocalError("no run directory: set STROWGER_RUN or pass run_dir")
        self.path = os.path.join(str(run_dir), "control.sock")
        self.timeout_s = timeout_s
        self.user = user

    def get(self, path, **query):
        """GET; query parameters that are None are left out.  Returns the decoded JSON."""
        return self.request("GET", path, query=query)

    def put(self, path, body=None):
        """PUT a JSON body; octets as they are."""
        return self.request("PUT", path, body=body)

    def post(self, path, body=None):
        """POST a JSON body."""
        return self.request("POST", path, body=body)

    def request(self, method, path, body=None, query=None, user=None, timeout_s=None):
        """One request; returns the decoded JSON or raises ControlError.  user: for whom, else the client's.  body: JSON data, or octets."""
        connection = _UnixConnection(self.path, timeout_s or self.timeout_s)
        try:
            response = self._send(connection, method, path, body, query, user)
            octets = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._absent(error) from error
        finally:
            connection.close()
        return self._decode(response.status, octets)

    @contextlib.contextmanager
    def stream(self, path, timeout_s=150.0, user=None, **query):
        """A large answer, piece by piece: `with client.stream(path) as (content type, pieces)`.

        timeout_s: for each piece, the first one too.  Raises ControlError, also where the answer ends before its end."""
        connection = _UnixConnection(self.path, timeout_s)

        def pieces():
            try:
                while piece := response.read1(65536):
                    yield piece
            except (OSError, http.client.HTTPException) as error:
                raise ControlError(502, {"title": "the answer broke off", "status": 502,
                                         "detail": "The answer broke off (%s); what has come of it is not whole. Ask again" % (error or type(error).__name__)}) from error
        try:
            try:
                response = self._send(connection, "GET", path, None, query, user)
                if response.status != 200:
                    self._decode(response.status, response.read())
            except (OSError, http.client.HTTPException) as error:
                raise self._absent(error) from error
            yield response.getheader("Content-Type"), pieces()
        finally:
            connection.close()

    def stream_events(self, after=0, keepalive_s=30.0, pops=None, brief=None):
        """Iterate over journal records above number `after`, then over new ones as they are committed.

        Yields dicts (brief=1: only {"seq"}, the newest, each time that some have come); None for a keep-alive.  Ends by raising ControlError when the control process
        goes away (ask again with the last "seq" seen)."""
        connection = _UnixConnection(self.path, keepalive_s)
        try:
            response = self._send(connection, "GET", "/v1/events", None, {"after": after, "pops": pops, "brief": brief})
            if response.status != 200:
                self._decode(response.status, response.read())
            while True:
                line = response.readline()
                if not line:
                    raise ControlError(503, {"title": "the event stream ended", "status": 503})
                line = line.strip()
                yield json.loads(line) if line else None
        except (OSError, http.client.HTTPException) as error:
            raise self._absent(error) from error
        finally:
            connection.close()

    def _send(self, connection, method, path, body, query, user=None):
        query = {key: value for key, value in (query or {}).items() if value is not None}
        if query:
            path += "?" + urllib.parse.urlencode(query)
        octets = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        user = user or self.user
        connection.request(method, path, octets, {**({"content-type": "application/json"} if octets else {}),
                                                  **({"x-strowger-user": urllib.parse.quote(user)} if user else {})})
        return connection.getresponse()

    @staticmethod
    def _decode(status, octets):
        if octets[:3] == b"\xef\xbb\xbf":
            return octets                   # CSV
        if octets[:4] in (b"RIFF", b"\x0a\x0d\x0d\x0a", b"II*\0", b"MM\0*"):     # sound, pcapng, TIFF
            return octets
        try:
            body = json.loads(octets) if octets else {}
        except ValueError:
            body = {"title": octets.decode("utf-8", "replace")[:200], "status": status}
        if status >= 400:
            raise ControlError(status, body)
        return body

    def _absent(self, error):
        return ControlError(503, {
            "title": "control is not there", "status": 503,
            "detail": "%s: %s; start the control process or set STROWGER_RUN" % (self.path, error)})
