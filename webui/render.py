"""Templates and languages: Jinja2 with autoescape, message catalogues read by Babel."""

import datetime
import gettext
import json
import pathlib
import re
import zoneinfo

import jinja2
from babel.messages.pofile import read_po

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


def where(members, translate=str):
    """Sources in short: ["span 1", "span 2", "span 3"] -> "span 1-3"; translate: of their names."""
    parts = []
    for member in members:
        name, _, number = member.rpartition(" ")
        number = int(number) if name and number.isdigit() else None
        if parts and number is not None and parts[-1][0] == name and number == parts[-1][2] + 1:
            parts[-1][2] = number
        else:
            parts.append([name, number, number] if number is not None else [member, None, None])
    return ", ".join(translate(name) if first is None else f"{translate(name)} {first}" if first == last
                     else f"{translate(name)} {first}-{last}" for name, first, last in parts)


def sayings(catalogue):
    """What templates ask for sentences that control says in English and the catalogue may know by a name."""
    def known(key, otherwise):
        said = catalogue.gettext(key) if catalogue else key
        return otherwise if said == key else said

    def said(alarm, head, field):
        return known(f"{head}.{alarm.get('kind')}", alarm.get(field) or "")

    def sentence(finding):
        if not finding["key"]:
            return finding["text"]
        arguments = finding["arguments"]
        if "names" in arguments:            # kinds of alarms
            arguments = {**arguments, "names": ", ".join(known("kind." + name, name) for name in arguments["names"].split(", "))}
        for name, head in (("why", "turn_up.why."), ("meaning", "q850.")):              # why a test call was not measured, or what its cause means
            if name in arguments:
                arguments = {**arguments, name: known(head + arguments[name], arguments[name])}
        if "why" in arguments:
            arguments = {**arguments, "why": detail(arguments["why"])}
        if "stage" in arguments:            # of a test that was cut
            arguments = {**arguments, "stage": known("stage." + arguments["stage"], arguments["stage"])}
        return known(f"turn_up.{finding['key']}", finding["text"].replace("%", "%%")) % arguments

    def detail(text):
        """A sentence of control that the catalogue knows, or whose form it knows: "detail.{0} times in {1} minutes"."""
        said = known(text, None)
        if said is not None:
            return said
        for form, message in catalogue.forms if catalogue else ():
            found = form.fullmatch(text)
            if found:
                return message.format(*(detail(part) for part in found.groups()))
        return text

    def names(members):
        return where(members, lambda name: known("source." + name, name))

    def clock_said(finding, what):
        """A sentence of the clock doctor.  what: "text" or "advice"."""
        key = "clock.%s.%s" % (what, finding["key"])
        said = known(key, None) or known("clock.%s.%s" % (what, finding["finding"]), None)
        if said is None:
            return finding[what]
        ppm, reference = finding["ppm"] or 0.0, finding["arguments"].get("reference")
        return said % {**finding["arguments"], "names": names(["span %d" % span for span in finding["spans"]]),
                       "reference": names(["span %d" % reference]) if reference else "",
                       "offset": "%s %.3g ppm" % (catalogue.gettext("clock.faster" if ppm > 0 else "clock.slower"), abs(ppm))}

    def field_label(part, path):
        """What a setting is called.  path: of its input without numbers, "choices.trunk_group"."""
        last = path.rpartition(".")[2]
        return known("field.%s.%s" % (part, path), None) or known("field." + last, None) or last.replace("_", " ").capitalize()

    def label_path(part, path):
        """The same for "choices.1.trunk_group", with what it stands in."""
        plain, names = [], []
        for word in path.split("."):
            if word.isdecimal() and names:
                names[-1] += " " + word
            else:
                plain.append(word)
                names.append(field_label(part, ".".join(plain)))
        return " · ".join(names)

    def choice_label(value, field=""):
        """A value of the configuration, with what it means where the catalogue says so.  field: "sip_trunks.kind", where it means something else there."""
        said = known("choice.%s.%s" % (field, value), None) or known("choice.%s" % value, None)
        return "%s (%s)" % (said, value) if said else value

    def route_step(step):
        """A step of the explanation of a route."""
        arguments = {name: detail(value) if isinstance(value, str) else value for name, value in step["arguments"].items()}
        if "weekday" in arguments:
            arguments["weekday"] = known("day.%d" % arguments["weekday"], arguments["weekday"])
        if "days" in arguments:
            arguments["days"] = ", ".join(known("day.%d" % first, first) if first == last else known("day.run", "%s to %s") % (known("day.%d" % first, first), known("day.%d" % last, last))
                                          for first, last in arguments["days"])
        for name, head in (("application", "application."), ("needed", "choice."), ("allowed", "choice.")):
            if name in arguments:
                arguments[name] = ", ".join(known(head + word, word) for word in arguments[name].split(", "))
        return known("why." + step["key"], step["text"].replace("%", "%%")) % arguments

    def slot_why(row):
        """Why a timeslot was in a state, as a person says it: storage/timeslots.py."""
        why = row["why"] or ""
        return known("slot.why." + why, None) or detail(why)

    def why_text(body):
        try:
            return detail(json.loads(body)["detail"])
        except (ValueError, KeyError, TypeError):
            return body
    return {"said": said, "sentence": sentence, "why_text": why_text, "where": names, "clock_said": clock_said, "said_detail": detail,
            "field_label": field_label, "label_path": label_path, "choice_label": choice_label, "route_step": route_step, "slot_why": slot_why}


def render(template, language, **values):
    """A template as text in a language."""
    catalogue = CATALOGUES.get(language)
    return ENVIRONMENT.get_template(template).render(
        **sayings(catalogue), _=catalogue.gettext if catalogue else (lambda message: message), language=language,
        languages=LANGUAGES, **values)
