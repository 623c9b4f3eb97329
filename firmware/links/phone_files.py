"""The files of desk phones: templates that are data (phone_templates/), filled for one phone.

    name = file_name("yealink", mac)        # as the phone asks for it
    mac = mac_of(name)                      # of a name that some phone asks for, or None
    kind, octets = make("yealink", values)

values: mac, line, label, language ("en" or "zh_CN"), password, server, port, transport ("udp", "tcp", "tls"), encryption ("off", "optional", "required"), url:
where the phone fetches its file from now on, without the file's name.

Names of settings: Yealink's and Fanvil's administrator guides, Grandstream's configuration templates.  No phone of theirs was tried.
"""

import functools
import pathlib
import re
import unicodedata
import urllib.parse
import xml.sax.saxutils

from firmware.errors import LocalError

FOLDER = pathlib.Path(__file__).parent / "phone_templates"
# model: (template, kind, name of its file, {transport}, {encryption}, {language}) as its settings write them
MODELS = {
    "yealink": ("yealink.cfg", "text/plain; charset=utf-8", "%s.cfg", {"udp": 0, "tcp": 1, "tls": 2}, {"off": 0, "optional": 1, "required": 2},
                {"en": "English", "zh_CN": "Chinese_S"}),
    "grandstream": ("grandstream.xml", "text/xml; charset=utf-8", "cfg%s.xml", {"udp": 0, "tcp": 1, "tls": 2}, {"off": 0, "optional": 1, "required": 2},
                    {"en": "en", "zh_CN": "zh"}),
    "fanvil": ("fanvil.xml", "text/xml; charset=utf-8", "%s.cfg", {"udp": 0, "tcp": 1, "tls": 3}, {"off": 0, "optional": 1, "required": 2},
               {"en": "en", "zh_CN": "cn"}),
}
UNFIT = ("Cc", "Cs", "Zl", "Zp")      # controls, halves of pairs, what ends a line or paragraph
NAME = re.compile(r"(?:cfg)?([0-9A-Fa-f]{12})(?:\.cfg|\.xml)")
PLACE = re.compile(r"\{([a-z]+)\}")


def file_name(model, mac):
    """The name of a phone's file."""
    return MODELS[model][2] % mac


def mac_of(name):
    """The hardware address that a file's name bears, in lower case, or None."""
    found = NAME.fullmatch(name)
    return found[1].lower() if found else None


@functools.cache
def _template(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def make(model, values):
    """(content type, octets) of a phone's file.  Raises LocalError for a value that its form cannot hold."""
    template, kind, _, transports, encryptions, languages = MODELS[model]
    url = urllib.parse.urlsplit(values["url"])
    filled = {name: str(values[name]) for name in ("mac", "line", "password", "server", "port")}
    filled.update(label=values["label"] or values["line"], url=values["url"], base=url.netloc, folder=url.path.strip("/"),
                  path=url.netloc + url.path, transport=str(transports[values["transport"]]), encryption=str(encryptions[values["encryption"]]),
                  language=languages[values["language"]])
    for name, value in filled.items():
        if any(unicodedata.category(character) in UNFIT or character in "\ufffe\uffff" for character in value):
            raise LocalError("phone %s: %s holds a control character; write it again" % (values["mac"], name))
    escape = xml.sax.saxutils.escape if template.endswith(".xml") else str
    return kind, PLACE.sub(lambda found: escape(filled[found[1]]), _template(template)).encode()
