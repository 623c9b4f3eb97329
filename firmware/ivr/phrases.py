"""The fragments that spoken values are put together from: {language: {name: text}}.

Each name is a prompt file of that language; buildroot/prompts makes the files from the texts, a studio records them
from the same list.  A text says how the fragment is read: Putonghua as GB/T 15835 and the textbooks write numbers
(the change of tone of 一 is the speaker's, never the text's), English as in Britain ("one hundred and five").

UNITS: things that are counted.  For each: (Putonghua measure word with noun, English singular, plural).
CURRENCIES: (Putonghua name, English singular, plural, small unit in Putonghua, in English singular, plural, decimals).
"""

DIGITS_ZH = ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九")
SMALL_EN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
            "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")
TENS_EN = ((30, "thirty"), (40, "forty"), (50, "fifty"), (60, "sixty"), (70, "seventy"), (80, "eighty"), (90, "ninety"))
ORDINALS_EN = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
               "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth",
               "twenty first", "twenty second", "twenty third", "twenty fourth", "twenty fifth", "twenty sixth", "twenty seventh",
               "twenty eighth", "twenty ninth", "thirtieth", "thirty first")
MONTHS_EN = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
LETTERS = "abcdefghijklmnopqrstuvwxyz"

# character: (name of its fragment, Putonghua, English)
SYMBOLS = {"@": ("at", "艾特", "at"), ".": ("dot", "点", "dot"), "-": ("dash", "杠", "dash"), "_": ("underline", "下划线", "underscore"),
           "/": ("slash", "斜杠", "slash"), "+": ("plus", "加", "plus"), "*": ("star", "星号", "star"), "#": ("hash", "井号", "hash"),
           "%": ("percent", "百分号", "percent"), "&": ("and", "和", "and")}

UNITS = {
    "item": ("件", "item", "items"), "piece": ("个", "piece", "pieces"), "person": ("位", "person", "people"),
    "message": ("条留言", "message", "messages"), "call": ("个来电", "call", "calls"), "fax": ("份传真", "fax", "faxes"),
    "letter": ("封信", "letter", "letters"), "order": ("笔订单", "order", "orders"), "ticket": ("张工单", "ticket", "tickets"),
    "page": ("页", "page", "pages"), "time": ("次", "time", "times"), "point": ("个积分", "point", "points"),
    "year": ("年", "year", "years"), "month": ("个月", "month", "months"), "week": ("周", "week", "weeks"), "day": ("天", "day", "days"),
    "hour": ("小时", "hour", "hours"), "minute": ("分钟", "minute", "minutes"), "second": ("秒", "second", "seconds"),
    "degree": ("度", "degree", "degrees"), "kilowatt_hour": ("度电", "kilowatt hour", "kilowatt hours"),
    "cubic_metre": ("立方米", "cubic metre", "cubic metres"), "kilogram": ("公斤", "kilogram", "kilograms"),
}

CURRENCIES = {
    "CNY": ("元", "yuan", "yuan", "分", "fen", "fen", 2),
    "USD": ("美元", "dollar", "dollars", "美分", "cent", "cents", 2),
    "EUR": ("欧元", "euro", "euros", "欧分", "cent", "cents", 2),
    "HKD": ("港元", "Hong Kong dollar", "Hong Kong dollars", "港分", "cent", "cents", 2),
    "GBP": ("英镑", "pound", "pounds", "便士", "penny", "pence", 2),
    "JPY": ("日元", "yen", "yen", "", "", "", 0),
}

_ZH = {"number_10": "十", "number_hundred": "百", "number_thousand": "千", "number_ten_thousand": "万", "number_hundred_million": "亿",
       "number_liang": "两", "number_yao": "幺", "number_point": "点", "number_minus": "负", "number_percent": "百分之", "number_th": "第",
       "year": "年", "month": "月", "day": "日", "oclock": "点", "oclock_sharp": "点整", "minute": "分", "jiao": "角",
       "small_hours": "凌晨", "early": "早上", "forenoon": "上午", "noon": "中午", "afternoon": "下午", "evening": "晚上"}
_EN = {"number_hundred": "hundred", "number_thousand": "thousand", "number_million": "million", "number_billion": "billion",
       "number_trillion": "trillion", "number_and": "and", "number_point": "point", "number_minus": "minus", "number_percent": "per cent",
       "of": "of", "the": "the", "oh": "oh", "am": "a m", "pm": "p m", "noon": "noon", "midnight": "midnight", "hundred_hours": "hundred hours"}


def _zh():
    texts = dict(_ZH)
    for value in range(10):
        texts["number_%d" % value] = DIGITS_ZH[value]
    for day in range(7):
        texts["weekday_%d" % (day + 1)] = WEEKDAYS_ZH[day]
    for unit in UNITS:
        texts["unit_" + unit] = UNITS[unit][0]
    for currency in CURRENCIES:
        texts["money_" + currency.lower()] = CURRENCIES[currency][0]
        if CURRENCIES[currency][6]:
            texts["money_" + currency.lower() + "_small"] = CURRENCIES[currency][3]
    for letter in LETTERS:
        texts["letter_" + letter] = letter.upper()
    for character in SYMBOLS:
        texts["symbol_" + SYMBOLS[character][0]] = SYMBOLS[character][1]
    return texts


def _en():
    texts = dict(_EN)
    for value in range(len(SMALL_EN)):
        texts["number_%d" % value] = SMALL_EN[value]
    for value, text in TENS_EN:
        texts["number_%d" % value] = text
    for value in range(31):
        texts["ordinal_%d" % (value + 1)] = ORDINALS_EN[value]
    for value in range(12):
        texts["month_%d" % (value + 1)] = MONTHS_EN[value]
    for value in range(7):
        texts["weekday_%d" % (value + 1)] = WEEKDAYS_EN[value]
    for unit in UNITS:
        texts["unit_" + unit], texts["unit_" + unit + "_many"] = UNITS[unit][1], UNITS[unit][2]
    for currency in CURRENCIES:
        row, name = CURRENCIES[currency], "money_" + currency.lower()
        texts[name], texts[name + "_many"] = row[1], row[2]
        if row[6]:
            texts[name + "_small"], texts[name + "_small_many"] = row[4], row[5]
    for letter in LETTERS:
        texts["letter_" + letter] = letter.upper()
    for character in SYMBOLS:
        texts["symbol_" + SYMBOLS[character][0]] = SYMBOLS[character][2]
    return texts


PHRASES = {"zh_CN": _zh(), "en": _en()}


def text(names, language):
    """What fragments say, for logs, the simulator and tests; Putonghua without blanks.  Names that are no fragments stand in <>."""
    table = PHRASES.get(language) or {}
    words = [table[name] if name in table else "<" + name + ">" for name in names]
    return ("" if language.startswith("zh") else " ").join(words)
