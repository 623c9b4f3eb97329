"""Why a span in packets or of a card cannot be carried, on a Chinese page: the sentences are those of who says them."""

import errno
import re

import pytest

from boardconfig import bearers
from drivers.tdm.cesopsn import Pseudowire
from drivers.tdm.dahdi import DAHDISpan
from firmware.config.bearer import in_force
from firmware.errors import StrowgerError
from webui import render
from webui.sayings import Sayings

SAID = Sayings(render.CATALOGUES["zh_CN"]).said_detail
# Names, and words that stand so in settings, files and commands.
NAMES = re.compile(r"DAHDI|CAS|RTP|UDP|PRI|CESoPSN|SAToP|RAI|AIS|ABCD|E1|T1|J1|\bD\b|lsdahdi|dahdi_cfg|dahdi_maint|\bdahdi\b|bchan|cesopsn|satop|\bcas\b|\bpri\b|\br2\b|true|false|\bx\b"
                   r"|/[\w./]+|bearers\[\d+\](\.\w+)?")
PACKETS = {**bearers.DEFAULTS, "kind": "cesopsn", "local": "127.0.0.1:2142", "remote": "127.0.0.1:2143", "type": "e1"}
CARD = {**bearers.DEFAULTS, "kind": "dahdi", "dahdi_span": 3, "type": "e1"}


class BadCard:
    """A card of which something cannot be had."""

    folder, ioctls = "/dev/dahdi", (0, 0, 0, 0)

    def __init__(self, absent=None, channel=None, kind="frames"):
        self.absent, self.channel, self.kind = absent, channel, kind

    def info(self, span):
        if self.absent is not None:
            raise OSError(self.absent, "")
        return {"name": "x", "alarms": 0, "channels": 31, "first": 1}

    def spans(self):
        return []

    def open(self, channel, law):
        if self.channel is not None:
            raise OSError(self.channel, "")
        return 99999, self.kind


def sentence(made, *given, **more):
    with pytest.raises(StrowgerError) as error:
        made(*given, **more)
    return str(error.value)


def chinese(text):
    """What the page shows of a sentence, without a word of English in it."""
    shown = SAID(text)
    assert shown != text and not re.search("[A-Za-z]{2,}", NAMES.sub("", shown)), shown
    return shown


@pytest.mark.parametrize("bad", [{"absent": number} for number in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENXIO, errno.EINVAL)]
                         + [{"channel": number} for number in (errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.EIO, 500)] + [{}])
def test_a_card_that_cannot_be_had(bad):
    assert chinese(sentence(DAHDISpan, 2, CARD, BadCard(**bad))).startswith("中继线 2：无法打开 DAHDI 中继线 3")


@pytest.mark.parametrize("local", ["192.0.2.1:2142", "127.0.0.1:1"])
def test_a_pseudowire_that_cannot_be_opened(local, monkeypatch):
    if local.endswith(":1"):
        monkeypatch.setattr("drivers.tdm.cesopsn.socket.socket.bind", lambda *given: (_ for _ in ()).throw(OSError(errno.EADDRINUSE, "")))
    assert "未被占用的 UDP 端口" in chinese(sentence(Pseudowire, 2, {**PACKETS, "local": local}))


def test_a_tick_without_room():
    """As firmware/media/admission.py says it, before and after its semicolon."""
    late = "; the machine would become late for the calls that are up"
    for reason in ("7000 of 6900 us of a tick are in use and this needs 45 more", "one tick in a hundred takes 8.4 of its 10 ms",
                   "in 3 of the last 10 seconds a tick took 80 % of its 10 ms"):
        for end in (late, "; the box is too hot and takes 70 % of its calls until it is cooler"):
            chinese("span 2 over packets: " + reason + end)


ROWS = [({**CARD, "dahdi_span": "x"}, {}), ({**PACKETS, "local": "x"}, {}), ({**PACKETS, "remote": "x"}, {}), ({**PACKETS, "local": "0.0.0.0:1"}, {}), ({**PACKETS, "remote": "0.0.0.0:1"}, {}),
        ({**PACKETS, "remote": "127.0.0.1:2142"}, {}), ({**PACKETS, "packet_ms": 9}, {}), ({**PACKETS, "rtp": 1}, {}), ({**PACKETS, "timeslots": "x"}, {}),
        ({**PACKETS, "cas": True, "packet_ms": 5, "timeslots": "1-15"}, {}), ({**PACKETS, "kind": "satop", "packet_ms": 5, "rtp": True}, {}), ({**PACKETS, "kind": "satop"}, {"type": "t1"}),
        ({**PACKETS, "cas": True, "timeslots": "1-15"}, {"type": "t1"}), (PACKETS, {"type": "t1"}), (PACKETS, {"signalling": "r2"}), ({**PACKETS, "timeslots": "1-15"}, {"signalling": "pri"}),
        ({**PACKETS, "cas": True}, {})]


@pytest.mark.parametrize("row, span", ROWS)
def test_a_bearer_that_does_not_fit(row, span):
    """In the settings of a span, and as a fault of the board's description."""
    errors = bearers.check_bearer("bearers[0]", row, {"type": "e1", "signalling": "none", **span})
    for error in errors:
        chinese(error.advice)
        chinese("Bearers of the board's description: %s" % error)
    assert errors or row["kind"] == "satop", "kind satop fits the packet"


def test_two_spans_that_want_the_same():
    for row in (PACKETS, CARD):
        for error in bearers.check_bearers([("bearers[0]", 1, row, None), ("bearers[1]", 2, row, None)], []):
            chinese(error.advice)
    rows = [{"span": 1, "enabled": True, "type": "e1", "signalling": "none", "crc4": False, "bearer": {**PACKETS, "kind": "cesopsn"}},
            {"span": 2, "enabled": True, "type": "e1", "signalling": "none", "crc4": False, "bearer": {"kind": "described"}}]
    _, errors = in_force({"spans": rows}, [{"span": 2, "kind": "cesopsn", "local": PACKETS["local"], "remote": "127.0.0.1:9"}])
    assert len(errors) == 1 and "Bearers" not in chinese("Bearers of the board's description: %s" % errors[0])


@pytest.mark.parametrize("text", ["media does not carry it yet", "media cannot use this bearer: KeyError('x')", "span 2 has no bearer of its own",
                                  "span 2: loop codes are for a T1 of the board; loop a pseudowire here or at its far end",
                                  "span 2: RAI and AIS of DAHDI span 3 are sent by the card itself; use dahdi_maint"])
def test_what_control_and_media_say(text):
    assert "中继线" in SAID(text) or "媒体" in SAID(text)


def test_a_page_shows_it_so():
    fault = sentence(DAHDISpan, 2, CARD, BadCard(channel=errno.EBUSY))
    page = render.ENVIRONMENT.get_template("part_alarms.html").render(
        **Sayings(render.CATALOGUES["zh_CN"]).for_templates(), _=render.CATALOGUES["zh_CN"].gettext, language="zh_CN", state={"system": {"faults": [fault]}, "alarms": []}, alarms=[])
    assert "正被另一程序使用" in page and "in use by another program" not in page
