"""The picture of a call: every label inside, none upon another."""

import re
import xml.etree.ElementTree

import numpy as np

from hil import picture


def test_labels_stay_inside_and_apart(tmp_path):
    kinds = ["leg.offered", "queue.entered", "queue.announced", "recording.started", "call.ended"]
    records = [{"ts_ms": 1000 + 20 * n, "kind": kind} for n, kind in enumerate(kinds)]
    records += [{"ts_ms": 31000 - 20 * n, "kind": kind} for n, kind in reversed(list(enumerate(kinds)))]
    cdr = {"call": "c1", "caller": "1<2", "called": "2", "queue": None, "agent": "1001", "result": "answered"}
    path = tmp_path / "call.svg"
    picture.call_picture({"records": records, "cdr": cdr}, np.zeros((8000, 2), np.int16), path)
    root = xml.etree.ElementTree.parse(path).getroot()
    rows = {}
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        if text.get("font-size") == "12" and re.fullmatch("[a-z.]+", text.text):
            x, width = float(text.get("x")), picture.CHARACTER * len(text.text)
            first, last = (x - width, x) if text.get("text-anchor") == "end" else (x, x + width)
            assert 0 <= first and last <= picture.WIDTH, text.text
            rows.setdefault(text.get("y"), []).append((first, last))
    assert sum(len(row) for row in rows.values()) == len(records)
    for row in rows.values():
        assert all(one[1] < two[0] for one, two in zip(sorted(row), sorted(row)[1:]))
