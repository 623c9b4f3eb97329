"""The pages before a scripted control: who gets in, what is shown, what is refused."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest

from firmware import first_boot
from firmware.errors import LocalError
from webui import certificate, render
from webui.sessions import Sessions
from webui.users import Users

NOW_MS = 1_790_000_000_000
PASSWORD = "first-boot-secret"   # what conftest.py leaves in the data folder

NEW = "a better password"


class Client:
    """A browser without a screen: keeps the cookie."""

    def __init__(self, web):
        self.web, self.cookie = web, ""

    def __call__(self, path, form=None, headers=None, method=None, body=None):
        data = urllib.parse.urlencode(form, doseq=True).encode() if form is not None else body
        request = urllib.request.Request(self.web.url + path, data, {"Cookie": self.cookie, **(headers or {})}, method=method)
        try:
            answer = self.web.opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        for name, value in answer.headers.items():
            if name.lower() == "set-cookie":
                self.cookie = value.split(";")[0]
        return answer, answer.read()

    def sign_in(self):
        self("/login", {"user": "admin", "password": PASSWORD})
        answer, _ = self("/password", {"new": NEW, "again": NEW})
        assert answer.status == 303
        return self


def test_nobody_sees_anything_before_signing_in(web):
    client = Client(web)
    for path in ("/", "/calls", "/calls/c7", "/configuration"):
        answer, _ = client(path)
        assert answer.status == 303 and answer.headers["Location"].startswith("/login")
    for path in ("/api/v1/state", "/api/v1/calls/c7/recordings/r1"):
        answer, body = client(path)
        assert answer.status == 401 and json.loads(body)["detail"]
    answer, _ = client("/live")
    assert answer.status == 401


def test_the_first_boot_password_must_be_changed_first(web):
    client = Client(web)
    answer, _ = client("/login", {"user": "admin", "password": PASSWORD})
    assert answer.headers["Location"] == "/password"
    answer, _ = client("/")
    assert answer.headers["Location"] == "/password"
    answer, _ = client("/api/v1/state")
    assert answer.status == 403
    for new, again, why in (("short", "short", b"too short"), (NEW, NEW + "x", b"differ"), (PASSWORD, PASSWORD, b"choose another")):
        answer, body = client("/password", {"new": new, "again": again})
        assert answer.status == 400 and why in body
    client("/password", {"new": NEW, "again": NEW})
    assert not (web.data_dir / "first-boot-password").exists()
    answer, body = client("/")
    assert answer.status == 200 and b"live.js" in body
    answer, _ = Client(web)("/login", {"user": "admin", "password": PASSWORD})
    assert answer.status == 403


def test_guessing_is_slowed_and_the_answer_is_the_same_for_unknown_names(web):
    client = Client(web)
    bodies = []
    for name in ("admin", "nobody") * 6:
        answer, body = client("/login", {"user": name, "password": "wrong"})
        bodies.append((answer.status, b"wrong" in body))
    assert bodies[0] == bodies[1] == (403, True)
    assert bodies[-2][0] == bodies[-1][0] == 429
    answer, _ = client("/login", {"user": "somebody else", "password": "wrong"})
    assert answer.status == 403, "others behind the same address may still sign in"


@pytest.mark.parametrize("number, presentation, shown", [
    ("13912345678", "allowed", "13912345678"), ("Anna <1?>", "allowed", "Anna <1?>"), ("1\u202e23\n4", "allowed", "1\ufffd23\ufffd4"),
    ("139", "restricted", "withheld"), (None, "restricted", "withheld"), (None, "unavailable", "unknown"), (" ", "allowed", "unknown"),
    ("139", None, "139")])
def test_only_a_restricted_number_is_withheld(number, presentation, shown):
    assert render.caller(number, presentation) == shown


def test_a_call_page_escapes_what_the_far_end_sent(web):
    answer, body = Client(web).sign_in()("/calls/c7")
    assert answer.status == 200
    assert b"<script>alert" not in body and b"&lt;script&gt;alert" in body
    assert b"leg.offered" in body
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")


def test_a_recording_is_served_with_ranges_and_never_from_outside(web):
    client = Client(web).sign_in()
    whole = (web.data_dir / "r1.wav").read_bytes()
    answer, body = client("/api/v1/calls/c7/recordings/r1", headers={"Range": "bytes=100-199"})
    assert answer.status == 206 and body == whole[100:200]
    answer, _ = client("/api/v1/calls/c7/recordings/r2")
    assert answer.status == 410
    (web.data_dir / "empty.wav").write_bytes(b"")
    answer, body = client("/api/v1/calls/c7/recordings/r3")
    assert answer.status == 410 and "empty" in json.loads(body)["detail"]
    answer, _ = client("/static/../users.py")
    assert answer.status in (403, 404)


def test_rest_with_basic_authentication(web):
    Client(web).sign_in()
    basic = {"Authorization": "Basic " + base64.b64encode(f"admin:{NEW}".encode()).decode()}
    client = Client(web)
    answer, body = client("/api/v1/state", headers=basic)
    assert json.loads(body)["spans"][0]["span"] == 1
    answer, _ = client("/api/v1/agents/1001/status", method="PUT", body=b'{"status":"on_break"}',
                       headers={**basic, "Content-Type": "application/json"})
    assert answer.status == 200 and web.control.asked[-1] == ("/v1/agents/1001/status", {"status": "on_break"})
    answer, body = client("/api/v1/agents/1001/status", method="PUT", body=b"{", headers={**basic, "Content-Type": "application/json"})
    assert answer.status == 400
    answer, body = client("/api/v1/calls/nothing", headers=basic)
    assert answer.status == 404 and json.loads(body)["detail"] == "There is no such call."
    for path in ("alarms", "alarms/history?limit=3", "performance", "performance/64?length=day", "chassis"):     # all go to control
        answer, body = client("/api/v1/" + path, headers=basic)
        assert answer.status == 404 and json.loads(body)["detail"] == "There is no such call."
        assert Client(web)("/api/v1/" + path)[0].status in (302, 303, 401, 403)


def test_a_form_from_another_site_is_refused(web):
    client = Client(web).sign_in()
    answer, _ = client("/configuration", {"text": "{}", "revision": "1"}, headers={"Origin": "https://elsewhere.example"})
    assert answer.status == 403


@pytest.mark.parametrize("to, goes", [("/calls", "/calls"), ("//evil.example", "/"), ("https://evil.example", "/"), ("", "/"), ("/\t/evil.example", "/")])
def test_signing_in_leads_only_to_our_own_pages(web, to, goes):
    Client(web).sign_in()
    answer, _ = Client(web)("/login", {"user": "admin", "password": NEW, "to": to})
    assert answer.headers["Location"] == goes


def read_events(answer, count):
    """The first `count` server-sent events: [(event, data)]."""
    found, name = [], None
    while len(found) < count:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: ") and name != "clock":
            found.append((name, json.loads(line[6:])))
    return found


def test_the_live_stream_sends_everything_once_then_what_changes(web):
    client = Client(web).sign_in()
    request = urllib.request.Request(web.url + "/live", headers={"Cookie": client.cookie, "Accept-Language": "zh-CN"})
    answer = web.opener.open(request, timeout=60)
    first = dict(read_events(answer, 6))
    assert set(first) == {"alarms", "thresholds", "spans", "queues", "agents", "calls"}
    assert "Sales &lt;b&gt;" in first["queues"] and "队列" in first["queues"] and "75.0 %" in first["queues"]
    web.control.says([{"call": "c9", "state": "queued", "caller": "13912345678", "called": "02150801000", "span": 1,
                       "timeslot": 3, "queue": "sales", "position": 1, "started_ms": NOW_MS}])
    then = dict(read_events(answer, 2))
    assert set(then) == {"queues", "calls"} and "13912345678" in then["calls"]
    answer.close()


def test_a_session_survives_a_restart_of_the_web_process(web):
    client = Client(web).sign_in()
    assert json.loads((web.data_dir / "sessions.json").read_text())
    assert client.cookie.split("=")[1] not in (web.data_dir / "sessions.json").read_text()


@pytest.mark.parametrize("text", ["[]", '{"x": 5}', "{", '{"x": {"user": 1, "until_s": "y"}}'])
def test_damaged_sessions_are_no_sessions(tmp_path, text):
    (tmp_path / "sessions.json").write_text(text)
    assert Sessions(tmp_path).user("anything") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"admin": 5}', "{}"])
def test_damaged_users_are_one_sentence(tmp_path, text):
    (tmp_path / "users.json").write_text(text)
    with pytest.raises(LocalError, match="users.json"):
        Users(tmp_path)


def test_a_renewed_certificate_counts_for_connections_that_begin_then(tmp_path):
    """Half a pair, or rubbish, changes nothing."""
    paths, other = certificate.ensure(tmp_path / "tls", "127.0.0.1"), certificate.ensure(tmp_path / "other", "127.0.0.1")
    context, renewal = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate.Renewal(*paths)
    context.load_cert_chain(paths[1], paths[0])
    assert renewal.look(context) is False
    paths[0].write_bytes(other[0].read_bytes())
    assert renewal.look(context) is False, "the key of another certificate"
    paths[1].write_bytes(other[1].read_bytes())
    assert renewal.look(context) is True and renewal.look(context) is False
    paths[1].write_text("rubbish")
    assert renewal.look(context) is False


def test_an_unusable_certificate_is_set_aside(tmp_path):
    key, _ = certificate.ensure(tmp_path, "127.0.0.1")
    key.write_text("")
    again = certificate.ensure(tmp_path, "127.0.0.1")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(again[1], again[0])
    assert (tmp_path / "key.pem.unusable").exists()


def test_rubbish_in_forms_and_bodies_is_refused(web):
    client = Client(web).sign_in()
    deep = "[" * 50000 + "]" * 50000
    for form in ({"text": deep, "revision": "1"}, {"text": "{", "revision": "abc"}, {"text": "[]", "revision": "\u0663"}):
        answer, _ = client("/configuration", form)
        assert answer.status == 400
    answer, body = client("/api/v1/agents/1001/status", method="PUT", body=deep.encode(), headers={"Content-Type": "application/json"})
    assert answer.status == 400 and json.loads(body)["detail"]
    half = b'{"password": "long enough \\ud800 it is"}'
    answer, body = client("/api/v1/users/anna/password", method="PUT", body=half, headers={"Content-Type": "application/json"})
    assert answer.status == 400 and "half a character" in json.loads(body)["detail"]
    answer, body = client("/api/v1/agents/1001/status", method="PUT", body=b'{"status": "available", "status": "on_break"}', headers={"Content-Type": "application/json"})
    assert answer.status == 400 and "status stands twice" in json.loads(body)["detail"]
    answer, body = client("/configuration", {"text": '{"ivr": {"main": 1, "main": 2}}', "revision": "1"})
    assert answer.status == 400 and "main stands twice" in (body if isinstance(body, str) else body.decode())
    for method, path in (("PUT", "documents/a%0a"), ("GET", "documents/a%0a/file"), ("GET", "prompts/en/a%0a/audio")):
        answer, body = client("/api/v1/" + path, method=method, body=b"II*\0" if method == "PUT" else None)
        assert answer.status == 404, path
    answer, body = client("/api/v1/state", method="POST", body=b"")
    assert answer.status == 405 and json.loads(body)["status"] == 405


def test_an_administrator_gives_passwords_which_are_changed_at_the_first_log_in(web):
    client = Client(web).sign_in()

    def ask(method, path, body=None):
        answer, octets = client(path, method=method, body=json.dumps(body).encode() if body is not None else None, headers={"Content-Type": "application/json"})
        return answer.status, json.loads(octets)
    assert ask("PUT", "/api/v1/users/anna/password", {"password": "short"})[0] == 422
    assert ask("PUT", "/api/v1/users/an%20na/password", {"password": "long enough it is"})[0] == 422
    assert ask("PUT", "/api/v1/users/anna/password", {"password": "long enough it is"})[0] == 200
    assert ask("GET", "/api/v1/users")[1]["users"] == [{"name": "admin", "must_change": False}, {"name": "anna", "must_change": True}]
    anna = Client(web)
    assert anna("/login", {"user": "anna", "password": "long enough it is"})[0].headers["Location"] == "/password"
    assert anna("/", headers={})[0].headers["Location"] == "/password"
    assert ask("DELETE", "/api/v1/users/admin")[0] == 409 and ask("DELETE", "/api/v1/users/x")[0] == 404
    assert ask("DELETE", "/api/v1/users/anna")[0] == 200
    assert Client(web)("/login", {"user": "anna", "password": "long enough it is"})[0].status == 403
    assert anna("/calls")[0].headers["Location"].startswith("/login"), "a session of before is over"
    assert client("/api/v1/customers/import?encoding=latin", method="POST", body=b"name", headers={"Content-Type": "text/csv"})[0].status == 422
    answer, octets = client("/api/v1/customers/import", method="POST", body="name\n王\n".encode("gb18030"), headers={"Content-Type": "text/csv"})
    assert answer.status == 422 and json.loads(octets)["errors"][0]["line"] == 2


@pytest.mark.parametrize("path", ["/live", "/desk/live?agent=1001"])
@pytest.mark.parametrize("what", ["rights", "role", "session", "password"])
def test_an_open_stream_ends_when_its_rights_do(web, path, what):
    """What was sent stays sent; nothing more comes, and asking anew gives what may be seen now."""
    client = Client(web).sign_in()
    stream = web.opener.open(urllib.request.Request(web.url + path, headers={"Cookie": client.cookie}), timeout=60)
    assert stream.status == 200 and stream.readline().startswith(b"event: ")
    if what == "rights":
        web.control.me = {"name": "admin", "role": "supervisor", "agent": None, "agents": ["1001"], "queues": ["service"]}
    elif what == "role":
        web.control.me = dict(web.control.me, role=None, agents=[], queues=[])
    elif what == "session":
        client("/logout", {})
    else:
        other = Client(web)
        other("/login", {"user": "admin", "password": NEW})
        answer, _ = other("/password", {"old": NEW, "new": "yet another one", "again": "yet another one"})
        assert answer.status == 303
    web.control.says([])
    kept_alive = 0
    for line in stream:                     # to its end; one that goes on says ": still here" for ever
        kept_alive += line.startswith(b":")
        assert kept_alive < 5
    if what == "rights":
        assert web.opener.open(urllib.request.Request(web.url + path, headers={"Cookie": client.cookie}), timeout=60).status == 200


def test_who_is_removed_by_the_command_line_has_no_session_left(tmp_path):
    """Nor one that lives again where the name is given anew; another password ends it as well."""
    first_boot.set_password(tmp_path, "admin", "a password for admin")
    users = Users(tmp_path)
    sessions = Sessions(tmp_path, users.known)
    users.changed = lambda name: sessions.end_others(name, "")
    for name, change in (("anna", lambda: first_boot.remove(tmp_path, "anna", lambda left: left == "admin")),
                         ("bob", lambda: first_boot.set_password(tmp_path, "bob", "bob has another one"))):
        first_boot.set_password(tmp_path, name, "a password that was given")
        assert users.known(name)
        token = sessions.begin(name)
        assert sessions.user(token) == name
        change()
        users.known("admin")
        assert sessions.user(token) is None and name not in (tmp_path / "sessions.json").read_text()
    token = Sessions(tmp_path).begin("gone")
    assert Sessions(tmp_path, users.known).user(token) is None
