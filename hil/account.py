"""The account of a demonstration: checks gathered on the way, a report for machines, a page for people."""

import json
import pathlib
import time


class Account:
    """folder: where report.json and account.txt go."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checks, self.line, self.files, self.began = [], [], [], time.monotonic()

    def happened(self, what):
        """A moment of the time line; shown at once, so that long work shows progress."""
        at = time.monotonic() - self.began
        self.line.append((at, what))
        print(f"  {at:6.1f} s  {what}", flush=True)

    def check(self, name, ok, value, unit=""):
        """Note one check; returns whether it held."""
        self.checks.append({"name": name, "ok": bool(ok), "value": value, "unit": unit})
        if not ok:
            print(f"  NOT OK: {name}: {value} {unit}", flush=True)
        return bool(ok)

    def file(self, path, what):
        self.files.append((path, what))

    @property
    def ok(self):
        return bool(self.checks) and all(check["ok"] for check in self.checks)

    def write(self, title):
        """Write both files; returns the page."""
        (self.folder / "report.json").write_text(
            json.dumps({"ok": self.ok, "checks": self.checks}, indent=1, ensure_ascii=False) + "\n")
        width = max([len(check["name"]) for check in self.checks] + [10])
        rows = [title, "=" * len(title), "", "Time line (seconds since the start)"]
        rows += [f"  {at:6.1f}  {what}" for at, what in self.line]
        rows += ["", "Checks"]
        for check in self.checks:
            value = f"{check['value']:.4g}" if isinstance(check["value"], float) else str(check["value"])
            rows.append(f"  {'ok    ' if check['ok'] else 'NOT OK'}  {check['name']:{width}}  {value} {check['unit']}".rstrip())
        rows += ["", "Files"] + [f"  {path}  {what}" for path, what in self.files]
        failed = sum(not check["ok"] for check in self.checks)
        rows += ["", "Every check held." if self.ok else f"{failed} of {len(self.checks)} checks did not hold."]
        page = "\n".join(rows) + "\n"
        (self.folder / "account.txt").write_text(page)
        return page
