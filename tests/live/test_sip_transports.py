"""Telephones over TCP, TLS and secure WebSocket in the whole house: baresip, and the page's own telephone in Chromium.

The browser's microphone is a file with a tone; what the trunk hears is looked for in its recording, what the trunk says in
the page by a WebAudio analyser.  control is killed in the middle of the calls."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from hil.browser_phone import BrowserPhone
from hil.phone.linphone import Linphone
from hil.phone.phone import Phone
from hil.phone.probe import ProbePhone
from hil.probes import dtmf, wav
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.between_cases import test_headers_by_rule_and_an_update_between_two_trunks, test_two_telephones_of_one_line_ring_and_one_answers     # noqa: F401
from tests.live.gateway_cases import test_analog_telephones_behind_a_gateway     # noqa: F401  these share this house
from tests.live.keys_cases import test_keys_between_a_trunk_and_telephones_of_each_mode     # noqa: F401
from tests.live.lamp_cases import test_a_busy_lamp     # noqa: F401
from tests.live.join_cases import test_a_supervisor_s_telephone_joins_a_call_that_its_lamp_names     # noqa: F401
from tests.live.passed_cases import test_g729_passes_between_two_telephones_octet_by_octet, test_g729_with_a_far_end_of_another_make     # noqa: F401
from tests.live.presence_cases import test_two_softphones_watch_an_agent     # noqa: F401
from tests.live.provisioning_cases import test_phones_of_each_make_fetch_their_files     # noqa: F401
from tests.live.shelf_cases import test_agents_at_the_numbers_of_a_shelf     # noqa: F401
from tests.live.waiting_cases import test_a_call_waits_at_a_telephone_that_talks     # noqa: F401

pytestmark = pytest.mark.live
RIG = {"tls": True}
MICROPHONE_HZ, TRUNK_HZ = 1004, 440
CLEAR_DB = 20           # a tone above everything else that is heard
BROWSER = "1002"
WHOLE = bool(os.environ.get("STROWGER_WHOLE"))          # a renewal of the certificate takes some seconds to be seen


def tone(path, hz, seconds, write=wav.write_pcm):
    write(path, (np.sin(2 * np.pi * hz * np.arange(int(seconds * 8000)) / 8000) * 8000).astype(np.int16))
    return path


def loudest_hz(samples):
    """(frequency of the highest line of a spectrum, how far it is above all that is 60 Hz and more away in dB)."""
    x = np.asarray(samples, float)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) + 1e-9
    hz = np.arange(len(spectrum)) * 8000 / len(x)
    best = hz[spectrum.argmax()]
    rest = spectrum[np.abs(hz - best) > 60].max()
    return best, 20 * np.log10(spectrum.max() / rest)


def password(house, line):
    return next(row["password"] for row in house.product.get("/configuration")["configuration"]["lines"] if row["name"] == line)


def renew_certificate(house, *ports):
    """A new pair in the place of the old one, the key first as some tools do; returns when each port shows it."""
    folder = house.data_dir / "tls"
    made = house.folder / "renewed"
    made.mkdir(exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=renewed",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made / "key.pem"), "-out", str(made / "certificate.pem")], check=True, capture_output=True)
    wanted = (made / "certificate.pem").read_text()
    for name in ("key.pem", "certificate.pem"):
        os.replace(made / name, folder / name)
    for port in ports:
        house.wait(lambda s: ssl.get_server_certificate(("127.0.0.1", port)).split() == wanted.split(), 30, "the new certificate at port %d" % port)


@pytest.fixture(scope="module")
def browser(house):
    for agent in ("1001", "1003"):
        house.available(agent, "logged_out")
    with BrowserPhone(house.web_url, BROWSER, password(house, BROWSER), tone(house.folder / "microphone.wav", MICROPHONE_HZ, 20)) as phone:
        phone.wait_state("ready")
        house.available(BROWSER)
        house.wait_agent_idle(BROWSER, 30)
        yield phone
    house.available(BROWSER, "logged_out")


@pytest.mark.skipif(not shutil.which("chromium") or not shutil.which("chromedriver"), reason="chromium is not installed (Debian: chromium, chromium-driver)")
@pytest.mark.conformance("RFC 7118", "live page", "JsSIP in Chromium registers, is called and holds over a secure WebSocket, over a kill of control")
def test_an_agent_works_with_only_a_browser(house, browser):
    """E1 caller, IVR, queue, browser; hold; control killed; keys by RFC 4733 and INFO; both directions measured."""
    name = house.place_and_choose("1")
    browser.wait_state("ringing")
    browser.click("answer")
    browser.wait_state("talking")
    house.far.wait_for("dtmf_done", 30, id=name)
    call = house.wait_call("talking", 30)
    house.far.play(name, tone(house.folder / "trunk.wav", TRUNK_HZ, 40))
    heard_well(browser)
    browser.click("hold")
    browser.wait_state("held")
    browser.click("hold")
    browser.wait_state("talking")
    heard_well(browser)
    if WHOLE:
        renew_certificate(house, int(house.web_url.rsplit(":", 1)[1].strip("/")))        # the page's WebSocket and the call stand over it; the re-INVITEs below go over that WebSocket
        assert browser.state == "talking"
        heard_well(browser)
    transport = [row for row in browser.stats() if row["type"] == "transport"][0]
    assert transport["dtlsState"] == "connected" and transport["srtpCipher"], transport

    house.kill("control")
    house.wait(lambda s: any(c["call"] == call["call"] and c["state"] == "talking" for c in s["calls"])
               and any(line["name"] == BROWSER and line["contacts"] for line in s["lines"]), 30, "call and telephone after the kill")
    assert browser.state == "talking"
    heard_well(browser)
    browser.key("5")                                # RFC 4733 towards us, a tone towards the trunk
    time.sleep(0.5)
    browser.info_key("7")
    time.sleep(0.3)
    browser.click("hold")                           # re-INVITE to a control process that has never seen the browser
    browser.wait_state("held")
    browser.click("hold")
    browser.wait_state("talking")
    time.sleep(1.2)
    browser.click("hang-up")
    browser.wait_state("ready")
    house.far.wait_for("released", 30, id=name)
    house.far.wait_for("record_closed", 30, id=name)
    samples = wav.read_mono(house.folder / f"{name}.wav")
    best, above = loudest_hz(samples[-8000:])
    assert abs(best - MICROPHONE_HZ) < 4 and above > CLEAR_DB, (best, above)
    assert "5" in dtmf.text(samples), dtmf.text(samples)
    found = house.cdr(call["call"], 30)
    assert (found["cdr"]["result"], found["cdr"]["agent"]) == ("answered", BROWSER)
    kinds = [record["kind"] for record in found["records"]]
    assert kinds.count("leg.held") >= 1 and kinds.count("leg.retrieved") >= 1, kinds
    quality = [record["data"]["quality"] for record in found["records"] if record["kind"] == "leg.quality" and record["data"]["quality"]["srtp"]]
    assert quality and quality[0]["in"]["packets"] > 100, quality
    house.wait_idle(30)


@pytest.mark.skipif(not shutil.which("chromium") or not shutil.which("chromedriver"), reason="chromium is not installed (Debian: chromium, chromium-driver)")
@pytest.mark.conformance("RFC 3891", "live page", "a page that is loaded anew in a call takes its dialog over: one call, sound both ways")
def test_a_page_that_is_loaded_anew_keeps_its_call_and_one_that_is_closed_gives_it_back_to_the_queue(house, browser):
    """Loaded anew, on hold, twice in a row: the same call with the same party, sound both ways.  Closed without a word: the caller hears music soon, waits in the
    queue again and comes to another agent."""
    house.available(BROWSER)
    house.wait_agent_idle(BROWSER, 30)
    name = house.place_and_choose("1")
    browser.wait_state("ringing")
    browser.click("answer")
    browser.wait_state("talking")
    house.far.wait_for("dtmf_done", 30, id=name)
    call = house.wait_call("talking", 30)["call"]
    house.far.play(name, tone(house.folder / "trunk.wav", TRUNK_HZ, 60))
    heard_well(browser)
    shown = browser.person.text("#status")

    browser.click("hold")
    browser.wait_state("held")
    browser.driver.refresh()
    browser.driver.refresh()                        # by an impatient person, before the call is taken over
    browser.wait_state("talking")
    assert browser.person.text("#status") == shown, "who it talks with"
    heard_well(browser)
    row, = house.state()["calls"]
    assert (row["call"], row["state"], row["held"], row["agent"]) == (call, "talking", False, BROWSER)
    time.sleep(1.5)
    samples = wav.read_mono(house.folder / f"{name}.wav")
    best, above = loudest_hz(samples[-8000:])
    assert abs(best - MICROPHONE_HZ) < 4 and above > CLEAR_DB, (best, above)

    browser.driver.execute_cdp_cmd("Page.navigate", {"url": "about:blank"})     # leaves the call to the box, as a tab that is closed does
    left = time.monotonic()
    house.wait(lambda s: [c for c in s["calls"] if c["held"]], 10, "the caller's music")
    held_after_s = time.monotonic() - left
    house.wait(lambda s: [c for c in s["calls"] if c["state"] == "queued"], 40, "the caller in the queue again")
    queued_after_s = time.monotonic() - left
    print("the caller hears music after %.1f s and waits in the queue after %.1f s" % (held_after_s, queued_after_s))
    assert held_after_s < 6 and queued_after_s < 25, (held_after_s, queued_after_s)
    house.available("1001")
    house.wait(lambda s: [c for c in s["calls"] if (c["state"], c["agent"]) == ("talking", "1001")], 30, "another agent")
    house.far.hangup(name)
    house.far.wait_for("record_closed", 30, id=name)
    found = house.cdr(call, 30)
    kinds = [record["kind"] for record in found["records"]]
    assert kinds.count("leg.away") == kinds.count("leg.back") + 1 and kinds.count("call.ended") == 1, kinds
    assert (found["cdr"]["result"], found["cdr"]["agents"], found["cdr"]["transfers"]) == ("answered", [BROWSER, "1001"], 0)
    assert 1000 * queued_after_s < found["cdr"]["talk_ms"] and found["cdr"]["wait_ms"] < 20000, found["cdr"]
    house.available("1001", "logged_out")
    house.wait_idle(30)


def heard_well(browser):
    """The trunk's tone in the page, again only where the host kept the page from its sound."""
    for attempt in range(3):
        near, rest = browser.tone_db(TRUNK_HZ)
        if near > -60 and near - rest > CLEAR_DB:
            return
    raise AssertionError(f"the page hears {TRUNK_HZ} Hz with {near:.1f} dB, all else with {rest:.1f} dB")


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
def test_calls_over_tcp_and_tls(house):
    """A telephone over TCP calls one over TLS, control is killed, both stay: hold, hang-up, and a call after it."""
    for agent in ("1003", "1004"):
        house.available(agent, "logged_out")
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(Phone("1003", password(house, "1003"), house.sip_port, transport="tcp",
                                        play_file=tone(house.folder / "tcp.wav", 600, 5), repeat=True, record_file=house.folder / "tcp-heard.wav"))
        tls = stack.enter_context(Phone("1004", password(house, "1004"), house.tls_port, transport="tls", outbound=True,
                                        play_file=tone(house.folder / "tls.wav", 900, 5), repeat=True, record_file=house.folder / "tls-heard.wav"))
        mark = tls.mark()
        tcp.dial("1004")
        tls.wait_for("answered", 30, since=mark)
        tcp.wait_for("answered", 30)
        shown = house.state()["system"]["sip"]["streams"]["connections"]
        assert shown["TCP"] == 1 and shown["TLS"] == 1, shown
        call = house.wait_call("talking", 30)["call"]
        closed = tcp.mark(), tls.mark()
        if WHOLE:
            renew_certificate(house, house.tls_port)    # and the connection of before is still the telephone's
            tls.command("hold")
            time.sleep(0.5)
            tls.command("resume")
            time.sleep(0.5)
        assert house.state()["system"]["sip"]["streams"]["connections"]["TLS"] == 1
        assert not tcp.events("closed", closed[0]) and not tls.events("closed", closed[1]), "the renewal drops no call"
        house.kill("control")
        house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), 30, "the call after the kill")
        tls.command("hold")             # over a connection of its own making
        house.wait(lambda s: s["system"]["sip"]["streams"]["connections"].get("TLS"), 30, "the new connection")
        tls.command("resume")
        time.sleep(1)
        mark = tcp.mark()
        tls.hangup()
        tcp.wait_for("closed", 30, since=mark)
        house.wait_idle(30)
        kinds = [record["kind"] for record in house.cdr(call, 30)["records"]]
        assert kinds.count("leg.held") == kinds.count("leg.retrieved") == 1 + WHOLE, kinds      # over the connection from before the renewal, and over a new one
        for phone, hz in ((tcp, 900), (tls, 600)):
            samples = wav.read_mono(phone.recordings[0][0])
            best, above = loudest_hz(samples[-8000:])
            assert abs(best - hz) < 4 and above > CLEAR_DB, (hz, best, above)
        # The one over TCP listens where its Contact says: it is found there without its registering anew.
        house.wait(lambda s: any(line["name"] == "1003" and line["contacts"] for line in s["lines"]), 30, "the telephone over TCP")
        mark = tcp.mark()
        tls.dial("1003")
        tcp.wait_for("answered", 30, since=mark)
        tls.hangup()
        house.wait_idle(30)


@WHOLE_ONLY
@pytest.mark.skipif(not Linphone.is_there(), reason="linphonec is not installed (Debian: linphone-cli)")
def test_another_softphone_talks(house):
    """linphone is called, and hears and is heard: tones both ways."""
    for agent in ("1003", "1004"):
        house.available(agent, "logged_out")
    softphone = Linphone("1004", password(house, "1004"), house.sip_port, house.folder / "linphone").start()
    caller = ProbePhone("1003", password(house, "1003"), house.sip_port)
    try:
        caller.start()
        house.wait(lambda s: any(line["name"] == "1004" and line["contacts"] for line in s["lines"]), 30, "linphone")
        softphone.say("soundcard use files")
        caller.dial("1004")
        caller.wait_for("answered", 30)
        softphone.say("record %s" % (house.folder / "linphone-heard.wav"))
        softphone.say("play %s" % tone(house.folder / "linphone.wav", 900, 8))
        play = caller.play(wav.alaw_compress(wav.read_mono(tone(house.folder / "to-linphone.wav", 600, 6))).tobytes())
        play.wait(30)
        heard = np.array(caller.received_samples(-150, -25))
        caller.hangup()
        house.wait_idle(30)
    finally:
        caller.stop()
        softphone.stop()
    best, above = loudest_hz(heard)
    assert abs(best - 900) < 4 and above > CLEAR_DB, (best, above)
    best, above = loudest_hz(wav.read_mono(house.folder / "linphone-heard.wav")[16000:32000])
    assert abs(best - 600) < 4 and above > CLEAR_DB, (best, above)


@WHOLE_ONLY
@pytest.mark.skipif(not Linphone.is_there(), reason="linphonec is not installed (Debian: linphone-cli)")
@pytest.mark.conformance("RFC 3891", "live linphone", "its attended transfer: REFER whose Refer-To has Replaces joins its two calls")
def test_another_softphone_transfers_attended(house):
    """The probe calls linphone, which calls agent 1001's baresip and gives the one to the other: what the probe says then, baresip has octet by octet."""
    for agent in ("1001", "1003", "1004"):
        house.available(agent, "logged_out")
    agent, said = house.agent_phone, probe_moves.material(93, 2.6)
    softphone = Linphone("1004", password(house, "1004"), house.sip_port, house.folder / "linphone-transfers").start()
    caller = ProbePhone("1003", password(house, "1003"), house.sip_port)
    count, mark = len(agent.recordings), agent.mark()
    try:
        caller.start()
        house.wait(lambda s: any(line["name"] == "1004" and line["contacts"] for line in s["lines"]), 30, "linphone")
        softphone.say("soundcard use files")
        caller.dial("1004")
        caller.wait_for("answered", 30)
        first = house.wait_call("talking", 30)["call"]
        softphone.say("pause")
        house.wait(lambda s: any(record["kind"] == "leg.held" for record in house.product.get(f"/calls/{first}")["records"]), 30, "the held call")
        softphone.say("call sip:1001@127.0.0.1:%d" % house.sip_port)
        agent.wait_for("answered", 30, since=mark)
        house.wait(lambda s: len([c for c in s["calls"] if c["state"] == "talking"]) == 2, 30, "both calls")
        softphone.say("transfer 1 --to-call 2")
        house.wait(lambda s: len(s["calls"]) == 1 and {leg["line"] for leg in s["calls"][0]["legs"]} == {"1003", "1001"}, 30, "the two who are joined")
        caller.play(said).wait(30)
        caller.hangup()
        agent.wait_for("closed", 30, since=mark)
        house.wait_idle(30)
        assert said[8000:12000] in probe_moves.octets_of(agent.recordings[count][0]), "who was called by linphone hears who called it"
        assert house.cdr(first, 30)["cdr"]["result"] == "answered"
    finally:
        caller.stop()
        softphone.stop()


def test_a_large_message_over_tcp(house):
    """An INVITE of 15,000 octets in three pieces gets its challenge; one that ends nowhere ends the connection."""
    head = ("INVITE sip:1004@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKlarge\r\nFrom: <sip:1003@127.0.0.1>;tag=1\r\n"
            "To: <sip:1004@127.0.0.1>\r\nCall-ID: large\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:1003@127.0.0.1:9;transport=tcp>\r\n"
            "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n")
    body = "v=0\r\n" + "a=x:%s\r\n" % ("y" * 14000)
    octets = (head % len(body) + body).encode()
    with socket.create_connection(("127.0.0.1", house.sip_port), 30) as sock:
        sock.settimeout(30)
        for piece in (octets[:300], octets[300:12000], octets[12000:]):
            sock.sendall(piece)
            time.sleep(0.05)
        got = b""
        while b"WWW-Authenticate" not in got:
            got += sock.recv(65536)
        assert got.startswith(b"SIP/2.0 401"), got
    with socket.create_connection(("127.0.0.1", house.sip_port), 30) as sock:
        sock.settimeout(30)
        sock.sendall(b"INVITE sip:x SIP/2.0\r\nX: " + b"y" * 70000)
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            pass


def fetched(url):
    """(status, body) of a file as a phone fetches it: nobody has signed in."""
    try:
        with urllib.request.urlopen(url, timeout=30, context=ssl._create_unverified_context()) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
def test_a_desk_phone_is_set_up_by_its_file(house):
    """Enrolled by REST, its file over HTTPS, baresip registers with what stands in it; the link is spent, the phone's own secret outlives a kill."""
    mac = "805ec0abcdef"
    running = house.product.get("/configuration")
    running["configuration"]["desk_phones"] = [{"mac": mac, "model": "yealink", "line": "1004", "transport": "tcp"}]
    running["configuration"]["provisioning"]["enabled"] = True
    house.product.post("/configuration/apply", running)
    link = house.product.post("/phones/%s/enrol" % mac, {})
    status, text = fetched(link["url"] + link["file"])
    assert status == 200 and text.startswith("#!version:1.0.0.1\n")
    found = dict(line.split(" = ", 1) for line in text.splitlines()[1:])
    own = found["static.auto_provision.server.url"] + "/" + link["file"]
    house.kill("control")
    house.wait(lambda s: s["lines"], 30, "control again")
    assert fetched(own)[0] == 200
    refused = [fetched(url) for url in (link["url"] + link["file"], own.replace(mac, "805ec0ffffff"), own.replace("/provision/", "/provision/0"), own + "x", link["url"])]
    assert refused == [(404, "Not found.\n")] * 5
    assert found["account.1.sip_server.1.transport_type"] == "1" and found["account.1.sip_server.1.port"] == str(house.sip_port)
    with Phone(found["account.1.auth_name"], found["account.1.password"], int(found["account.1.sip_server.1.port"]), transport="tcp"):
        house.wait(lambda s: [line for line in s["lines"] if line["name"] == "1004" and line["registered"] and line["contacts"]], 30, "the desk phone")
    row, = house.product.get("/phones")["phones"]
    assert (row["state"], row["line"]) == ("fetches by itself", "1004")
