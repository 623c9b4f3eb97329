"""The web process: HTTPS, pages, REST (WSGI) and the live stream (ASGI).

    python -m webui

Environment: $STROWGER_RUN, $STROWGER_DATA; the listening socket "web-https"
comes from the supervisor, or is opened here from the configuration.
Exit codes: firmware/exits.py.
"""

import asyncio
import json
import logging
import os
import pathlib
import sys
import time
import urllib.parse

import uvicorn
from a2wsgi import WSGIMiddleware

from firmware import sockets
from firmware.control.client import ControlError
from firmware.errors import LocalError
from firmware.exits import EX_TEMPFAIL, exit_code
from firmware.heartbeat import BEAT_S, Heart
from webui import admission, certificate, pages
from webui.bodies import Bodies
from webui.connections import Punctual, Server, more_descriptors
from webui.desk_live import DeskLive
from webui.house import House
from webui.live import Live
from webui.quiet import Quiet
from webui.render import choose_language
from webui.sessions import COOKIE, Sessions
from webui.telephones import Telephones
from webui.users import Users
from webui.websockets import WebSocket

SECURITY = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
]
PAGE_THREADS = 16
RIGHTS_S = 5             # after that an open stream asks control again what its person may see; invented


class Application:
    """ASGI: /live and /desk/live stream, /sip is a WebSocket (telephones.py); all else goes to the pages in a pool of threads."""

    def __init__(self, house, users, sessions, data_dir, site_name, run_dir):
        self.telephones = Telephones(run_dir)
        self.sessions, self.users = sessions, users
        self.live = Live(house)
        self.desk = DeskLive(self.live)
        in_threads = WSGIMiddleware(pages.build(house, users, sessions, data_dir, site_name), workers=PAGE_THREADS)
        self.pages = Bodies(in_threads, self.trust)

    def trust(self, scope):
        """How far the client of a request is known, for the size of its body: see Bodies."""
        if scope["path"].startswith(admission.PUBLIC):
            return "none"
        if self.sessions.user(cookies(scope).get(COOKIE)):
            return "proven"
        basic = scope["path"].startswith("/api/") and b"authorization" in dict(scope["headers"])
        return "claimed" if basic else "none"

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await self.telephones.serve(scope, receive, send)
        if scope["type"] != "http":
            return

        async def secured(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message["headers"]) + SECURITY}
            await send(message)

        if scope["path"] not in ("/live", "/desk/live"):
            await self.pages(scope, receive, secured)
            return
        given = cookies(scope)
        user = self.sessions.user(given.get(COOKIE))
        if user is None or not self.users.known(user) or self.users.must_change(user):
            await secured({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            me = await asyncio.to_thread(self.live.house.me, user)
        except LocalError:
            me = {"role": None}
        if scope["path"] == "/desk/live" and me["role"]:
            asked = urllib.parse.parse_qs(scope["query_string"].decode("latin-1")).get("agent", [""])[0][:32]
            agent = me["agent"] or (asked if me["agents"] is None or asked in me["agents"] else None)
            accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
            if agent:
                await self.desk.stream(receive, secured, choose_language(given.get("strowger_language"), accepted or None), agent,
                                       self.still(given.get(COOKIE), user, me))
                return
        if me["role"] not in ("admin", "supervisor", "inspector"):
            await secured({"type": "http.response.start", "status": 403 if me["role"] else 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        domain = None if me["agents"] is None else (frozenset(me["agents"]), frozenset(me["queues"]))
        accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        language = choose_language(given.get("strowger_language"), accepted or None)
        await self.live.stream(receive, secured, language, domain, self.still(given.get(COOKIE), user, me))

    def still(self, token, user, me):
        """A coroutine function for open streams: whether the session is the user's yet, with the rights that it had when the stream began.
        Where it is not the stream ends; the browser asks anew and gets what it may see now."""
        looked_s = time.monotonic()

        async def still():
            nonlocal looked_s
            if self.sessions.user(token) != user or not self.users.known(user) or self.users.must_change(user):
                return False
            if time.monotonic() - looked_s < RIGHTS_S:
                return True
            looked_s = time.monotonic()
            try:
                return await asyncio.to_thread(self.live.house.me, user) == me
            except ControlError as error:
                return error.status == 503          # control is away: the last state is shown as such
            except LocalError:
                return False
        return still


def cookies(scope):
    """The cookies of a request: {name: value}."""
    text = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    return dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)


def give_up(run_dir, sentence, code):
    """Say why there are no pages, also in web.fault, which control shows in its health.  Returns the exit code."""
    print(f"web: {sentence}", file=sys.stderr)
    try:
        (run_dir / "web.fault").write_text(sentence, encoding="utf-8")
    except OSError:
        pass                # the sentence is in the log
    return code


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s web %(levelname)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Quiet())
    run_dir, data_dir = (pathlib.Path(os.environ.get(name, default))
                         for name, default in (("STROWGER_RUN", "var/run"), ("STROWGER_DATA", "var/data")))
    try:
        configuration = json.loads((data_dir / "configuration.json").read_text(encoding="utf-8"))
        if not isinstance(configuration, dict):
            raise ValueError("it is no JSON object")
    except FileNotFoundError:
        return give_up(run_dir, f"{data_dir}/configuration.json is not there yet; start control first.", EX_TEMPFAIL)
    except (OSError, ValueError) as error:
        return give_up(run_dir, f"{data_dir}/configuration.json cannot be read ({error}); restore it from a backup.",
                       exit_code(error))
    listen = {"address": "127.0.0.1", "port": 8443, **configuration.get("web", {})}
    try:
        key, chain = certificate.ensure(data_dir / "tls", listen["address"])
        users = Users(data_dir)
        sock = sockets.inherited("web-https") or sockets.open_listener("web-https", "tcp", listen["address"],
                                                                       listen["port"])
    except (LocalError, OSError) as error:
        return give_up(run_dir, str(error), exit_code(error))
    house = House(run_dir)
    house.follow()

    def site_name():
        state = house.state()[1] or {}
        return (state.get("system") or {}).get("site") or configuration.get("site", {}).get("name", "Strowger")

    sessions = Sessions(data_dir, users.known)
    users.changed = lambda name: sessions.end_others(name, "")
    application = Application(house, users, sessions, data_dir, site_name, run_dir)
    config = uvicorn.Config(application, log_level="warning", lifespan="off", http=Punctual, ws=WebSocket, ws_max_size=65536, access_log=False,
                            ssl_keyfile=str(key), ssl_certfile=str(chain), server_header=False, log_config=None, proxy_headers=False,
                            timeout_graceful_shutdown=1, h11_max_incomplete_event_size=65536)
    server = Server(config, more_descriptors())
    renewal = certificate.Renewal(key, chain)

    async def serve():
        task = asyncio.ensure_future(server.serve(sockets=[sock]))
        while not server.started and not task.done():
            await asyncio.sleep(0.02)
        (run_dir / "web.fault").unlink(missing_ok=True)
        (run_dir / "web.ready").touch()
        heart = Heart(run_dir / "web.ready")
        while not task.done():
            heart.beat()
            renewal.look(config.ssl)
            await asyncio.wait([task], timeout=BEAT_S)
        await task

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
