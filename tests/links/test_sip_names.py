"""From a name to the far ends of a trunk (RFC 3263), asked of Debian's dnsmasq."""

import asyncio

import pytest

from firmware.errors import RemoteError
from firmware.links import sip_names
from firmware.links.resolver import Resolver, system_servers
from firmware.links.sip_names import Names
from firmware.proto import dns
from hil.name_server import NameServer

pytestmark = pytest.mark.skipif(not NameServer.is_there(), reason="dnsmasq is not installed (Debian: dnsmasq-base)")
HOSTS = ["--host-record=e1.carrier.test,127.0.0.11", "--host-record=e2.carrier.test,127.0.0.12,2001:db8::12", "--host-record=carrier.test,127.0.0.10",
         "--cname=alias.test,e1.carrier.test"]
SRV = ["--srv-host=_sip._udp.carrier.test,e2.carrier.test,5070,20", "--srv-host=_sip._udp.carrier.test,e1.carrier.test,5060,10",
       "--srv-host=_sips._tcp.carrier.test,e1.carrier.test,5061,10"]
NAPTR = ["--naptr-record=carrier.test,20,10,s,SIP+D2U,,_sip._udp.carrier.test", "--naptr-record=carrier.test,10,10,s,SIPS+D2T,,_sips._tcp.carrier.test",
         "--naptr-record=carrier.test,5,10,u,E2U+sip,!^.*$!sip:x!,."]
MANY = ["--srv-host=_sip._udp.many.test,a-long-name-of-a-host-%02d.carrier.test,5060,%d" % (number, number) for number in range(60)]


@pytest.fixture(scope="module")
def server():
    with NameServer(HOSTS + SRV + MANY) as server:
        yield server


def look_up(server, *entry):
    return asyncio.run(Names(Resolver([("127.0.0.1", server.port)]), lambda: None).look_up(*entry))


UDP = [("127.0.0.11", 5060), ("127.0.0.12", 5070), ("2001:db8::12", 5070)]


@pytest.mark.conformance("RFC 3263", "4.1-4.2", "SRV in order of priority; an own port leaves SRV out; no SRV: the name's addresses")
@pytest.mark.parametrize("entry,addresses", (
    (("carrier.test", 0, "udp"), UDP), (("carrier.test", 0, "tls"), [("127.0.0.11", 5061, "TLS")]),
    (("carrier.test", 5080, "udp"), [("127.0.0.10", 5080)]), (("carrier.test", 0, "tcp"), [("127.0.0.10", 5060, "TCP")]),
    (("alias.test", 0, "udp"), [("127.0.0.11", 5060)]), (("carrier.test", 0, "auto"), UDP + [("127.0.0.11", 5061, "TLS")]),
    (("nobody.test", 0, "udp"), [])))
def test_where_a_far_end_is(server, entry, addresses):
    found, life_s = look_up(server, *entry)
    assert found == addresses and 0 <= life_s <= (5 if found else sip_names.MOST_S)


@pytest.mark.conformance("RFC 3263", "4.1", "NAPTR says which transports, in which order; services of others are left out")
def test_naptr_chooses_the_transports(server):
    with NameServer(HOSTS + SRV + NAPTR) as other:
        assert look_up(other, "carrier.test", 0, "auto")[0] == [("127.0.0.11", 5061, "TLS"), *UDP]


class Zone:
    """A resolver: {(name, kind): [Record]}; what is in `broken` gives SERVFAIL, all other names are gone."""

    def __init__(self, records, *broken):
        self.records, self.broken = records, broken

    async def ask(self, name, kind):
        if (name, kind) in self.broken:
            raise RemoteError("the name server says SERVFAIL for %s" % name, cause=27)
        return [dns.Record(name, kind, 3600, value) for value in self.records.get((name, kind), ())], 3600


TWO = {("_sip._udp.two.test", dns.SRV): [(1, 1, 5070, "a.test"), (2, 1, 5071, "b.test")], ("a.test", dns.A): ["127.0.0.1"],
       ("b.test", dns.A): ["127.0.0.2"], ("own.test", dns.A): ["127.0.0.3"]}
A, B, OWN = ("127.0.0.1", 5070), ("127.0.0.2", 5071), ("127.0.0.3", 5060)


@pytest.mark.parametrize("entry,broken,found", (
    (("own.test", 5060, "udp"), [("own.test", dns.AAAA)], [OWN]), (("two.test", 0, "udp"), [("a.test", dns.AAAA), ("b.test", dns.AAAA)], [A, B]),
    (("two.test", 0, "udp"), [("a.test", dns.A), ("a.test", dns.AAAA)], [B]), (("two.test", 0, "auto"), [("two.test", dns.NAPTR)], [A, B]),
    (("two.test", 0, "auto"), [("_sips._tcp.two.test", dns.SRV)], [A, B]), (("own.test", 0, "auto"), [("_sips._tcp.own.test", dns.SRV)], [OWN]),
    (("own.test", 0, "udp"), [("_sip._udp.own.test", dns.SRV)], None), (("own.test", 5060, "udp"), [("own.test", dns.A), ("own.test", dns.AAAA)], None),
    (("own.test", 5060, "udp"), [("own.test", dns.A)], None),
    (("two.test", 0, "udp"), [(name, kind) for name in ("a.test", "b.test") for kind in (dns.A, dns.AAAA)], None)))
def test_a_question_that_fails_does_not_hide_what_the_others_found(entry, broken, found):
    names = Names(Zone(TWO, *broken), lambda: None)
    if found is None:
        with pytest.raises(RemoteError, match="SERVFAIL"):
            asyncio.run(names.look_up(*entry))
    else:
        assert asyncio.run(names.look_up(*entry)) == (found, sip_names.AGAIN_S)
    assert asyncio.run(Names(Zone(TWO), lambda: None).look_up(*entry))[1] == 3600


def test_an_answer_that_is_too_long_for_a_datagram_comes_over_tcp(server):
    records, _ = asyncio.run(Resolver([("127.0.0.1", server.port)]).ask("_sip._udp.many.test", dns.SRV))
    assert len(records) == 60


def test_a_silent_server_is_passed_over_and_none_is_a_sentence(server, tmp_path, monkeypatch):
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr("firmware.links.resolver.TRY_S", (0.2, 10.0))
        records, _ = asyncio.run(Resolver([silent.getsockname(), ("127.0.0.1", server.port)]).ask("e1.carrier.test", dns.A))
        assert [record.value for record in records] == ["127.0.0.11"]
        monkeypatch.setattr("firmware.links.resolver.TRY_S", (0.1,))
        with pytest.raises(RemoteError, match="name server 127.0.0.1:%d does not answer" % silent.getsockname()[1]):
            asyncio.run(Resolver([silent.getsockname()]).ask("e1.carrier.test", dns.A))
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nsearch y\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n")
    assert system_servers(path) == [("192.0.2.1", 53), ("2001:db8::1", 53)] and system_servers(tmp_path / "none") == []


def test_what_changes_is_told_and_what_was_known_stays(monkeypatch):
    monkeypatch.setattr(sip_names, "LEAST_S", 0.1)
    monkeypatch.setattr(sip_names, "AGAIN_S", 0.1)
    entry = ("carrier.test", 0, "udp")

    async def main():
        with NameServer(HOSTS + SRV, ttl_s=0) as server:
            told = asyncio.Event()
            names = Names(Resolver([("127.0.0.1", server.port)]), told.set)
            names.want([entry])
            assert "looked up" in names.fault(entry)
            names.start()

            async def until(test):
                while not test():
                    told.clear()
                    await asyncio.wait_for(told.wait(), 30)
            await until(lambda: names.addresses(entry) == UDP)
            await asyncio.to_thread(server.change, HOSTS + SRV[:1])            # a record is gone
            await until(lambda: names.addresses(entry) == UDP[1:] and not names.fault(entry))
            await asyncio.to_thread(server.change, [])                         # all of them: what worked stays in use
            await until(lambda: names.fault(entry) is not None)
            assert names.addresses(entry) == UDP[1:]
            await asyncio.to_thread(server.change, HOSTS + SRV)
            await until(lambda: names.addresses(entry) == UDP and names.fault(entry) is None)
            names.want([])
            names.stop()
    asyncio.run(main())
