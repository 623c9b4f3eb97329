"""How a page says what control says in English, in the language of a catalogue: what it knows by a name, by its whole text, or by the form of a sentence."""

import json

FOR_TEMPLATES = ("said", "said_detail", "where", "why_text", "slot_why", "sentence", "clock_said", "field_label", "label_path", "choice_label", "route_step")


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


class Sayings:
    """catalogue: webui.render.Catalogue, or None: all stays as control says it."""

    def __init__(self, catalogue):
        self._catalogue = catalogue

    def for_templates(self):
        """What templates may ask: {name: function}."""
        return {name: getattr(self, name) for name in FOR_TEMPLATES}

    def known(self, key, otherwise):
        """What the catalogue says for a key, or something else."""
        said = self._catalogue.gettext(key) if self._catalogue else key
        return otherwise if said == key else said

    def said_detail(self, text):
        """A sentence of control that the catalogue knows, or whose form it knows: "detail.{0} times in {1} minutes"."""
        said = self.known(text, None)
        if said is not None:
            return said
        for form, message in self._catalogue.forms if self._catalogue else ():
            found = form.fullmatch(text)
            if found:
                return message.format(*(self.said_detail(part) for part in found.groups()))
        return text

    def where(self, members):
        """Sources of alarms in short, named."""
        return where(members, lambda name: self.known("source." + name, name))

    def said(self, alarm, head, field):
        """A sentence of an alarm.  head: of its key in the catalogue; field: where control says it."""
        return self.known(f"{head}.{alarm.get('kind')}", alarm.get(field) or "")

    def why_text(self, body):
        """Why control refused, from the octets of its answer."""
        try:
            return self.said_detail(json.loads(body)["detail"])
        except (ValueError, KeyError, TypeError):
            return body

    def slot_why(self, row):
        """Why a timeslot was in a state, as a person says it: storage/timeslots.py."""
        why = row["why"] or ""
        return self.known("slot.why." + why, None) or self.said_detail(why)

    # -- findings --

    def sentence(self, finding):
        """A sentence of a turn-up."""
        if not finding["key"]:
            return finding["text"]
        arguments = dict(finding["arguments"])
        if "names" in arguments:            # kinds of alarms
            arguments["names"] = ", ".join(self.known("kind." + name, name) for name in arguments["names"].split(", "))
        for name, head in (("why", "turn_up.why."), ("meaning", "q850.")):              # why a test call was not measured, or what its cause means
            if name in arguments:
                arguments[name] = self.known(head + arguments[name], arguments[name])
        if "why" in arguments:
            arguments["why"] = self.said_detail(arguments["why"])
        if "stage" in arguments:            # of a test that was cut
            arguments["stage"] = self.known("stage." + arguments["stage"], arguments["stage"])
        return self.known(f"turn_up.{finding['key']}", finding["text"].replace("%", "%%")) % arguments

    def clock_said(self, finding, what):
        """A sentence of the clock doctor.  what: "text" or "advice"."""
        said = self.known("clock.%s.%s" % (what, finding["key"]), None) or self.known("clock.%s.%s" % (what, finding["finding"]), None)
        if said is None:
            return finding[what]
        ppm, reference = finding["ppm"] or 0.0, finding["arguments"].get("reference")
        return said % {**finding["arguments"], "names": self.where(["span %d" % span for span in finding["spans"]]),
                       "reference": self.where(["span %d" % reference]) if reference else "",
                       "offset": "%s %.3g ppm" % (self._catalogue.gettext("clock.faster" if ppm > 0 else "clock.slower"), abs(ppm))}

    # -- the configuration and routes --

    def field_label(self, part, path):
        """What a setting is called.  path: of its input without numbers, "choices.trunk_group"."""
        last = path.rpartition(".")[2]
        return self.known("field.%s.%s" % (part, path), None) or self.known("field." + last, None) or last.replace("_", " ").capitalize()

    def label_path(self, part, path):
        """The same for "choices.1.trunk_group", with what it stands in."""
        plain, names = [], []
        for word in path.split("."):
            if word.isdecimal() and names:
                names[-1] += " " + word
            else:
                plain.append(word)
                names.append(self.field_label(part, ".".join(plain)))
        return " · ".join(names)

    def choice_label(self, value, field=""):
        """A value of the configuration, with what it means where the catalogue says so.  field: "sip_trunks.kind", where it means something else there."""
        said = self.known("choice.%s.%s" % (field, value), None) or self.known("choice.%s" % value, None)
        return "%s (%s)" % (said, value) if said else value

    def route_step(self, step):
        """A step of the explanation of a route."""
        arguments = {name: self.said_detail(value) if isinstance(value, str) else value for name, value in step["arguments"].items()}
        if "weekday" in arguments:
            arguments["weekday"] = self._day(arguments["weekday"])
        if "days" in arguments:
            arguments["days"] = ", ".join(self._day(first) if first == last else self.known("day.run", "%s to %s") % (self._day(first), self._day(last)) for first, last in arguments["days"])
        for name, head in (("application", "application."), ("needed", "choice."), ("allowed", "choice.")):
            if name in arguments:
                arguments[name] = ", ".join(self.known(head + word, word) for word in arguments[name].split(", "))
        return self.known("why." + step["key"], step["text"].replace("%", "%%")) % arguments

    def _day(self, number):
        """A day of the week."""
        return self.known("day.%d" % number, number)
