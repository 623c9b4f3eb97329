"""Files of desk phones: they parse, their values are right, and only the phone gets them."""

import types
import xml.etree.ElementTree

import pytest

from firmware.config import demo as demo_config
from firmware.config import schema
from firmware.errors import LocalError
from firmware.links import phone_files, provisioning
from firmware.links.provisioning import Provisioning

MACS = {"yealink": "805ec0123456", "grandstream": "000b82123456", "fanvil": "0c383e123456"}
VALUES = {"mac": "805ec0123456", "line": "1001", "label": "Zoë & <Söhne>", "password": 'p&<">x=1', "server": "192.0.2.1", "port": 5061, "transport": "tls",
          "encryption": "required", "language": "en", "url": "https://192.0.2.1:8443/provision/abc"}


def demo():
    return demo_config.configuration({name: "secret-" + name for name in demo_config.AGENTS})


def read(model, octets):
    """What a phone reads: {name: value}."""
    if model == "yealink":
        lines = octets.decode().splitlines()
        assert lines[0] == "#!version:1.0.0.1"
        return dict(line.split(" = ", 1) for line in lines[1:])
    tree = xml.etree.ElementTree.fromstring(octets)
    assert tree.tag == {"grandstream": "gs_provision", "fanvil": "sysConf"}[model]
    return {element.tag: element.text for element in tree.iter() if len(element) == 0}


NAMES = {"yealink": {"account.1.label": "label", "account.1.auth_name": "line", "account.1.password": "password", "account.1.sip_server.1.address": "server",
                     "account.1.sip_server.1.port": "port", "static.auto_provision.server.url": "url"},
         "grandstream": {"mac": "mac", "P270": "label", "P35": "line", "P36": "line", "P34": "password"},
         "fanvil": {"DisplayName": "label", "RegisterUser": "line", "RegisterPswd": "password", "RegisterAddr": "server", "RegisterPort": "port"}}
LANGUAGES = {"yealink": ("lang.gui", "English", "Chinese_S"), "grandstream": ("P1362", "en", "zh"), "fanvil": ("DefaultLanguage", "en", "cn")}
CODES = {"yealink": ("account.1.sip_server.1.transport_type", "2", "account.1.srtp_encryption", "2"), "grandstream": ("P130", "2", "P183", "2"),
         "fanvil": ("Transport", "3", "RTPEncryption", "2")}


@pytest.mark.parametrize("model", phone_files.MODELS)
def test_files_parse_and_hold_the_values(model):
    kind, octets = phone_files.make(model, VALUES)
    found = read(model, octets)
    assert {name: found[name] for name in NAMES[model]} == {name: str(VALUES[value]) for name, value in NAMES[model].items()}
    transport, transport_code, encryption, encryption_code = CODES[model]
    assert found[transport] == transport_code and found[encryption] == encryption_code and "{" not in octets.decode()
    name, english, chinese = LANGUAGES[model]
    assert (found[name], read(model, phone_files.make(model, dict(VALUES, language="zh_CN", label="前台 & 二"))[1])[name]) == (english, chinese)
    if model == "grandstream":
        assert found["P47"] == "192.0.2.1:5061" and found["P237"] == "192.0.2.1:8443/provision/abc" and found["P212"] == "2"
    if model == "fanvil":
        assert found["FlashServerIP"] == "192.0.2.1:8443" and found["FlashFileName"] == "provision/abc/$mac.cfg" and found["FlashProtocol"] == "5"
    assert phone_files.mac_of(phone_files.file_name(model, MACS[model])) == MACS[model]
    for name in ("label", "password", "server"):
        with pytest.raises(LocalError, match="control character"):
            phone_files.make(model, dict(VALUES, **{name: "x\naccount.1.password = y"}))


@pytest.mark.parametrize("model", phone_files.MODELS)
@pytest.mark.parametrize("name", ["label", "password"])
def test_no_value_is_more_than_a_value(model, name):
    """Marks stay text; what ends a line anywhere, or is no text in XML, is refused with a sentence."""
    plain = {key for key in read(model, phone_files.make(model, VALUES)[1])}
    for value in ("</P34><P2>evil</P2>", "&quot;&lt;&#10;", "]]><!--", "<![CDATA[x]]>", "{password}", "x = y", "#!version:2", "\\n"):
        found = read(model, phone_files.make(model, dict(VALUES, **{name: value}))[1])
        assert set(found) == plain and value in found.values()
    for value in ("x\ry", "x\x00y", "x\x1b", "x\x85y", "x\u2028y", "x\u2029y", "x\ufffey", "x\ud800y"):
        with pytest.raises(LocalError, match="control character"):
            phone_files.make(model, dict(VALUES, **{name: value}))


def test_names_of_files():
    assert phone_files.mac_of("cfg000B82123456.xml") == "000b82123456"
    for name in ("", "x.cfg", "../805ec0123456.cfg", "805ec012345.cfg", "805ec0123456.cfg/", "805ec0123456"):
        assert phone_files.mac_of(name) is None


class Machines(dict):
    """Dumps in memory."""

    def load(self, name):
        return self.get(name)

    def names(self, prefix):
        return sorted(name for name in self if name.startswith(prefix))

    def save(self, name, state):
        self[name] = None if state is None else dict(state) if isinstance(state, dict) else state


class House:
    """now_ms is the test's.  restart(): what a new control process knows."""

    def __init__(self):
        config = demo()
        config["desk_phones"] = [{"mac": mac, "model": model, "line": "1001"} for model, mac in MACS.items()]
        config["provisioning"] = {"enabled": True}
        self.running, errors = schema.check(config)
        assert not errors, errors
        self.config, self.now_ms = types.SimpleNamespace(running=lambda: self.running), 1_000_000
        self.stores = types.SimpleNamespace(machines=Machines())
        self.clock = types.SimpleNamespace(now_ms=lambda: self.now_ms)
        self.turns = types.SimpleNamespace(run=self.run)
        self.restart()

    def restart(self):
        self.phones = Provisioning(self)
        return self.phones

    def run(self, what, function):
        function(self.now_ms)
        if self.phones.dirty():
            self.phones.save(self.stores)
            self.phones.saved()


def secret_of(url):
    return url.split("/provision/")[1].strip("/").split("/")[0]


@pytest.mark.parametrize("model", MACS)
def test_a_link_works_once_then_the_phones_own_secret(model):
    house, mac, host = House(), MACS[model], "192.0.2.77"
    link = house.phones.enrol(mac)
    assert link["url"].startswith("https://127.0.0.1:") and link["file"] == phone_files.file_name(model, mac)
    secret = secret_of(link["url"])
    assert house.phones.fetch(secret, link["file"], host) is not None
    house.restart()                                     # kill -9 of control in between
    _, octets = house.phones.fetch(secret, link["file"], host)          # the download broke off: once more, to the same host
    assert house.phones.fetch(secret, link["file"], "192.0.2.78") is None
    found = read(model, octets)
    own = {"yealink": lambda: found["static.auto_provision.server.url"].rsplit("/", 1)[1], "grandstream": lambda: found["P237"].rsplit("/", 1)[1],
           "fanvil": lambda: found["FlashFileName"].split("/")[1]}[model]()
    assert own != secret
    assert house.phones.fetch(own, link["file"], "198.51.100.1") is not None          # from anywhere: the phone may move
    assert house.phones.fetch(secret, link["file"], host) is None       # the link has done its work
    assert [row["state"] for row in house.phones.table() if row["mac"] == mac] == ["fetches by itself"]
    house.phones.revoke(mac)
    assert house.restart().fetch(own, link["file"], host) is None


def test_nobody_else_gets_a_file():
    house = House()
    links = {mac: house.phones.enrol(mac) for mac in MACS.values()}
    one, other = links[MACS["yealink"]], links[MACS["fanvil"]]
    secret = secret_of(one["url"])
    for name in (other["file"], "ffffffffffff.cfg", "cfg%s.xml" % MACS["yealink"], "x", ""):
        assert house.phones.fetch(secret, name, "h") is None
    for wrong in ("", secret[:-1], "0" * 40, secret_of(other["url"]), "ü"):
        assert house.phones.fetch(wrong, one["file"], "h") is None
    house.now_ms += provisioning.LINK_MS + 1
    assert house.phones.fetch(secret, one["file"], "h") is None
    assert secret not in str(house.stores.machines)     # of a link only its hash is kept
    with pytest.raises(LocalError, match="no desk phone"):
        house.phones.enrol("ffffffffffff")
    house.running["provisioning"]["enabled"] = False
    with pytest.raises(LocalError, match="switched off"):
        house.phones.enrol(MACS["yealink"])


def test_what_the_configuration_must_not_contradict():
    config = demo()
    config["desk_phones"] = [{"mac": "80:5e", "model": "snom", "line": "1001"}]
    found = " ".join(str(error) for error in schema.check(config)[1])
    assert "desk_phones[0].mac" in found and "desk_phones[0].model" in found
    config["desk_phones"] = [{"mac": "805ec0123456", "model": "yealink", "line": "9999", "transport": "tls"}]
    config["provisioning"], config["sip"] = {"enabled": True}, {"address": "0.0.0.0"}
    found = " ".join(str(error) for error in schema.check(config)[1])
    assert "desk_phones[0].line" in found and "sip.tls_port is 0" in found and "provisioning.server" in found
