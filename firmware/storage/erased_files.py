"""Takes a person out of files that are no database: logs, what was set aside, damaged databases that a person has not removed.

    python -m firmware.storage.erased_files FOLDER... < {"forms": [..]} > {"places": octet strings that were masked, "files": [..]}

A number becomes as many asterisks, in place, so whoever has the file open goes on writing, and a log keeps its shape.  It must stand alone among digits;
in a damaged database it goes as part of longer ones as well, since there the columns of a row lie back to back: caller, called, what was recorded.
A log may be cut while it is looked at (logfile.py): only octets that are still there are written over, and what was cut is looked at again.
A process of its own at the lowest priority: a damaged database may have gigabytes.  Done again it finds nothing.
"""

import fnmatch
import json
import os
import re
import sys

# Files by their names; what is kept elsewhere has its own way (keeping.py), what people write into the configuration is theirs.
NAMES = ("*.log", "*.log.1", "set_aside.jsonl", "set_aside.jsonl.seen", "*.damaged-*", "*.fault")
DATABASES = "*.damaged-*"
LEAST_DIGITS = 5
PIECE = 1 << 20         # octets read at once


def files(folders):
    """Paths of the files to look at."""
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                path = os.path.join(place, name)
                if any(fnmatch.fnmatch(name, wanted) for wanted in NAMES) and os.path.isfile(path) and not os.path.islink(path):
                    yield path


def pattern(path, forms):
    """What is looked for in a file."""
    alone = not fnmatch.fnmatch(os.path.basename(path), DATABASES)
    if not alone:           # the shortest will do, and takes no digit of the column before: that may end as a longer form begins
        forms = [form for form in forms if not any(other != form and other in form for other in forms)]
    any_of = b"|".join(re.escape(form.encode()) for form in sorted(forms, key=len, reverse=True))
    return re.compile(b"(?<![0-9])(?:%s)(?![0-9])" % any_of if alone else any_of)


def places(descriptor, found, longest):
    """[(place, octets)] piece by piece, each with what is before and behind it, so that no number is missed at a border."""
    at = done = 0
    while octets := os.pread(descriptor, 1 + PIECE + longest, max(0, at - 1)):
        before = min(1, at)
        for match in found.finditer(octets, before):
            place = at - before + match.start()
            if at <= place < at + PIECE and place >= done:
                done = place + len(match.group())
                yield place, match.group()
        at += PIECE
        if len(octets) <= before + PIECE:
            return


def mask(path, forms):
    """How many places of a file were masked.  forms: the number as it may be written.  Raises OSError."""
    count = 0
    with open(path, "r+b", buffering=0) as file:
        for place, octets in places(file.fileno(), pattern(path, forms), 1 + max(map(len, forms))):
            if os.pread(file.fileno(), len(octets), place) == octets:
                count += os.pwrite(file.fileno(), b"*" * len(octets), place) > 0
        if count:
            os.fsync(file.fileno())
    return count


def mask_all(folders, forms):
    """{path: places masked} of all files; a log that was cut meanwhile, and where its lines went, are looked at again."""
    counts, sizes = {}, {}
    for path in files(folders):
        sizes[path] = os.stat(path).st_size
        counts[path] = mask(path, forms)
    for path in [path for path, size in sizes.items() if os.path.isfile(path) and os.stat(path).st_size < size]:
        for again in (path, os.path.splitext(path)[0] + ".log.1"):
            if os.path.isfile(again):
                counts[again] = counts.get(again, 0) + mask(again, forms)
    return counts


def main():
    os.nice(19)
    forms = json.load(sys.stdin)["forms"]
    if [form for form in forms if len(form) < LEAST_DIGITS or not form.lstrip("+").isdecimal()]:
        sys.exit("a number to erase has %d digits or more, and nothing but digits" % LEAST_DIGITS)
    counts = mask_all(sys.argv[1:], forms)
    json.dump({"places": sum(counts.values()), "files": sorted(path for path in counts if counts[path])}, sys.stdout)


if __name__ == "__main__":
    main()
