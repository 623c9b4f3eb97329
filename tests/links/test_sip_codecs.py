"""What media is told to speak: G726-32 of far ends that pack it as AAL2 does."""

import copy
from types import SimpleNamespace

import pytest

from firmware.config import demo, schema
from firmware.links.sip_legs import endpoint_config
from firmware.links.sip_media import SIPMedia

DEMO = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


@pytest.mark.parametrize("upper_first, codec, spoken", [(False, "G726-32", "G726-32"), (True, "G726-32", "AAL2-G726-32"), (True, "AAL2-G726-32", "AAL2-G726-32"),
                                                        (True, "OPUS", "OPUS"), (True, "PCMA", None), (False, "PCMU", None)])
def test_packing_is_the_lines_or_the_trunks(upper_first, codec, spoken):
    data = copy.deepcopy(DEMO)
    data["lines"][0]["g726_upper_first"] = upper_first
    config, errors = schema.check(data)
    assert not errors
    media = SimpleNamespace(config=endpoint_config(config), endpoint=SimpleNamespace(trunks={"t": SimpleNamespace(row={"g726_upper_first": upper_first})}))
    assert SIPMedia._coder_of(media, {"line": config["lines"][0]["name"]}, codec) == spoken
    assert SIPMedia._coder_of(media, {"line": config["lines"][1]["name"]}, codec) == (None if codec.startswith("PCM") else codec)
    assert SIPMedia._coder_of(media, {"line": None, "trunk": "t"}, codec) == spoken
