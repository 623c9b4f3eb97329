"""What the turn-up says to each fault that installers fight with."""

import pytest

from firmware.chassis.turn_up_judge import SENTENCES, judge

GOOD = {"span": 3, "type": "e1", "framing": "esf", "crc4": True, "side": "user", "signalling": "pri", "d_timeslot": 16, "alarms": set(),
        "seconds": 10, "errors": 0, "far_errors": 0, "blocks": 10000, "slips": 0, "clock_selected": False, "link_up": True, "loop": None,
        "code": None, "looped": False, "crossed": None}
FAULTS = [
    ({"alarms": {"los"}, "link_up": False, "looped": None}, {"los", "link_waits"}),
    ({"alarms": {"ais"}, "link_up": False}, {"ais", "link_waits"}),
    ({"alarms": {"lfa"}, "link_up": False}, {"lfa_e1", "link_waits"}),
    ({"alarms": {"lfa"}, "type": "t1", "link_up": False}, {"lfa_t1", "link_waits"}),
    ({"alarms": {"rai"}, "crc4": False, "link_up": False}, {"rai", "link_down"}),
    ({"alarms": {"rai"}}, {"rai_crc4"}),
    ({"alarms": {"no_crc4"}}, {"crc4_far_off"}),
    ({"errors": 7}, {"errors"}),
    ({"far_errors": 7}, {"far_errors"}),
    ({"type": "t1", "errors": 3300, "blocks": 3330}, {"crc_all"}),
    ({"slips": 2}, {"clock_follow"}),
    ({"slips": 2, "side": "network"}, {"clock_far"}),
    ({"slips": 2, "clock_selected": True}, {"clock_selected"}),
    ({"looped": True, "link_up": False}, {"looped_far", "link_looped"}),
    ({"loop": "remote", "link_up": False}, {"looped_near", "link_looped"}),
    ({"loop": "remote", "code": "line_up", "link_up": False}, {"looped_code", "link_looped"}),
    ({"crossed": 4, "link_up": False}, {"crossed", "link_down"}),
    ({"link_up": False}, {"link_down"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "open"}, {"los_open", "link_waits"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "ok"}, {"los_pairs", "link_waits"}),
    ({"alarms": {"los"}, "link_up": False, "looped": None, "transmit": "ok", "weak_db": 26.0, "limit_db": 23.1}, {"los_weak", "link_waits"}),
    ({"alarms": {"rai", "transmit_open"}, "transmit": "open"}, {"transmit_open"}),
    ({"alarms": {"rai", "transmit_short"}, "transmit": "short"}, {"transmit_short"}),
    ({"alarms": {"weak"}, "errors": 7, "level_db": 19.0, "limit_db": 23.1, "transmit": "ok"}, {"weak", "errors"}),
    ({"errors": 7, "level_db": 2.0, "limit_db": 23.1, "transmit": "ok"}, {"errors_level_good"}),
]


def test_a_good_span_passes():
    findings = judge(GOOD)
    assert {f["result"] for f in findings} == {"pass"} and "link_up" in {f["key"] for f in findings}


@pytest.mark.parametrize("change, keys", FAULTS)
def test_each_fault_has_its_sentence(change, keys):
    findings = judge({**GOOD, **change})
    assert {f["key"] for f in findings if f["result"] != "pass"} == keys
    assert all(f["text"] == SENTENCES[f["key"]] % f["arguments"] for f in findings)


def test_the_offset_is_told():
    text = next(f["text"] for f in judge({**GOOD, "slips": 4}) if f["check"] == "clock")
    assert "50.0 ppm" in text                               # 4 slips of 125 us in 10 s


def test_every_sentence_is_there_in_both_languages():
    from webui.render import CATALOGUES
    missing = [(language, key) for language in CATALOGUES for key in SENTENCES
               if language != "en" and CATALOGUES[language].gettext("turn_up." + key) == "turn_up." + key]
    assert not missing
