"""Whether a number that is sent to a trunk leaves the country: what the toll limits rest on.

The number as it is sent is looked at, whatever was dialled and whatever route it came by.  Abroad lead

    the international prefix of the country          00 44 ..., 011 44 ...
    the same behind a carrier's code or a service    17951 00 44 ..., 1010288 011 44 ..., *67 011 ..., *21*0044...
    a code behind which the network dials on         17951 and 179510 alone, 950 xxxx: what follows by tones we do not see
    operators who connect abroad, North America      00, 101 0288 0, 01 44 ...
    area codes of other countries in our own plan    +1 876 ... (Jamaica)
    what no number of the country begins like        so that a carrier's code that is not known here helps nobody: China,
                                                     United Kingdom, France, where numbers that begin with 1 are short

Canada is not abroad: the country "us" is both (boardconfig/countries/us.json).
Sources: the published numbering plans. E.164 for the codes; China: 179xx IP telephony, 190, 193, 196, 197, 101xx, 118xx and 125xx carriers, mobile
numbers 1[3-9] and nine digits; NANPA: 101XXXX, 950-XXXX, 11XX for *XX, area codes by country; Germany: 010xy, 0100yy; France:
16xx, E0 and 3651 (the number is withheld); United Kingdom: 141, 1470, 1280, no number of more than 6 digits begins with 1.
"""

# Country -> (country code, international prefix), as in boardconfig/countries; held equal by a test.
HOMES = {"cn": ("86", "00"), "us": ("1", "011"), "uk": ("44", "00"), "eu": ("", "00"), "itu": ("", "00"), "de": ("49", "00"),
         "fr": ("33", "00"), "br": ("55", "00")}
# Codes before a number, x any digit; the first that fits.
CARRIERS = {"cn": ("179xx", "101xx", "118xx", "125xx", "190", "193", "196", "197"), "us": ("101xxxx", "950xxxx", "10xxx"),
            "uk": ("1470", "1280", "141"), "de": ("0100xx", "010xx"), "fr": ("16xx", "3651")}
# Those behind which one may dial on by tones: alone they can be anything.
DIALLED_ON = ("179xx", "101xxxx", "950xxxx", "10xxx", "0100xx", "010xx", "16xx")
# Area codes of the North American plan outside the United States, their territories and Canada.
NORTH_AMERICAN_ABROAD = ("242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758", "767",
                         "784", "809", "829", "849", "868", "869", "876")
# Country -> digits of the longest number that begins with 1.
LONGEST_WITH_1 = {"cn": 11, "uk": 6, "fr": 6}
SHORT = 6               # digits: what is not longer is a service, whatever is in it
CODES = 4               # of carriers, one behind the other; invented


def leads_abroad(country, number):
    """Whether digits that are sent with an unknown, national or local type of number may end in another country."""
    waiting, seen, codes = [number.rstrip("*#")], set(), 0
    while waiting:              # ends of the number that may be what the network takes for the number; each once
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        if number[:1] in ("*", "#"):
            waiting.extend(_behind_service(country, number))
            continue
        if _is_abroad(country, number):
            return True
        if country == "us" and number[:2] == "11" and len(number) > 4:
            waiting.append(number[4:])
        code = _carrier(country, number)
        if code is not None:
            rest = number[len(code):]
            codes += 1
            if code in DIALLED_ON if rest in ("", "0") else codes == CODES:
                return True     # "0" alone: the operator of the carrier
            waiting.append(rest)
    return False


def _carrier(country, number):
    if country == "cn" and len(number) == 11 and "13" <= number[:2] <= "19" and number[:3] != "179":
        return None             # a mobile telephone
    for code in CARRIERS.get(country, ()):
        if len(number) >= len(code):
            fits = True
            for index in range(len(code)):
                fits = fits and code[index] in ("x", number[index])
            if fits and (code[:2] != "19" or country != "cn" or len(number) > 11):
                return code
    return None


def _behind_service(country, number):
    """[what may come behind a code that begins with a sign]: *67 011..., *21*0044...#, #31#00..., *82 *67 011..., #0044....

    The code is two or three digits, the next sign may end it, or begin another one."""
    found, rest = [], number.lstrip("*#")
    if country != "us" or number[0] == "#" or rest[:1] == "0":      # *82 917 555 1234 is no call to 829
        found.append(rest)
    for sign in "*#":
        at = rest.find(sign)
        if at >= 0:
            found += [rest[at:], rest[at:].lstrip("*#")]
    if len(rest) > SHORT:
        found += [rest[2:], rest[3:]]
    return found


def _is_abroad(country, number):
    abroad = HOMES.get(country, ("", "00"))[1]
    return number[:len(abroad)] == abroad or (_carrier(country, number) is None and _is_foreign(country, number))


def _is_foreign(country, number):
    if country == "us":
        if number[:2] in ("00", "01"):
            return True
        if number[:1] == "0":
            number = number[1:]             # with the operator
        elif number[:2] == "11" and len(number) > 4:
            return False                    # what follows is looked at alone
        if number[:1] == "1":
            number = number[1:]
        return number[:3] in NORTH_AMERICAN_ABROAD and len(number) >= 10
    if country == "fr" and len(number) > 4 and number[0] in "23456789" and number[1] == "0":
        return True                         # E0: abroad by another carrier
    return number[:1] == "1" and len(number) > LONGEST_WITH_1.get(country, 32)
