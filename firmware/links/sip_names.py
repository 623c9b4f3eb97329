"""Where the far ends of SIP trunks are that have a name: RFC 3263 over DNS, looked up again when its answer has lived.

    names = Names(resolver, changed)
    names.want(entries)             # [(name, port, transport)] of the configuration; port 0: DNS says; transport "auto": DNS says that, too
    names.start(); names.stop()
    names.addresses(entry)          # [(host, port) or (host, port, transport)] in order of choice; [] while nothing is known
    names.fault(entry)              # a sentence where the last look-up failed, else None

From a name to addresses (RFC 3263 4.1, 4.2): an own port: addresses of the name only.  Transport "auto": NAPTR says which transports in
which order, else UDP, TCP and TLS are asked for in that order; with a transport given, its SRV records only.  No SRV: the name's own
addresses at the default port.  changed() is called when addresses or a fault changed.

A question that fails (a name server that gives SERVFAIL to AAAA, one dead target of several) does not hide what the others found; all is asked
again soon.  Only a failed SRV question of the way whose place the name's own addresses would take is the end: they may be a web server's.

What was known stays in use while DNS gives no answer, and where it says that the name is gone: a mistake in a zone shall not end a
trunk that works; the fault says so.  Records of the same priority are drawn by weight when they are new, and keep their order while they stay.
"""

import asyncio
import ipaddress
import logging
import random

from firmware.errors import LocalError, RemoteError
from firmware.proto import dns
from firmware.proto.sip.transport import address_of

log = logging.getLogger(__name__)

LEAST_S, MOST_S, AGAIN_S = 5, 86400, 20          # between look-ups; after one that failed; invented
MOST_ADDRESSES = 16
SERVICES = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}       # RFC 3263 4.1
PREFIXES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
ORDER = ("udp", "tcp", "tls")


class Known:
    """What is known of one entry."""

    def __init__(self):
        self.addresses, self.fault, self.task = [], None, None


class Names:
    """See the top."""

    def __init__(self, resolver, changed):
        self.resolver, self.changed = resolver, changed
        self.entries = {}
        self._runs = False

    def want(self, entries):
        """These are wanted, no others."""
        for entry in [entry for entry in self.entries if entry not in entries]:
            known = self.entries.pop(entry)
            if known.task is not None:
                known.task.cancel()
        for entry in entries:
            if entry not in self.entries:
                self.entries[entry] = Known()
                if self._runs:
                    self._begin(entry)

    def start(self):
        """Look up, in the running loop."""
        self._runs = True
        for entry in self.entries:
            self._begin(entry)

    def stop(self):
        """End."""
        self._runs = False
        for known in self.entries.values():
            if known.task is not None:
                known.task.cancel()

    def again(self, servers):
        """Other name servers: ask them now."""
        self.resolver.servers = [tuple(server) for server in servers]
        if self._runs:
            for entry, known in self.entries.items():
                if known.task is not None:
                    known.task.cancel()
                self._begin(entry)

    def addresses(self, entry):
        """See the top."""
        known = self.entries.get(entry)
        return [] if known is None else known.addresses

    def fault(self, entry):
        """See the top."""
        known = self.entries.get(entry)
        return None if known is None else known.fault or (None if known.addresses else "%s is being looked up" % entry[0])

    def _begin(self, entry):
        self.entries[entry].task = asyncio.get_running_loop().create_task(self._keep(entry, self.entries[entry]))

    async def _keep(self, entry, known):
        """Look one up again and again."""
        while True:
            fault, addresses, wait_s = None, known.addresses, AGAIN_S
            try:
                found, life_s = await self.look_up(*entry)
                if found:
                    addresses, wait_s = self._settled(known.addresses, found), min(MOST_S, max(LEAST_S, life_s))
                else:
                    fault = "%s has no address in DNS; look at its name and its SRV records" % entry[0]
                    wait_s = min(AGAIN_S, max(LEAST_S, life_s))
            except (RemoteError, LocalError) as error:
                fault = str(error)
            except Exception:
                log.exception("sip: the look-up of %s failed", entry[0])
                fault = "%s cannot be looked up; the log says why" % entry[0]
            if (addresses, fault) != (known.addresses, known.fault):
                known.addresses, known.fault = addresses, fault
                if fault:
                    log.warning("sip: %s%s", fault, "; its addresses of before stay in use" if addresses else "")
                self.changed()
            await asyncio.sleep(wait_s)

    @staticmethod
    def _settled(old, found):
        """New addresses; in the old order where they are the same."""
        return old if sorted(old) == sorted(found) else found

    async def look_up(self, name, port, transport):
        """([address], seconds that they live).  Raises RemoteError where something failed and nothing was found."""
        life, failed = [MOST_S], {}         # failed: (name, kind): error
        ways = [transport] if transport != "auto" else ["udp"] if port else None
        targets = []
        if not port:
            services = []
            if ways is None:
                services = await self._services(name, life, failed)
                ways = list(ORDER)
            services = services or [(way, PREFIXES[way] + name) for way in ways]
            for way, service in services:
                targets += [(target, at, way) for _, _, at, target in dns.in_order(await self._ask(service, dns.SRV, life, failed), self._chance)
                            if target]         # ".": decidedly not here
                if targets and transport != "auto":
                    break
            error = failed.get((services[0][1], dns.SRV))
            if error is not None and not targets:
                raise error
        if not targets:
            targets = [(name, port, ways[0])]
        found = []
        for target, at, way in targets[:MOST_ADDRESSES]:
            for kind in (dns.A, dns.AAAA):
                for record in await self._ask(target, kind, life, failed):
                    address = address_of(str(ipaddress.ip_address(record.value)), at, way)
                    if address not in found:
                        found.append(address)
        if failed:
            if not found:
                raise next(iter(failed.values()))
            life[0] = min(life[0], AGAIN_S)
        return found[:MOST_ADDRESSES], life[0]

    async def _services(self, name, life, failed):
        """[(transport, name of SRV records)] as NAPTR says."""
        out = []
        for record in sorted(await self._ask(name, dns.NAPTR, life, failed), key=lambda record: record.value[:2]):
            _, _, flags, service, _, replacement = record.value
            if flags == "s" and service in SERVICES and replacement:
                out.append((SERVICES[service], replacement))
        return out

    async def _ask(self, name, kind, life, failed):
        """Records; [] where the question fails, which goes into `failed`."""
        try:
            records, life_s = await self.resolver.ask(name, kind)
        except (RemoteError, LocalError) as error:
            failed[name, kind] = error
            return []
        if records:
            life[0] = min(life[0], life_s)
        return records

    @staticmethod
    def _chance(most):
        return random.SystemRandom().randint(0, most)
