"""Thermal policy: fan drive from temperatures, and what is given up when it is too hot.

* Each place has a curve of (C, percent) points; the highest wish of all places wins.  Up at once, down only when the wish of
  HYSTERESIS_C more would be lower too, and slowly (DOWN_PERCENT each DOWN_MS): fans that hunt wear out.
* A fan that fails, a sensor that does not answer, or a fan controller that had to help itself: full drive.
* "major" for DERATE_AFTER_MS: derate (media takes new calls up to DERATE_PERCENT of its room only, and its echo cancellers work less;
  chassis/keeper.py); ends CALM_C below it for DERATE_END_MS.
* "critical" for SHUTDOWN_AFTER_MS: shut down.  Never for a value that jumped by more than JUMP_C in a second: no
  heat sink does that; the sensor is taken as failed.
* No sensor at all: full drive and an alarm, no shutdown (the parts' own overtemperature output still cuts the supply).

Pure: time is passed in.  Figures other than the curve's (which are the board's) are invented."""

HYSTERESIS_C = 3.0
DOWN_PERCENT, DOWN_MS = 5, 10_000
DERATE_AFTER_MS, DERATE_END_MS, CALM_C = 30_000, 60_000, 5.0
DERATE_PERCENT = 50
SHUTDOWN_AFTER_MS = 10_000
JUMP_C = 15.0
FULL = 100
KINDS = ("temperature_minor", "temperature_major", "temperature_critical")
FAN_KINDS = ("fan_failed", "fans_failed")


def on_curve(curve, celsius):
    """Percent at a temperature: straight lines between the points, level outside."""
    below = curve[0]
    for point in curve:
        if celsius <= point[0]:
            if point[0] == below[0]:
                return float(point[1])
            share = (celsius - below[0]) / (point[0] - below[0])
            return below[1] + share * (point[1] - below[1]) if celsius > below[0] else float(below[1])
        below = point
    return float(below[1])


class ThermalPolicy:
    """places: {place: {"curve": [[C, percent]...], "minor_c", "major_c", "critical_c"}}.  derated: it was, before a restart."""

    def __init__(self, places, derated=False):
        self._places = places
        self._last = {}                  # place -> (ms, C)
        self._since = {}                 # what -> ms
        self.drive, self._down_ms = FULL, 0
        self.derated, self.shutdown = derated, False

    def step(self, readings, fans, now_ms):
        """readings: {place: C or None}; fans: [{"fan", "failed"}], or None where the controller does not answer.

        Returns {"drive": percent, "derate", "shutdown", "alarms": {source: {kind: sentence}}, "suspect": {place: sentence}}."""
        suspect = {}
        trusted = {}
        for place in self._places:
            celsius = readings.get(place)
            if celsius is None:
                continue
            before = self._last.get(place)
            if before and abs(celsius - before[1]) > JUMP_C * max(1.0, (now_ms - before[0]) / 1000.0):
                suspect[place] = "it went from %.1f to %.1f C within %d ms, which no heat sink does" % (
                    before[1], celsius, now_ms - before[0])
                continue
            self._last[place] = (now_ms, celsius)
            trusted[place] = celsius
        alarms = self._alarms(trusted)
        failed = [row["fan"] for row in fans or () if row["failed"]]
        if failed:
            alarms["fans"] = {"fans_failed" if len(failed) > 1 else "fan_failed":
                              "fan %s" % ", ".join(map(str, failed))}
        self._drive(trusted, bool(failed) or fans is None or len(trusted) < len(self._places), now_ms)
        self._give_up(trusted, now_ms)
        return {"drive": self.drive, "derate": self.derated, "shutdown": self.shutdown, "alarms": alarms, "suspect": suspect}

    def _alarms(self, trusted):
        alarms = {}
        for place, celsius in trusted.items():
            for severity in ("critical", "major", "minor"):
                limit_c = self._places[place][severity + "_c"]
                if celsius >= limit_c:
                    alarms["temperature " + place] = {"temperature_" + severity: "above %.0f C" % limit_c}
                    break
        return alarms

    def _drive(self, trusted, full, now_ms):
        if full:
            self.drive, self._down_ms = FULL, now_ms
            return
        wish = max(on_curve(self._places[place]["curve"], celsius) for place, celsius in trusted.items())
        calm = max(on_curve(self._places[place]["curve"], celsius + HYSTERESIS_C) for place, celsius in trusted.items())
        if wish >= self.drive:
            self.drive, self._down_ms = int(round(wish)), now_ms
        elif calm < self.drive and now_ms - self._down_ms >= DOWN_MS:
            self.drive, self._down_ms = max(int(round(calm)), self.drive - DOWN_PERCENT), now_ms

    def _lasts(self, what, true, now_ms):
        """Milliseconds for which something has been true without a break, or -1."""
        if not true:
            self._since.pop(what, None)
            return -1
        return now_ms - self._since.setdefault(what, now_ms)

    def _give_up(self, trusted, now_ms):
        over = {name: any(celsius >= self._places[place][name + "_c"] for place, celsius in trusted.items())
                for name in ("major", "critical")}
        calm = bool(trusted) and all(celsius < self._places[place]["major_c"] - CALM_C for place, celsius in trusted.items())
        if self._lasts("major", over["major"], now_ms) >= DERATE_AFTER_MS:
            self.derated = True
        if self._lasts("calm", calm, now_ms) >= DERATE_END_MS:
            self.derated = False
        if self._lasts("critical", over["critical"], now_ms) >= SHUTDOWN_AFTER_MS:
            self.shutdown = True
