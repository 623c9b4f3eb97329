"""Every version of every flow that was in force: one JSON file each, <data>/flows/<flow>/<key>.json.

A key is the number of the version, with a plus for each change that came without a new number.  Files are written once and never
changed; `keep` at each start and each new configuration.
"""

import json
import os
import pathlib
import re

from firmware.errors import LocalError

KEY = re.compile(r"(\d{1,12})(\+*)\Z")


def order(key):
    """Sort key of a version's key."""
    match = KEY.match(key)
    return (int(match.group(1)), len(match.group(2))) if match else (0, 0)


class FlowVersions:
    """folder: <data>/flows."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def keep(self, flows, now_ms):
        """Write down what is new.  flows: {name: definition}.  Raises OSError."""
        for name in sorted(flows):
            flow, key = flows[name], str(flows[name].get("version"))
            if not KEY.match(key):
                continue
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            while (folder / (key + ".json")).exists() and self._read(folder / (key + ".json")).get("flow") != flow:
                key += "+"
            path = folder / (key + ".json")
            if not path.exists():
                beside = folder / (key + ".new")
                with open(beside, "w", encoding="utf-8") as file:
                    json.dump({"kept_ms": now_ms, "flow": flow}, file, ensure_ascii=False, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, path)

    @staticmethod
    def _read(path):
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LocalError("the version in %s cannot be read: %s" % (path.name, error)) from error

    def list(self, name):
        """[{"version": key, "kept_ms", "nodes"}], the newest first."""
        found = []
        for path in sorted((self.folder / name).glob("*.json"), key=lambda path: order(path.stem), reverse=True):
            row = self._read(path)
            found.append({"version": path.stem, "kept_ms": row["kept_ms"], "nodes": len(row["flow"].get("nodes") or {})})
        return found

    def get(self, name, key):
        """A definition.  Raises LocalError where there is none."""
        if not KEY.match(key) or not (self.folder / name / (key + ".json")).is_file():
            raise LocalError("there is no version %s of flow %s" % (key[:20], name))
        return self._read(self.folder / name / (key + ".json"))["flow"]
