"""Desk phones fetch their files: who may, and how their secret comes to them.

    enrol(mac)      -> a link that works once, for LINK_MS.  A person gives it to the phone (its menu or page, or DHCP option 66)
    fetch(secret, name, host, now_ms) -> (content type, octets), or None: the same for whatever is wrong

The file that came by the link names another place: the same box, with a secret of this phone alone, which it uses from then on.  When it has
done so the link is dead; until then it answers again for AGAIN_MS and to the same host, since a download may break off.  Enrolling anew
or revoking makes the phone's secret useless.  Secrets of phones are made of one key of the box; of a link only its hash is kept.

The password of the line stands in the file, so it goes over HTTPS only: the web process gives it out (webui/provision.py).
"""

import hashlib
import hmac
import logging
import os

from firmware.errors import LocalError
from firmware.links import phone_files
from firmware.links.adapter import Adapter
from firmware.links.sip_legs import own_address

log = logging.getLogger(__name__)

LINK_MS = 24 * 3600 * 1000      # invented, as is the next
AGAIN_MS = 15 * 60 * 1000


class Provisioning(Adapter):
    """house: with config, stores, clock, turns."""

    name = "provisioning"

    def __init__(self, house):
        self._config, self._machines, self._clock, self._turns = house.config, house.stores.machines, house.clock, house.turns
        self._key = self._machines.load("phones.key")
        self.phones = {name[6:]: self._machines.load(name) for name in self._machines.names("phone/")}
        self._changed = set()

    # what a person asks for

    def _row(self, mac):
        for row in self._config.running()["desk_phones"]:
            if row["mac"] == mac:
                return row
        raise LocalError("there is no desk phone %s; add it to desk_phones of the configuration" % mac[:20])

    def enrol(self, mac):
        """{"url", "file", "expires_ms"}: the link for one phone.  Raises LocalError."""
        row = self._row(mac)
        if not self._config.running()["provisioning"]["enabled"]:
            raise LocalError("provisioning is switched off; switch provisioning.enabled on first")
        if self._key is None:
            self._key = os.urandom(32).hex()
            self._changed.add(None)
        secret, now_ms = os.urandom(16).hex(), self._clock.now_ms()
        old = self.phones.get(mac)
        self.phones[mac] = {"generation": (old["generation"] if old else 0) + 1, "link": hashlib.sha256(secret.encode()).hexdigest(),
                            "until_ms": now_ms + LINK_MS, "used_ms": None, "fetched_ms": None, "host": None}
        self._store(mac)
        return {"url": self._url(secret) + "/", "file": phone_files.file_name(row["model"], mac), "expires_ms": now_ms + LINK_MS}

    def revoke(self, mac):
        """Neither link nor secret of a phone is good any more.  Raises LocalError."""
        self._row(mac)
        if mac in self.phones:
            self.phones[mac].update(generation=self.phones[mac]["generation"] + 1, link=None)
            self._store(mac)

    def table(self):
        """What is known of each phone, without secrets."""
        rows = []
        for row in self._config.running()["desk_phones"]:
            known, now_ms = self.phones.get(row["mac"]) or {}, self._clock.now_ms()
            state = "never enrolled" if not known else "fetches by itself" if known["fetched_ms"] and not known["link"] else (
                "waits for its phone" if known["link"] and known["until_ms"] > now_ms else "link expired or revoked")
            rows.append({"mac": row["mac"], "model": row["model"], "line": row["line"], "label": row["label"], "state": state,
                         "fetched_ms": known.get("fetched_ms"), "host": known.get("host")})
        return rows

    # what a phone asks for

    def _secret(self, mac, generation):
        return hmac.new(bytes.fromhex(self._key or "00"), ("%s %d" % (mac, generation)).encode(), hashlib.sha256).hexdigest()[:40]

    def fetch(self, secret, name, host):
        """(content type, octets) for a phone, or None."""
        config, now_ms = self._config.running(), self._clock.now_ms()
        mac = phone_files.mac_of(name)
        row = next((row for row in config["desk_phones"] if row["mac"] == mac), None)
        known = self.phones.get(mac) or {"generation": 0, "link": None, "until_ms": 0, "used_ms": None, "host": None}
        standing = hmac.compare_digest(self._secret(mac or "", known["generation"]).encode(), secret.encode())
        link = hmac.compare_digest((known["link"] or "").encode(), hashlib.sha256(secret.encode()).hexdigest().encode())
        link = link and known["until_ms"] > now_ms and (known["used_ms"] is None or known["host"] == host and now_ms - known["used_ms"] <= AGAIN_MS)
        if row is None or mac not in self.phones or self._key is None or not (standing or link) or not config["provisioning"]["enabled"]:
            return None
        if name.lower() != phone_files.file_name(row["model"], mac):
            return None                  # another maker's file of the same phone
        line = next((line for line in config["lines"] if line["name"] == row["line"]), None)
        if line is None:
            return None
        known.update(fetched_ms=now_ms, host=host)
        if standing:
            known["link"] = None
        elif known["used_ms"] is None:
            known["used_ms"] = now_ms
            log.info("provisioning: phone %s fetched its file by its link from %s", mac, host)
        self._store(mac)
        sip = config["sip"]
        return phone_files.make(row["model"], {
            "mac": mac, "line": line["name"], "label": row["label"], "language": row["language"], "password": line["password"], "server": config["provisioning"]["server"] or own_address(sip["address"]),
            "port": sip["tls_port"] if row["transport"] == "tls" else sip["port"], "transport": row["transport"],
            "encryption": line["encryption"], "url": self._url(self._secret(mac, known["generation"]))})

    def _url(self, secret):
        config = self._config.running()
        host = config["provisioning"]["server"] or own_address(config["web"]["address"])
        return "https://%s:%d/provision/%s" % ("[%s]" % host if ":" in host else host, config["web"]["port"], secret)

    # the turn

    def _store(self, mac):
        self._changed.add(mac)
        self._turns.run("phone %s" % mac, lambda now_ms: None)

    def dirty(self):
        return bool(self._changed)

    def save(self, stores):
        for mac in self._changed:
            if mac is None:
                stores.machines.save("phones.key", self._key)
            else:
                stores.machines.save("phone/" + mac, self.phones.get(mac))

    def saved(self):
        self._changed.clear()
