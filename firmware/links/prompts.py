"""From what the switchboard wants said to files that media can play.

    Prompts(folder).items([{"prompt": "greeting", "language": "zh_CN"}, {"number": 21, "language": "en"},
                           {"music": "default"}, {"tone": "busy"}, {"silence_ms": 200}])
    -> ([{"file": path}, ..., {"tone": "busy"}, {"silence_ms": 200}], [sentence for what is missing])

Folder: <language>/<name>.wav and music.wav (music "default") or music/<name>.wav.
A prompt that is missing in one language is taken from another; one that is missing
altogether is left out and said, so that a caller never waits for silence without end.

Numbers are put together from number_0..number_20, number_30..number_90 and
number_hundred, up to 999; above that, digit by digit.  Chinese (Putonghua): 110 is
"one hundred one ten", 105 "one hundred zero five"; English: "one hundred, ten".
"""

import pathlib
import re

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
LARGEST = 999
WAV_HEADER_OCTETS = 44      # the shortest; a file that is no longer holds no sound
NOTHING_MS = 100  # played when nothing is left, so that its end is still told


def number_names(number, language):
    """Prompt names that say a whole number, 0 or above."""
    if number > LARGEST:
        return ["number_" + digit for digit in str(number)]
    hundreds, rest = divmod(number, 100)
    names = ["number_%d" % hundreds, "number_hundred"] if hundreds else []
    if hundreds and not rest:
        return names
    chinese = language.startswith("zh")
    if hundreds and chinese and rest < 10:
        names.append("number_0")
    if hundreds and chinese and 10 <= rest < 20:
        names += ["number_1", "number_10"]
        rest -= 10
        return names + (["number_%d" % rest] if rest else [])
    if rest <= 20 or rest % 10 == 0:
        return names + ["number_%d" % rest]
    return names + ["number_%d" % (rest - rest % 10), "number_%d" % (rest % 10)]


class Prompts:
    """The prompt files below a folder.  languages: in the order in which one stands in for another."""

    def __init__(self, folder, languages=("zh_CN", "en")):
        self.folder = pathlib.Path(folder).absolute()
        self.languages = list(languages)
        self._found = {}

    def items(self, wanted):
        """Media items of a list of symbolic ones, and what is missing (sentences)."""
        items, missing = [], []
        for item in wanted:
            if "tone" in item or "silence_ms" in item or "dtmf" in item:
                items.append(dict(item))
                continue
            for names in self._choices(item):
                path = self._file(names)
                if path is None:
                    missing.append("prompt %s is in no language below %s; put it there"
                                   % (names[0], self.folder))
                else:
                    items.append({"file": path})
        return items or [{"silence_ms": NOTHING_MS}], missing

    def has(self, item):
        """Whether a symbolic item can be played now: in some language, or as music of its own name."""
        choices = self._choices(item)
        if item.get("music") not in (None, "", "default"):
            choices = [names[:1] for names in choices]      # another name than the default's is meant to be heard
        return all(self._file(names) is not None for names in choices)

    def _choices(self, item):
        """For each file of an item: its relative names, best first."""
        if "music" in item:
            name = item["music"] or "default"
            return [["music/%s.wav" % name, "music.wav"]]
        language = item.get("language") or self.languages[0]
        order = [language] + [other for other in self.languages if other != language]
        if "number" in item:
            names = number_names(int(item["number"]), language)
        elif "digits" in item:
            names = ["number_" + digit for digit in str(item["digits"]) if digit.isdigit()]
        else:
            names = [str(item.get("prompt"))]
        return [["%s/%s.wav" % (one, name) for one in order] for name in names]

    def _file(self, names):
        for name in names:
            path = self._found.get(name)
            if path is None and all(NAME.match(part) and part != ".." for part in name.split("/")):
                candidate = self.folder / name
                if candidate.is_file() and candidate.stat().st_size > WAV_HEADER_OCTETS:
                    path = self._found[name] = str(candidate)
            if path is not None:
                return path
        return None
