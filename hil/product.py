"""The product from outside: its REST interface over HTTPS, as an integrator's program sees it."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request

USER = "admin"


class ProductError(Exception):
    """The product refused; status: HTTP status."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class Product:
    """One appliance.  url: "https://address:port".  password: the administrator's."""

    def __init__(self, url, password, timeout_s=10):
        self.url, self.password, self.timeout_s = url, password, timeout_s
        # The certificate of a new box is self-signed; we only talk to loopback here.
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl._create_unverified_context()), _Stay)

    def change_first_password(self, first, new):
        """Sign in with the first-boot password and replace it, as a browser does."""
        answer = self._form("/login", {"user": USER, "password": first})
        cookie = (answer.headers.get("Set-Cookie") or "").split(";")[0]
        if not cookie:
            raise ProductError(answer.status, "The first-boot password was refused.")
        answer = self._form("/password", {"new": new, "again": new}, cookie)
        if answer.status != 303:
            raise ProductError(answer.status, "The new password was refused.")
        self.password = new

    def _form(self, path, fields, cookie=""):
        request = urllib.request.Request(self.url + path, urllib.parse.urlencode(fields).encode(), {"Cookie": cookie})
        try:
            return self._opener.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as error:
            return error

    def octets(self, path, method="GET", body=None):
        """The body of an answer.  body: JSON data, or octets.  Raises ProductError."""
        token = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=self.timeout_s) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                text = json.loads(text)["detail"]
            except (ValueError, KeyError):
                pass
            raise ProductError(error.code, text) from error
        except OSError as error:
            raise ProductError(503, f"The product does not answer: {error}") from error

    def get(self, path):
        return json.loads(self.octets("/api/v1" + path))

    def put(self, path, body):
        return json.loads(self.octets("/api/v1" + path, "PUT", body))

    def post(self, path, body=None):
        return json.loads(self.octets("/api/v1" + path, "POST", body or {}))

    def recording(self, call, recording):
        """The WAV file of a recording."""
        return self.octets(f"/api/v1/calls/{call}/recordings/{recording}")
