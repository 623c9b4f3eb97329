"""The web application as WSGI before a whole control process, whose carrier, telephones and media are the test's: who may enter is the test's word."""

import contextlib
import io
import json
import socket
import types
import urllib.parse
from html.parser import HTMLParser

from firmware.control.compose import make_adapters
from tests.control.conftest import FakeMedia
from tests.control.desk_rig import DeskHouse
from webui import pages
from webui.house import House
from webui.sessions import COOKIE

SHOWN = ("title", "placeholder", "aria-label", "alt", "label")       # attributes that a person reads
UNSEEN = ("script", "style")
SAID_BY_MEDIA = {"berts": {"berts": []}, "bearers_set": {"faults": {}}}


class Media(FakeMedia):
    """Answers what the pages ask media, too."""

    async def call(self, do, **parameters):
        return {**await super().call(do, **parameters), **SAID_BY_MEDIA.get(do, {})}


class WholeHouse(DeskHouse):
    """All adapters of a control process but that of a board, the test's legs before them.  What it is prepared with, it starts with."""

    make_media = Media

    def __init__(self, site, prepare):
        super().__init__(site)
        path = site.data / "configuration.json"
        config = json.loads(path.read_text())
        prepare(config)
        free_ports(config)
        path.write_text(json.dumps(config))

    def adapters(self, house):
        return [self.legs, *(adapter for adapter in make_adapters(house) if adapter.name != "framers")]


def free_ports(config):
    """Let every socket of a configuration be one that is free."""
    with contextlib.ExitStack() as held:
        for part, kind in (("sip", socket.SOCK_DGRAM), ("cti", socket.SOCK_STREAM)):
            probe = held.enter_context(socket.socket(socket.AF_INET, kind))
            probe.bind(("127.0.0.1", 0))
            config.setdefault(part, {}).update(address="127.0.0.1", port=probe.getsockname()[1])


class Browser:
    """The pages of a control process.  run_dir: its; whoever is named is signed in."""

    def __init__(self, run_dir, data_dir):
        users = types.SimpleNamespace(known=lambda name: True, must_change=lambda name: False, path=data_dir / "configuration.json",
                                      names=lambda: [{"name": "admin", "must_change": False}])
        sessions = types.SimpleNamespace(user=lambda token: token or None)
        self.house = House(run_dir)
        self.app = pages.build(self.house, users, sessions, data_dir, lambda: "Site")

    def routes(self, method="GET"):
        """The routes of the application."""
        return [route for route in self.app.routes if route.method == method]

    def route(self, path):
        """The route that a path leads to."""
        return self.app.match({"REQUEST_METHOD": "GET", "PATH_INFO": urllib.parse.unquote(path.partition("?")[0])})[0]

    def get(self, path, user=None, language="en"):
        """(status, text or octets, headers, what the application wrote about faults of its own)."""
        path, _, query = path.partition("?")
        told, faults = [], io.StringIO()
        cookie = "strowger_language=%s" % language + ("; %s=%s" % (COOKIE, user) if user else "")
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": urllib.parse.unquote(path), "QUERY_STRING": query, "SERVER_NAME": "box", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
                   "REMOTE_ADDR": "127.0.0.1", "HTTP_COOKIE": cookie, "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(), "wsgi.errors": faults, "wsgi.version": (1, 0),
                   "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False}
        answer = self.app(environ, lambda status, headers, exc_info=None: told.append((int(status.split()[0]), dict(headers))))
        octets = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        status, headers = told[-1]
        text = octets.decode() if headers.get("Content-Type", "text").startswith(("text", "application/json", "application/problem")) else octets
        return status, text, headers, faults.getvalue()


class Words(HTMLParser):
    """Words(page).found: what a person reads on a page, piece by piece."""

    def __init__(self, page):
        super().__init__()
        self.found, self._unseen, self._value = [], 0, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._unseen += tag in UNSEEN
        self._value = dict(attributes).get("value")
        self.found += [value for name, value in attributes if name in SHOWN and value]

    def handle_endtag(self, tag):
        self._unseen -= tag in UNSEEN

    def handle_data(self, data):
        said = data.strip().removesuffix("(%s)" % self._value).removesuffix(self._value or "").strip()      # an option's value is a word of the configuration
        if said and not self._unseen:
            self.found.append(" ".join(said.split()))


def texts_in(value):
    """Every text in an answer of control."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield value
        if value[:1] in "[{":
            with contextlib.suppress(ValueError):
                yield from texts_in(json.loads(value))
