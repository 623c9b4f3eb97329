"""Takes a person out of files that are no database: logs, what was set aside, damaged databases that a person has not removed.

    python -m firmware.storage.erased_files FOLDER... < {"forms": [..]} > {"places": octet strings that were masked, "files": [..]}

A number becomes as many asterisks, in place, so whoever has the file open goes on writing, and a log keeps its shape.  A process of its own at the
lowest priority: a damaged database may have gigabytes.  Done again it finds nothing.
"""

import fnmatch
import json
import mmap
import os
import re
import sys

# Files by their names; what is kept elsewhere has its own way (keeping.py), what people write into the configuration is theirs.
NAMES = ("*.log", "*.log.1", "set_aside.jsonl", "set_aside.jsonl.seen", "*.damaged-*", "*.fault")
LEAST_DIGITS = 5


def files(folders):
    """Paths of the files to look at."""
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                path = os.path.join(place, name)
                if any(fnmatch.fnmatch(name, wanted) for wanted in NAMES) and os.path.isfile(path) and not os.path.islink(path):
                    yield path


def mask(path, forms):
    """How many places of a file were masked.  forms: the number as it may be written.  Raises OSError."""
    found = re.compile(b"(?<![0-9])(?:%s)(?![0-9])" % b"|".join(re.escape(form.encode()) for form in sorted(forms, key=len, reverse=True)))
    count = 0
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return 0
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as octets:
            places = [match.span() for match in found.finditer(octets)]
        for begin, end in places:
            count += os.pwrite(file.fileno(), b"*" * (end - begin), begin) > 0
        if places:
            os.fsync(file.fileno())
    return count


def main():
    os.nice(19)
    forms = json.load(sys.stdin)["forms"]
    if [form for form in forms if len(form) < LEAST_DIGITS or not form.lstrip("+").isdecimal()]:
        sys.exit("a number to erase has %d digits or more, and nothing but digits" % LEAST_DIGITS)
    counts = {path: mask(path, forms) for path in files(sys.argv[1:])}
    json.dump({"places": sum(counts.values()), "files": sorted(path for path in counts if counts[path])}, sys.stdout)


if __name__ == "__main__":
    main()
