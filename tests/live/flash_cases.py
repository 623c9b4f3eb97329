"""Analog telephones whose gateway passes hook flashes on: played in the house of test_operations.py, where everybody says a tone of his own.

The gateway is the probe; what it sends for a flash is what gateways of several makers send (AudioCodes' manual lists them), and tshark reads the event of
RFC 4733 as what it is."""

import subprocess

import numpy as np

from hil.far.t38 import Capture
from hil.phone.probe_rtp import EVENT

FLASHES = (("application/hook-flash", b"signal=hf"), ("application/dtmf-relay", b"Signal=16"), ("application/sscc", b"event=flashhook"),
           ("application/broadsoft", b"event flashhook"))
ANALOG, OTHER = "1002", "1003"
DIAL_TONE_HZ = 450              # of China, E.180


def configure(house, flash):
    running = house.product.get("/configuration")
    next(line for line in running["configuration"]["lines"] if line["name"] == ANALOG)["flash"] = flash
    house.product.post("/configuration/apply", running)


def read_by_tshark(folder, phone):
    """What tshark calls the event that the probe sends for a flash."""
    capture = Capture(folder / "flash.pcap")
    capture.note(phone.stream.packet(b"\x10\x0a\x00\xa0", EVENT | 0x80), ("127.0.0.1", 40000), ("127.0.0.1", 40002))
    capture.file.close()
    return subprocess.run(["tshark", "-r", folder / "flash.pcap", "-d", "udp.port==40000,rtp", "-o", "rtpevent.event_payload_type_value:%d" % EVENT, "-V"],
                          capture_output=True, text=True, check=True).stdout


def called(phone, mark):
    phone.wait_for("answered", 15, since=mark)


def test_a_hook_flash_is_hold_second_call_conference_and_transfer(house, phones, floor):
    """Flash and number, over a kill of control while it is dialled: flash: three talk; flash: the second has gone.  With keys: change over there, and by command,
    and all three; the telephone hangs up and the two talk on.  Who hangs up on dial tone is rung again."""
    analog, other = phones[ANALOG], phones[OTHER]
    configure(house, "plain")
    for agent in (ANALOG, OTHER):
        house.available(agent, "logged_out")
    house.available(ANALOG)
    house.wait_agent_idle(ANALOG)
    mark, its_mark = analog.mark(), other.mark()
    caller = house.place_and_choose("1")
    called(analog, mark)
    floor.call = house.wait_call("talking")["call"]
    house.far.play(caller, floor.file())
    floor.speak(ANALOG)
    floor.hear("talking", caller=[ANALOG], _1002=["caller"])

    analog.press("!")
    house.wait(lambda s: s["calls"][0]["held"], 10, "the held caller")
    floor.hear("dial tone", caller=["music"], _1002=[])
    hertz = np.abs(np.fft.rfft(floor.received(ANALOG))).argmax() * 8000 / len(floor.received(ANALOG))
    assert hertz == DIAL_TONE_HZ, hertz
    analog.press(OTHER[:2])
    house.kill("control")
    house.wait(lambda s: s["calls"] and s["calls"][0]["held"], 10, "the call after the kill")
    analog.press(OTHER[2:])
    called(other, its_mark)
    floor.speak(OTHER)
    floor.hear("second call", caller=["music"], _1002=[OTHER], _1003=[ANALOG])
    analog.info(*FLASHES[0])
    floor.hear("conference", caller=[ANALOG, OTHER], _1002=[OTHER, "caller"], _1003=[ANALOG, "caller"])
    analog.info(*FLASHES[1])
    other.wait_for("closed", 10, since=its_mark)
    floor.hear("two again", caller=[ANALOG], _1002=["caller"])

    configure(house, "keys")
    its_mark = other.mark()
    analog.info(*FLASHES[2])
    house.wait(lambda s: s["calls"][0]["held"], 10, "the held caller")
    analog.press(OTHER)
    called(other, its_mark)
    floor.speak(OTHER)
    analog.info(*FLASHES[3])
    house.wait(lambda s: len(analog.events("info", mark)) == len(FLASHES), 10, "the answer to the last flash")
    analog.press("2")
    floor.hear("changed over", caller=[ANALOG], _1002=["caller"])
    house.kill("control")
    house.wait(lambda s: s["calls"] and s["calls"][0]["consult"]["state"] == "waiting", 10, "the call after the kill")
    floor.ask("change_over", by=ANALOG)
    floor.hear("changed over by command", caller=["music"], _1002=[OTHER], _1003=[ANALOG])
    analog.press("!")
    analog.press("3")
    floor.hear("conference by key", caller=[ANALOG, OTHER], _1002=[OTHER, "caller"], _1003=[ANALOG, "caller"])
    analog.hangup()
    floor.hear("the others talk on", caller=[OTHER], _1003=["caller"])
    other.hangup()
    house.far.wait_for("released", 15, id=caller)
    house.far.wait_for("record_closed", 15, id=caller)
    house.wait_idle()
    floor.caller_heard(caller)
    assert {e["status"] for e in analog.events("info", mark)} == {200}
    read = read_by_tshark(house.folder, analog)
    assert "Flash (16)" in read, read

    house.wait_agent_idle(ANALOG, 30)
    mark = analog.mark()
    caller = house.place_and_choose("1", record=False)
    called(analog, mark)
    analog.press("!")
    house.wait(lambda s: s["calls"] and s["calls"][0]["held"], 10, "the held caller")
    analog.hangup()
    analog.wait_for("closed", 10, since=mark)
    called(analog, analog.mark() - 1)
    house.far.hangup(caller)
    house.wait_idle()
    configure(house, "off")
