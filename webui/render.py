"""Templates and languages: Jinja2 with autoescape, message catalogues read by Babel."""

import datetime
import gettext
import pathlib
import re
import zoneinfo

import jinja2
from babel.messages.pofile import read_po

from webui.sayings import Sayings
from webui.told import told

HERE = pathlib.Path(__file__).parent
LANGUAGES = {"en": "English", "zh_CN": "中文"}


class Catalogue(gettext.NullTranslations):
    """One language's messages, straight from its .po files."""

    def __init__(self, paths):
        super().__init__()
        self.messages = {}
        for path in paths:
            with open(path, "rb") as file:
                self.messages.update({m.id: m.string for m in read_po(file) if m.id and m.string})
        self.forms = [(re.compile(re.sub(r"\\\{\d\\\}", "(.+)", re.escape(name[7:])), re.DOTALL), said) for name, said in self.messages.items() if name.startswith("detail.")]

    def gettext(self, message):
        return self.messages.get(message, message)


CATALOGUES = {language: Catalogue(sorted((HERE / "locale").glob("**/%s.po" % language))) for language in LANGUAGES}


def choose_language(cookie, accept):
    """The language of a page: the cookie's, else the browser's first that we have."""
    if cookie in LANGUAGES:
        return cookie
    for part in (accept or "").split(","):
        if part.strip().lower().startswith("zh"):
            return "zh_CN"
        if part.strip().lower().startswith("en"):
            return "en"
    return "en"


def clock(ms, zone="UTC"):
    """Time of day at the site."""
    return _local(ms, zone).strftime("%H:%M:%S") if ms else ""


def moment(ms, zone="UTC"):
    """Date and time of day at the site."""
    return _local(ms, zone).strftime("%Y-%m-%d %H:%M:%S") if ms else ""


def duration(ms):
    """Minutes and seconds."""
    if ms is None or isinstance(ms, jinja2.Undefined):
        return ""
    seconds = max(0, int(ms)) // 1000
    return f"{seconds // 60}:{seconds % 60:02d}"


def caller(number, presentation):
    """A caller as a page may show it: the number made safe to print, "withheld", or "unknown".

    Withheld is only a number whose presentation is restricted (Q.931 4.5.10), whether it came or not."""
    if presentation == "restricted":
        return "withheld"
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in number or "").strip()
    return shown or "unknown"


def _local(ms, zone):
    return datetime.datetime.fromtimestamp(ms / 1000, zoneinfo.ZoneInfo(zone))


def environment():
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True,
                             trim_blocks=True, lstrip_blocks=True, undefined=jinja2.ChainableUndefined)
    env.filters.update(clock=clock, moment=moment, duration=duration, caller=caller, told=told)
    return env


ENVIRONMENT = environment()


def render(template, language, **values):
    """A template as text in a language."""
    catalogue = CATALOGUES.get(language)
    return ENVIRONMENT.get_template(template).render(
        **Sayings(catalogue).for_templates(), _=catalogue.gettext if catalogue else (lambda message: message), language=language,
        languages=LANGUAGES, **values)
