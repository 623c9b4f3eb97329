"""From what the switchboard wants said to files that media can play.

    Prompts(folder).items([{"prompt": "greeting", "language": "zh_CN"}, {"number": 21, "language": "en"},
                           {"money": "12.50", "language": "zh_CN"}, {"music": "default"}, {"tone": "busy"}, {"silence_ms": 200}])
    -> ([{"file": path}, ..., {"tone": "busy"}, {"silence_ms": 200}], [sentence for what is missing])

Folder: <language>/<name>.wav and music.wav (music "default") or music/<name>.wav.
A prompt that is missing in one language is taken from another; one that is missing
altogether is left out and said, so that a caller never waits for silence without end.

Numbers, money, dates and the other spoken values (ivr/spoken.py) are put together from fragments.
"""

import pathlib
import re

from firmware.errors import LocalError
from firmware.ivr import spoken

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
WAV_HEADER_OCTETS = 44      # the shortest; a file that is no longer holds no sound
NOTHING_MS = 100  # played when nothing is left, so that its end is still told

MEDIA_ITEMS = ("tone", "silence_ms", "dtmf", "r1", "caller_id", "stream")     # media takes these as they are


class Prompts:
    """The prompt files below a folder.  languages: in the order in which one stands in for another."""

    def __init__(self, folder, languages=("zh_CN", "en")):
        self.folder = pathlib.Path(folder).absolute()
        self.languages = list(languages)
        self.data_dir = None        # where messages of mailboxes lie
        self.given = None           # storage/prompt_files.PromptFiles: what people gave goes before
        self._found = {}

    def items(self, wanted):
        """Media items of a list of symbolic ones, and what is missing (sentences)."""
        items, missing = [], []
        for item in wanted:
            if any(name in item for name in MEDIA_ITEMS):
                items.append(dict(item))
                continue
            if "message" in item:
                path = self._message(item["message"])
                items += [{"file": path}] if path else []
                missing += [] if path else ["message %s is not there" % item["message"]]
                continue
            try:
                choices = self._choices(item)
            except LocalError as error:
                missing.append("%s; the caller does not hear it" % error)
                continue
            for names in choices:
                path = self._file(names)
                if path is None:
                    missing.append("prompt %s is in no language below %s; put it there"
                                   % (names[0], self.folder))
                else:
                    items.append({"file": path})
        return items or [{"silence_ms": NOTHING_MS}], missing

    def _message(self, relative):
        """The file of a message below the data directory, None: gone or holds no sound."""
        path = (pathlib.Path(self.data_dir or "/nonexistent") / relative).absolute()
        return str(path) if path.is_file() and path.stat().st_size > WAV_HEADER_OCTETS else None

    def has(self, item, without=None):
        """Whether a symbolic item can be played now: in some language, or as music of its own name.  without: one that is given, as if it were not."""
        choices = self._choices(item)
        if item.get("music") not in (None, "", "default"):
            choices = [names[:1] for names in choices]      # another name than the default's is meant to be heard
        return all(self._file(names, without) is not None for names in choices)

    def _choices(self, item):
        """For each file of an item: its relative names, best first."""
        if "music" in item:
            name = item["music"] or "default"
            return [["music/%s.wav" % name, "music.wav"]]
        language = item.get("language") or self.languages[0]
        order = [language] + [other for other in self.languages if other != language]
        names = spoken.names(item, language) if spoken.kind_of(item) else [str(item.get("prompt"))]
        return [["%s/%s.wav" % (one, name) for one in order] for name in names]

    def _file(self, names, without=None):
        for name in names:
            given = self.given.path(name[:-4]) if self.given is not None and name[:-4] != without else None
            if given is not None:
                return given
            path = self._found.get(name)
            if path is None and all(NAME.match(part) and part != ".." for part in name.split("/")):
                candidate = self.folder / name
                if candidate.is_file() and candidate.stat().st_size > WAV_HEADER_OCTETS:
                    path = self._found[name] = str(candidate)
            if path is not None:
                return path
        return None
