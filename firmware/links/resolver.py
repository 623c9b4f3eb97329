"""Asks name servers: one datagram, the next server where one is silent, TCP where the answer was too long.

    resolver = Resolver(servers)          # [(host, port)]; empty: those of /etc/resolv.conf
    records, life_s = await resolver.ask("_sip._udp.example.org", dns.SRV)      # ([], seconds) where there is nothing
    raises RemoteError where no server gives an answer

Each question has a number and a socket of its own, so that a forged answer must guess both (RFC 5452); an answer to another question
is not heard.  Nothing is kept here: who asks keeps what he got for as long as it may live.
"""

import asyncio
import os
import socket

from firmware.errors import RemoteError
from firmware.proto import dns

TRY_S = (1.0, 2.0)               # waits of the first and the second round; invented
TCP_S = 4.0
NOTHING_S = 60                   # how long a "no" without a SOA is believed; invented
RESOLV_CONF = "/etc/resolv.conf"


def system_servers(path=RESOLV_CONF):
    """The name servers of this machine: [(host, port)], at most three."""
    found = []
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver":
                    found.append((words[1], 53))
    except OSError:
        pass
    return found[:3]


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, accept):
        self.accept, self.answer = accept, asyncio.get_running_loop().create_future()

    def datagram_received(self, octets, source):
        try:
            answer = dns.read(octets)
        except RemoteError:
            return
        if self.accept(answer) and not self.answer.done():
            self.answer.set_result(answer)

    def error_received(self, error):
        if not self.answer.done():
            self.answer.set_exception(error)


class Resolver:
    """See the top."""

    def __init__(self, servers=()):
        self.servers = [tuple(server) for server in servers]

    async def ask(self, name, kind):
        """(records, seconds that they live).  Raises RemoteError, LocalError for what is no name."""
        servers = self.servers or system_servers()
        why = "no name server is known; name one in sip.name_servers or in /etc/resolv.conf"
        for wait_s in TRY_S:
            for server in servers:
                try:
                    answer = await self._one(server, name, kind, wait_s)
                except (OSError, TimeoutError, RemoteError) as error:
                    why = "name server %s:%d does not answer (%s)" % (*server, str(error) or "no answer within %g s" % wait_s)
                    continue
                if answer.code not in (dns.OK, dns.NO_SUCH_NAME):
                    why = "name server %s:%d cannot tell (code %d)" % (*server, answer.code)
                    continue
                records, life_s = answer.of(kind)
                if records:
                    return records, life_s
                return [], NOTHING_S if answer.negative_s is None else answer.negative_s
        raise RemoteError("%s: %s" % (name, why), status=504)

    async def _one(self, server, name, kind, wait_s):
        number = int.from_bytes(os.urandom(2), "big")
        octets = dns.question(number, name, kind)
        asked = (name.rstrip(".").lower(), kind)

        def accept(answer):
            return answer.number == number and answer.asked == asked
        transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Ear(accept), remote_addr=server, family=socket.AF_INET6 if ":" in server[0] else socket.AF_INET)
        try:
            transport.sendto(octets)
            answer = await asyncio.wait_for(ear.answer, wait_s)
        finally:
            transport.close()
        return await asyncio.wait_for(self._whole(server, octets, accept), TCP_S) if answer.cut else answer

    @staticmethod
    async def _whole(server, octets, accept):
        """The same over TCP (RFC 7766)."""
        reader, writer = await asyncio.open_connection(*server)
        try:
            writer.write(len(octets).to_bytes(2, "big") + octets)
            answer = dns.read(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
        except asyncio.IncompleteReadError as error:
            raise RemoteError("it ends in the middle of its answer", status=502) from error
        finally:
            writer.close()
        if not accept(answer) or answer.cut:
            raise RemoteError("it answers another question", status=502)
        return answer
