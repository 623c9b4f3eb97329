"""Legs of browsers: ICE-lite, then DTLS, then SRTP, all on the leg's one port.  RFC 8445 2.5, 5763, 5764, 7983.

Control gives a leg what its session descriptions say (setting "browser"):
  {"ufrag", "password": ours, "far_ufrag": theirs or None, "fingerprint": "sha-256 AB:..." or None while it is not known,
   "role": "server" (the far end begins DTLS) or "client"}
and gets the fingerprint of our certificate with the reply to "add".  From then on all happens here, in the command thread:
the tick puts STUN and DTLS aside (engine.others()), an authentic check with USE-CANDIDATE says where the leg sends to, DTLS is
heard from such an address only, and its keys become the leg's SRTP sessions.  The keys never leave this process, so a
restart of control touches nothing.  A handshake costs about a millisecond of this thread once a call, a check (each 5 s) 0.1 ms.

What cannot work is told once with its reason ("dtls_failed"): control ends the call with that sentence.  A browser that closes its
association (close_notify: the page has let go of the call's connection) is told once, too ("dtls_closed").
"""

import hmac
import logging
import socket
import time

from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media._dtls import DIGESTS, Certificate, DTLSSession
from firmware.media.checks import refuse
from firmware.proto import stun

log = logging.getLogger("firmware.media.browsers")

CONNECT_S = 20                  # from the answer to the keys; a browser gives its checks up after about 15 s
LEAST = {"ufrag": 4, "password": 22}            # RFC 8839 5.4
MOST = 256
ROLES = ("server", "client")


def sha1(key, octets):
    """HMAC-SHA1, as proto/stun.py wants it."""
    return hmac.digest(key, octets, "sha1")


def setting(given):
    """A checked "browser" setting.  Raises LocalError."""
    if given is None:
        return None
    if not isinstance(given, dict) or not {"ufrag", "password"} <= set(given) <= {"ufrag", "password", "far_ufrag", "fingerprint", "role"}:
        refuse("browser is not a map of ufrag, password, far_ufrag, fingerprint and role")
    chosen = dict({"far_ufrag": None, "fingerprint": None, "role": "server"}, **given)
    for name in ("ufrag", "password", "far_ufrag"):
        value = chosen[name]
        if name == "far_ufrag" and value is None:
            continue
        if not isinstance(value, str) or not value.isascii() or not LEAST.get(name, 4) <= len(value) <= MOST:
            refuse(f"browser: {name} is no text of {LEAST.get(name, 4)} to {MOST} characters")
    print_ = chosen["fingerprint"]
    if print_ is not None and (not isinstance(print_, str) or print_.partition(" ")[0].lower() not in DIGESTS):
        refuse(f"browser: fingerprint is {str(print_)[:40]!r}, not one of {', '.join(DIGESTS)}")
    if chosen["role"] not in ROLES:
        refuse(f"browser: role is {str(chosen['role'])[:20]!r}, not {' or '.join(ROLES)}")
    return chosen


class Browser:
    """What one leg has.  given: its setting."""

    def __init__(self, term, given):
        self.term, self.given = term, given
        self.allowed = set()            # addresses whose checks were authentic
        self.remote = None
        self.dtls = None
        self.early = []                 # datagrams of DTLS that came before the fingerprint was known
        self.since_s = None             # when the fingerprint was known
        self.suite = None
        self.failed = False
        self.checks = 0


class Browsers:
    """engine, on_failed(id, sentence), on_closed(id).  clock_s: monotonic."""

    def __init__(self, engine, on_failed, on_closed=lambda name: None, clock_s=time.monotonic):
        self._engine, self._on_failed, self._on_closed, self._clock_s = engine, on_failed, on_closed, clock_s
        self._legs = {}                 # serial: Browser
        self._certificate = None
        self._unfinished = set()        # serials

    @property
    def fingerprint(self):
        """Of our certificate, as in SDP; made at the first call of a browser."""
        if self._certificate is None:
            self._certificate = Certificate()
        return "sha-256 " + self._certificate.fingerprint

    def configure(self, term, given):
        """A leg's setting, new or changed; None: it is no browser's any more."""
        leg = self._legs.get(term.serial)
        if given is None:
            self.forget(term)
            return
        if leg is None:
            leg = self._legs[term.serial] = Browser(term, given)
            self._unfinished.add(term.serial)
        old, leg.given = leg.given, given
        if old["fingerprint"] is not None and old["fingerprint"] != given["fingerprint"]:
            leg.dtls = leg.suite = leg.since_s = None       # RFC 8842 4: another certificate is another association
            self._unfinished.add(term.serial)
        if given["fingerprint"] is not None and leg.since_s is None:
            leg.since_s = self._clock_s()
            if given["role"] == "client" and leg.remote is not None:
                self._begin(leg)
            early, leg.early = leg.early, []
            for octets in early:
                self._dtls(leg, octets, leg.remote)

    def forget(self, term):
        """The leg goes."""
        self._legs.pop(term.serial, None)
        self._unfinished.discard(term.serial)

    def suite(self, term):
        """Name of the leg's SRTP suite, None without keys."""
        leg = self._legs.get(term.serial)
        return leg.suite if leg is not None else None

    def take(self, serial, source, octets):
        """Deal with a datagram that the tick has put aside."""
        leg = self._legs.get(serial)
        if leg is not None:
            try:
                (self._stun if octets[0] < 4 else self._dtls)(leg, octets, source)
            except LocalError as error:
                self._fail(leg, str(error))

    def look(self):
        """Repeat what was lost; give up what will not come.  Several times a second."""
        for serial in list(self._unfinished):
            leg = self._legs[serial]
            if leg.dtls is not None and leg.suite is None and leg.dtls.timeout_ms() == 0:
                self._send(leg, leg.dtls.expire(), leg.remote)
                self._judge(leg)
            if leg.since_s is not None and leg.suite is None and self._clock_s() - leg.since_s > CONNECT_S:
                self._fail(leg, ("its browser sends no connectivity check to %s:%d/udp; let UDP of the RTP ports through to this machine"
                                 % (leg.term.address, leg.term.port)) if not leg.checks else
                           "its browser does not finish the DTLS handshake within %d s" % CONNECT_S)

    # -- ICE --

    def _stun(self, leg, octets, source):
        message = stun.parse(octets)
        if message is None or message.kind != stun.BINDING_REQUEST:
            return
        given = leg.given
        status = stun.check(message, given["ufrag"], given["password"], sha1)
        if status:
            self._send(leg, [stun.error(message, status, given["password"], sha1)], source)
            return
        leg.checks += 1
        if len(leg.allowed) < 64:
            leg.allowed.add(source)
        self._send(leg, [stun.success(message, source, given["password"], sha1)], source)
        if (message.has(stun.USE_CANDIDATE) or leg.remote is None) and source != leg.remote:
            first, leg.remote = leg.remote is None, source
            self._engine.set_remote(leg.term.slot, *source)
            self._engine.commit()
            if first and leg.dtls is None and given["role"] == "client" and given["fingerprint"] is not None:
                self._begin(leg)

    # -- DTLS --

    def _begin(self, leg):
        self.fingerprint                # the certificate is there from here on
        leg.dtls = DTLSSession(self._certificate, leg.given["role"] == "server")
        if leg.given["role"] == "client":
            self._send(leg, leg.dtls.start(), leg.remote)

    def _dtls(self, leg, octets, source):
        if source not in leg.allowed or leg.failed:
            return                      # who has not shown our password gets nothing of OpenSSL
        if leg.given["fingerprint"] is None:
            if len(leg.early) < 4:
                leg.early.append(octets)    # its answer to our offer is still on its way through SIP
            return
        if leg.dtls is None:
            self._begin(leg)
        was_closed = leg.dtls.closed
        self._send(leg, leg.dtls.receive(octets), source)
        self._judge(leg)
        if leg.dtls.closed and not was_closed:
            self._on_closed(leg.term.id)

    def _judge(self, leg):
        """What became of the handshake."""
        dtls = leg.dtls
        if dtls.fault is not None:
            self._fail(leg, dtls.fault)
        elif dtls.done and leg.suite is None:
            kind, _, wanted = leg.given["fingerprint"].partition(" ")
            if dtls.far_digest(kind.lower()) != wanted.strip().upper():
                self._fail(leg, "DTLS: the certificate of the browser is not the one that its session description names")
                return
            leg.suite = dtls.suite
            self._unfinished.discard(leg.term.serial)
            for inbound, key in ((False, dtls.send_key), (True, dtls.receive_key)):
                session = _engine.SRTPSession(dtls.suite, key, None if inbound else leg.term.leg.stats()["ssrc"])
                self._engine.set_srtp(leg.term.slot, inbound, session)
                leg.term.former.append(leg.term.srtp[inbound])      # the tick may be in it: kept as long as the leg
                leg.term.srtp[inbound] = session
            self._engine.commit()

    def _fail(self, leg, sentence):
        if not leg.failed:
            leg.failed = True
            self._unfinished.discard(leg.term.serial)
            log.warning("leg %s: %s", leg.term.id, sentence)
            self._on_failed(leg.term.id, sentence)

    def _send(self, leg, datagrams, destination):
        for octets in datagrams:
            try:
                leg.term.sockets[0].sendto(octets, (socket.inet_ntoa(destination[0].to_bytes(4, "big")), destination[1]))
            except OSError:
                pass                    # as the network may lose it; it is repeated
