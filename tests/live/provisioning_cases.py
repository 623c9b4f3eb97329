"""Desk phones of each make fetch their files as they do at power-on: played in the house of test_sip_transports.py.

What they ask for in which order, and how they name themselves, is from the makers' guides: Yealink's Auto Provisioning Guide (boot files, the common file, then
that of its address; the first line is #!version:1.0.0.1), Grandstream's SIP Device Provisioning Guide (cfgMAC, cfgMAC.xml, the model's, cfg.xml; the file's <mac>
is compared with the own one), Fanvil's auto provision standard.  What stands in each file is tried with baresip."""

import shutil
import ssl
import urllib.error
import urllib.request
import xml.etree.ElementTree

import pytest

from hil.phone.phone import Phone

LINE = "1004"
# make: (hardware address, how it names itself, what it asks for, label, language of its display)
MAKES = {
    "yealink": ("805ec0a1b2c3", "Yealink SIP-T46S 66.86.0.15 80:5e:c0:a1:b2:c3", ("y000000000000.boot", "{mac}.boot", "y000000000066.cfg", "{mac}.cfg"), "前台 & 1", "zh_CN"),
    "grandstream": ("000b82a1b2c3", "Grandstream Model HW GXP2135 SW 1.0.11.64 DevId 000b82a1b2c3", ("cfg{mac}", "cfg{mac}.xml", "cfggxp2135.xml", "cfg.xml"), "Reception <1>", "en"),
    "fanvil": ("0c383ea1b2c3", "Fanvil X4U 2.12.1.7 0c383ea1b2c3", ("f0x4u00000000.cfg", "{mac}.cfg"), "", "zh_CN")}
LANGUAGE = {"yealink": ("lang.gui", "Chinese_S"), "grandstream": ("P1362", "en"), "fanvil": ("phone/display/DefaultLanguage", "cn")}


def fetch(url, agent):
    """(status, octets)."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": agent}), timeout=30, context=ssl._create_unverified_context()) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def understood(make, mac, octets):
    """{setting: value} as the make's phones read a file."""
    if make == "yealink":
        first, *lines = octets.decode().splitlines()
        assert first == "#!version:1.0.0.1"
        return dict(tuple(part.strip() for part in line.split("=", 1)) for line in lines if line and not line.startswith("#"))
    root = xml.etree.ElementTree.fromstring(octets)
    if make == "grandstream":
        assert (root.tag, root.get("version"), root.findtext("mac")) == ("gs_provision", "1", mac) and root.find("config").get("version") == "1"
        assert all(row.tag[0] == "P" and row.tag[1:].isdigit() for row in root.find("config"))
        return {row.tag: row.text for row in root.find("config")}
    assert root.tag == "sysConf" and root.findtext("Version") and [row.get("index") for row in root.findall("sip/line")] == ["1"]
    return {"%s/%s" % (part, row.tag): row.text for part in ("sip/line", "phone/display", "ap") for row in root.find(part)}


def account(make, found):
    """(host, port, user, password, where the next file is) of a file."""
    if make == "yealink":
        return (*(found["account.1." + name] for name in ("sip_server.1.address", "sip_server.1.port", "auth_name", "password")), found["static.auto_provision.server.url"])
    if make == "grandstream":
        assert found["P271"] == "1" and found["P212"] == "2", "an active account, files by HTTPS"
        return (*found["P47"].split(":"), found["P36"], found["P34"], "https://" + found["P237"])
    line = {name: found["sip/line/Register" + name] for name in ("Addr", "Port", "User", "Pswd")}
    assert found["sip/line/EnableReg"] == "1" and found["ap/FlashProtocol"] == "5", "it registers; files by HTTPS"
    return (line["Addr"], line["Port"], line["User"], line["Pswd"], "https://%s/%s" % (found["ap/FlashServerIP"], found["ap/FlashFileName"].rsplit("/", 1)[0]))


@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
def test_phones_of_each_make_fetch_their_files(house):
    """By the link, then by the phone's own place; nothing else is there, for nobody; a telephone with what stands in the file registers."""
    running = house.product.get("/configuration")
    running["configuration"]["desk_phones"] = [{"mac": mac, "model": make, "line": LINE, "label": label, "language": language}
                                               for make, (mac, _, _, label, language) in MAKES.items()]
    running["configuration"]["provisioning"]["enabled"] = True
    house.product.post("/configuration/apply", running)
    for make, (mac, agent, names, label, _) in MAKES.items():
        link = house.product.post("/phones/%s/enrol" % mac, {})["url"]
        for place in (link, None):
            place = place or own + "/"
            answers = [fetch(place + name.format(mac=mac), agent) for name in names]
            came = [octets for status, octets in answers if status == 200]
            assert len(came) == 1 and {status for status, _ in answers} == {200, 404}, (make, [status for status, _ in answers])
            found = understood(make, mac, came[0])
            host, port, user, password, own = account(make, found)
            assert (user, found[LANGUAGE[make][0]]) == (LINE, LANGUAGE[make][1]) and (label or LINE) in found.values()
        mine = next(name for name in names if name.format(mac=mac) in (mac + ".cfg", "cfg%s.xml" % mac))
        other = next(each[0] for kind, each in MAKES.items() if kind != make)
        wrong = [own + "/" + mine.format(mac="805ec0000000"), own + "/" + mine.format(mac=other), own[:-1] + "/" + mine.format(mac=mac), link + mine.format(mac=mac),
                 own.rsplit("/", 1)[0] + "/" + mine.format(mac=mac)]
        assert [fetch(url, agent)[0] for url in wrong] == [404] * len(wrong), make
        with Phone(user, password, int(port), registrar=host):
            house.wait(lambda s: [line for line in s["lines"] if line["name"] == LINE and line["contacts"]], 30, "the telephone with %s's file" % make)
    states = {row["mac"]: row["state"] for row in house.product.get("/phones")["phones"]}
    assert states == {mac: "fetches by itself" for mac, *_ in MAKES.values()}
    running = house.product.get("/configuration")
    running["configuration"]["desk_phones"] = []
    house.product.post("/configuration/apply", running)
