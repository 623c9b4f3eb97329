"""Desk phones fetch their files here: /provision/<secret>/<file>, without a log-in; the secret in the path is the phone's (links/provisioning.py).

Whatever is wrong (no such phone, another's secret, a link that is spent, too many tries) gets the same 404.
"""

import collections
import json

import bottle

from firmware.control.client import ControlError
from webui.connections import network
from webui.websockets import Allowance

AT_ONCE, A_SECOND = 60, 1.0     # files of one address: a site behind one NAT may start all its phones; invented
MOST_ADDRESSES = 4096
PREFIX = "/provision/"


def add(app, web):
    """Add the routes."""
    allowances = collections.OrderedDict()

    def may(address):
        who = network(address)
        allowance = allowances.pop(who, None) or Allowance(AT_ONCE, A_SECOND)
        allowances[who] = allowance
        if len(allowances) > MOST_ADDRESSES:
            allowances.popitem(last=False)
        return allowance.take()

    @app.get(PREFIX + "<secret>/<name>")
    def file(secret, name):
        try:
            if not may(bottle.request.remote_addr):
                raise ControlError(404, {})
            found = web.house.client.request("GET", "/v1/phones/file", query={"secret": secret, "name": name, "host": bottle.request.remote_addr})
        except ControlError as error:
            if error.status == 503:
                raise bottle.HTTPResponse("The switch starts; try again.\n", 503, {"Content-Type": "text/plain", "Retry-After": "5"}) from error
            raise bottle.HTTPResponse("Not found.\n", 404, {"Content-Type": "text/plain"}) from error
        bottle.response.content_type = found["type"]
        return found["text"].encode()

    @app.get(PREFIX + "<:re:.*>")
    def nothing():
        raise bottle.HTTPResponse("Not found.\n", 404, {"Content-Type": "text/plain"})

    @app.get("/api/v1/phones")
    def phones():
        bottle.response.content_type = "application/json"
        return json.dumps(web.relay("GET", "/v1/phones"))

    @app.post("/api/v1/phones/<mac:re:[0-9A-Fa-f]{12}>/<what:re:enrol|revoke>")
    def change(mac, what):
        bottle.response.content_type = "application/json"
        return json.dumps(web.relay("POST", "/v1/phones/%s/%s" % (mac, what)))
