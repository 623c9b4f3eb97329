"""Areas of numbers: which city and province a number belongs to, and the 0 that goes before mobile numbers of elsewhere.

In China a fixed number of another area is dialled with 0 and its area code (010, 021, 0755), one of the own area without.  A mobile number
(1[3-9] and nine digits) tells nothing of its area by its form; its first seven digits were given to an area.  From fixed lines those
of the own area are dialled as they are, those of others with a 0 before them.  The table comes from the operator of the box (the regulator publishes the
blocks), so it is configuration:

    "site": {"area": "021"},
    "areas": [{"code": "021", "label": "Shanghai", "province": "Shanghai", "mobile": "1391700-1391799,1381600"}, {"code": "0755", "province": "Guangdong", ...}]

    areas = Areas(config)
    areas.of("013800138000") -> row or None        fixed numbers by the longest code, mobile ones by their first seven digits, 0 before it or not
    areas.dialled("13800138000") -> "013800138000"       for a choice of a route with "mobile_zero"; a mobile number that no area has counts as of elsewhere

Raises ConfigError where two areas claim one block or code.
"""

from firmware.errors import ConfigError

MOBILE_DIGITS, BLOCK_DIGITS = 11, 7
BLOCKS_MOST = 200000        # invented: some 500,000 are given out in the whole country; a box needs its own and its neighbours'


def is_mobile(number):
    """Whether digits are a mobile number of China, without a 0 before it."""
    return len(number) == MOBILE_DIGITS and number[0] == "1" and number[1] in "3456789"


class Areas:
    """The table of one configuration."""

    def __init__(self, config):
        self.home = (config.get("site") or {}).get("area") or ""
        self._codes, self._blocks, count = {}, [], 0
        for index, route in enumerate(config.get("routes") or []):
            if not self.home and [choice for choice in route.get("choices") or [] if choice.get("mobile_zero")]:
                raise ConfigError("site.area", "is empty, but routes[%d] puts a 0 before mobile numbers of other areas; give the area code" % index)
        rows = config.get("areas") or []
        for index in range(len(rows)):
            row, here = rows[index], "areas[%d]" % index
            if row["code"] in self._codes:
                raise ConfigError(here + ".code", "%s is another area's already; remove one of them" % row["code"])
            self._codes[row["code"]] = row
            for part in (row.get("mobile") or "").split(","):
                if part:
                    first, _, last = part.partition("-")
                    first, last = int(first), int(last or first)
                    if first > last:
                        raise ConfigError(here + ".mobile", "%s ends before it begins; turn it round" % part)
                    count += last - first + 1
                    self._blocks.append((first, last, row))
        if count > BLOCKS_MOST:
            raise ConfigError("areas", "%d blocks of mobile numbers are too many, %d is the most; keep those of the own area and what routes ask for" % (count, BLOCKS_MOST))
        self._blocks.sort(key=_first)
        for index in range(1, len(self._blocks)):
            before, after = self._blocks[index - 1], self._blocks[index]
            if after[0] <= before[1]:
                raise ConfigError("areas", "block %d of mobile numbers is claimed by %s and by %s; take it out of one of them"
                                  % (after[0], before[2]["code"], after[2]["code"]))

    def of(self, number):
        """The row of the area that a number belongs to, or None: not known."""
        bare = number[1:] if number[:1] == "0" and is_mobile(number[1:]) else number
        if is_mobile(bare):
            return self._mobile(int(bare[:BLOCK_DIGITS]))
        for length in (4, 3):
            if number[:1] == "0" and number[:length] in self._codes:
                return self._codes[number[:length]]
        return None

    def _mobile(self, block):
        low, high = 0, len(self._blocks)
        while low < high:
            middle = (low + high) // 2
            if self._blocks[middle][1] < block:
                low = middle + 1
            else:
                high = middle
        if low < len(self._blocks) and self._blocks[low][0] <= block:
            return self._blocks[low][2]
        return None

    def dialled(self, number):
        """A mobile number as it is dialled from the own area: with 0 or without; others as they are."""
        bare = number[1:] if number[:1] == "0" and is_mobile(number[1:]) else number
        if not is_mobile(bare):
            return number
        row = self._mobile(int(bare[:BLOCK_DIGITS]))
        return bare if row is not None and row["code"] == self.home else "0" + bare

    def takes(self, wanted, number):
        """Whether a number belongs to one of the areas that a choice is for.  wanted: codes or provinces, "," between them; empty: any."""
        if not wanted:
            return True
        row = self.of(number)
        names = [name.strip() for name in wanted.split(",")]
        return row is not None and (row["code"] in names or (bool(row.get("province")) and row["province"] in names))


def _first(block):
    return block[0]
