"""The part of the switchboard's state that follows what people play into calls and how they set conferences
(core_floor.py).  One method for each record kind."""


class FloorFolds:
    """Methods of CoreState: records of prompts played on a leg, and of conferences.

    floors: {call: {"plays": {leg: row}, "places": {what: ms}, "conference": {}, "count"}}; records replace what is inside."""

    def _floor(self, record, part, value):
        floor = dict(self.floors.get(record["call"]) or {"plays": {}, "places": {}, "conference": {}, "count": 0})
        floor[part] = value
        self.floors[record["call"]] = floor

    def _plays(self, record):
        return dict((self.floors.get(record["call"]) or {"plays": {}})["plays"])

    def play_started(self, record, data, call):
        if call is None:
            return
        plays = self._plays(record)
        plays[record["leg"]] = {"token": data["token"], "what": data["what"], "paused": False, "volume_db": data["volume_db"], "speed": data["speed"]}
        self._floor(record, "plays", plays)
        self._floor(record, "count", self.floors[record["call"]]["count"] + 1)

    def play_changed(self, record, data, call):
        plays = self._plays(record)
        if record["leg"] in plays:
            plays[record["leg"]] = dict(plays[record["leg"]], paused=data["paused"], volume_db=data["volume_db"], speed=data["speed"])
            self._floor(record, "plays", plays)
            self._floor(record, "count", self.floors[record["call"]]["count"] + 1)

    def play_ended(self, record, data, call):
        plays = self._plays(record)
        row = plays.get(record["leg"])
        if row is not None and row["token"] == data["token"]:
            del plays[record["leg"]]
            self._floor(record, "plays", plays)
            places = dict(self.floors[record["call"]]["places"])
            places.pop(row["what"], None)
            if data["reason"] != "done" and data["position_ms"]:
                places[row["what"]] = data["position_ms"]
            self._floor(record, "places", places)

    def conference_set(self, record, data, call):
        if call is not None:
            self._conference(record, loudest=data["loudest"], gain_db=data["gain_db"], muted=data["muted"])

    def conference_tones(self, record, data, call):
        if call is not None:
            self._conference(record, tones=data["tones"])

    def _conference(self, record, **now):
        known = (self.floors.get(record["call"]) or {"conference": {}})["conference"]
        self._floor(record, "conference", dict(known, **now))
