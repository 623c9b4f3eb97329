"""The corpus: recordings, vectors and captures of others that some tests need and whose licences keep out of this tree.

Its folder is $STROWGER_CORPUS, else ../shared/corpus beside the checkout.  A test that misses a part of it is skipped and says so; where
CI=true it fails.  Names of parts: codec-stl, codec-g722-itu (ITU-T vectors), g168 (echo paths), fax (ITU-T test pages), sip-torture, ss7, speech."""

import os
import pathlib

import pytest

FOLDER = pathlib.Path(os.environ.get("STROWGER_CORPUS") or pathlib.Path(__file__).resolve().parents[2] / "shared/corpus")
REFERENCE = FOLDER.parent / "reference"         # tables that stand beside it
SAID = "of the corpus is needed; set STROWGER_CORPUS to its folder"
MUST = os.environ.get("CI") == "true"


def absent(part):
    """What a test says that misses a part."""
    return f"{part or 'a part'} {SAID} (not in {FOLDER})"


def part(name):
    """Path of a part; a test without it ends here."""
    path = FOLDER / name
    if not path.exists():
        (pytest.fail if MUST else pytest.skip)(absent(name))
    return path


def needs(name):
    """A mark for tests of a part."""
    return pytest.mark.skipif(not MUST and not (FOLDER / name).exists(), reason=absent(name))


def missed(reports):
    """{file of tests: how many of them were skipped for want of the corpus} of pytest's reports of skipped tests."""
    found = {}
    for report in reports:
        if SAID in str(report.longrepr):
            file = report.nodeid.partition("::")[0]
            found[file] = found.get(file, 0) + 1
    return found
