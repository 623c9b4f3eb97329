"""The part of the local API for desk phones that the box sets up (links/provisioning.py).

    GET  /v1/phones                         each desk phone, whether it has fetched its file, when, from where
    POST /v1/phones/{mac}/enrol             -> {"url", "file", "expires_ms"}: the link that works once
    POST /v1/phones/{mac}/revoke            its link and its secret are worth nothing any more
    GET  /v1/phones/file?secret=&name=&host=    for the web process: {"type", "text"}, or 404"""

from firmware.control.commands import Problem


class PhonesAPI:
    """api: the whole API (house)."""

    def __init__(self, api):
        self._api = api

    def routes(self):
        """[(method, pattern, handler)]."""
        return [("GET", ("phones",), self.phones), ("GET", ("phones", "file"), self.file), ("POST", ("phones", None, "enrol"), self.enrol),
                ("POST", ("phones", None, "revoke"), self.revoke)]

    def _adapter(self):
        for adapter in self._api.house.adapters:
            if adapter.name == "provisioning":
                return adapter
        raise Problem(404, "not found", "This box sets up no phones.")

    async def phones(self, query, body):
        return {"phones": self._adapter().table()}

    async def enrol(self, mac, query, body):
        return self._adapter().enrol(mac.lower())

    async def revoke(self, mac, query, body):
        self._adapter().revoke(mac.lower())
        return {"phones": self._adapter().table()}

    async def file(self, query, body):
        found = self._adapter().fetch(query.get("secret", ""), query.get("name", ""), query.get("host", ""))
        if found is None:
            raise Problem(404, "not found", "There is no such file.")
        return {"type": found[0], "text": found[1].decode()}
