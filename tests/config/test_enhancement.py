"""Enhancement in the configuration reaches media's command `add` as media wants it."""

import copy
import types

import pytest

from firmware.config import demo, schema
from firmware.links.enhancement import enhancement, put, renew
from firmware.links.pri_span import Span
from firmware.links.sip_legs import endpoint_config
from firmware.media import settings

DEMO = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


def configured(group=None, line=None):
    data = copy.deepcopy(DEMO)
    for part, wanted in (("trunk_groups", group), ("lines", line)):
        if wanted is not None:
            data[part][0]["enhancement"] = wanted
    return schema.check(data)


def test_nothing_is_switched_on_by_itself():
    config, errors = configured()
    assert not errors and all(enhancement(row) == {} for row in config["trunk_groups"] + config["lines"])
    assert enhancement(configured(group={"long_tail": True})[0]["trunk_groups"][0]) == {}       # says only how the canceller is to be


def test_a_trunk_group_gives_its_spans_what_media_takes():
    config, errors = configured(group={"echo": True, "long_tail": True, "level": "alc", "vad": True})
    assert not errors
    span = Span(config["spans"][0], config["trunk_groups"][0])
    assert settings.enhancement(settings.ENHANCE_OFF, span.enhance["enhance"]) == {
        "echo": True, "long_tail": True, "noise": False, "level": "alc", "vad": True}
    span.change(config["spans"][0], configured()[0]["trunk_groups"][0])
    assert span.enhance == {}


def test_a_line_gives_its_legs_what_media_takes():
    config, errors = configured(line={"noise": True, "level": "agc"})
    assert not errors
    parameters = endpoint_config(config)["enhance"][config["lines"][0]["name"]]
    assert settings.enhancement(settings.ENHANCE_OFF, parameters["enhance"])["level"] == "agc"


def test_what_media_has_not_got_is_said_again_after_a_restart():
    class Media(list):
        enhanced = {"l4": {"echo": True}, "l6": {"noise": True}}      # asked for by command: before the configuration
        def command(self, do, **parameters):
            self.append((do, parameters))

    media, row = Media(), lambda leg, **on: {"id": leg, "enhance": dict(settings.ENHANCE_OFF, **on)}
    audit = {"terminations": [row("l1"), row("l2", echo=True), row("l3", noise=True), row("l4", echo=True), {"id": "l5"}]}
    renew(media, audit, {leg: {"enhance": {"echo": True}} for leg in ("l1", "l2", "l5", "l6")} | {"l3": {}, "l4": {}})
    assert media == [("enhance", {"id": "l1", "echo": True, "long_tail": False, "noise": False, "level": "off", "vad": False}),
                     ("enhance", {"id": "l3", "echo": False, "long_tail": False, "noise": False, "level": "off", "vad": False})]
    for _, parameters in media:
        parameters.pop("id")
        assert settings.enhancement(settings.ENHANCE_OFF, parameters) == parameters


def test_what_the_configuration_wants_is_had_in_part_where_places_are_few():
    told = []
    media = types.SimpleNamespace(command=lambda do, **parameters: told.append((do, parameters)))
    put(media, "l1", {"echo": True, "long_tail": True})
    put(media, "l2", {"echo": True})
    assert told == [("enhance", {"id": "l1", "echo": True, "long_tail": True, "or_less": True}), ("enhance", {"id": "l2", "echo": True})]


@pytest.mark.parametrize("wrong", ({"echo": 1}, {"level": "loud"}, {"tail_ms": 128}, []))
def test_wrong_enhancement_gets_advice(wrong):
    errors = configured(group=wrong)[1]
    assert errors and "enhancement" in str(errors[0])
