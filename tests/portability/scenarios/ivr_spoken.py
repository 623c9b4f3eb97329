"""Scenario of the spoken values: hard cases as text, the same under CPython and MicroPython.

The Putonghua column was written down from the rules of GB/T 15835-2011 and Babai Ci, not from what the code says.
"""

from firmware.errors import LocalError
from firmware.ivr.phrases import PHRASES, text
from firmware.ivr.spoken import names

VECTORS = (
    # numbers: zeros, groups of four, 十 that leads, 两 and 二
    ({"number": 0}, "零", "zero"), ({"number": 2}, "二", "two"), ({"number": 10}, "十", "ten"), ({"number": 12}, "十二", "twelve"),
    ({"number": 20}, "二十", "twenty"), ({"number": 22}, "二十二", "twenty two"), ({"number": 99}, "九十九", "ninety nine"),
    ({"number": 100}, "一百", "one hundred"), ({"number": 101}, "一百零一", "one hundred and one"),
    ({"number": 110}, "一百一十", "one hundred and ten"), ({"number": 111}, "一百一十一", "one hundred and eleven"),
    ({"number": 200}, "二百", "two hundred"), ({"number": 202}, "二百零二", "two hundred and two"),
    ({"number": 1000}, "一千", "one thousand"), ({"number": 1001}, "一千零一", "one thousand and one"),
    ({"number": 1010}, "一千零一十", "one thousand and ten"), ({"number": 1100}, "一千一百", "one thousand one hundred"),
    ({"number": 2000}, "两千", "two thousand"), ({"number": 2002}, "两千零二", "two thousand and two"),
    ({"number": 2222}, "两千二百二十二", "two thousand two hundred and twenty two"), ({"number": 2020}, "两千零二十", "two thousand and twenty"),
    ({"number": 10000}, "一万", "ten thousand"), ({"number": 10001}, "一万零一", "ten thousand and one"),
    ({"number": 10010}, "一万零一十", "ten thousand and ten"), ({"number": 10100}, "一万零一百", "ten thousand one hundred"),
    ({"number": 11000}, "一万一千", "eleven thousand"), ({"number": 12000}, "一万二千", "twelve thousand"),
    ({"number": 20000}, "两万", "twenty thousand"), ({"number": 22000}, "两万二千", "twenty two thousand"),
    ({"number": 22222}, "两万二千二百二十二", "twenty two thousand two hundred and twenty two"),
    ({"number": 100000}, "十万", "one hundred thousand"), ({"number": 101000}, "十万一千", "one hundred and one thousand"),
    ({"number": 100100}, "十万零一百", "one hundred thousand one hundred"), ({"number": 120000}, "十二万", "one hundred and twenty thousand"),
    ({"number": 200000}, "二十万", "two hundred thousand"), ({"number": 305000}, "三十万五千", "three hundred and five thousand"),
    ({"number": 1000000}, "一百万", "one million"), ({"number": 1010101}, "一百零一万零一百零一", "one million ten thousand one hundred and one"),
    ({"number": 2000000}, "二百万", "two million"), ({"number": 20000000}, "两千万", "twenty million"),
    ({"number": 100000000}, "一亿", "one hundred million"), ({"number": 100000001}, "一亿零一", "one hundred million and one"),
    ({"number": 100010000}, "一亿零一万", "one hundred million ten thousand"),
    ({"number": 105000000}, "一亿零五百万", "one hundred and five million"), ({"number": 200000000}, "两亿", "two hundred million"),
    ({"number": 220000000}, "两亿二千万", "two hundred and twenty million"),
    ({"number": 100120000}, "一亿零一十二万", "one hundred million one hundred and twenty thousand"),
    ({"number": 10 ** 9}, "十亿", "one billion"), ({"number": 10 ** 12}, "一万亿", "one trillion"), ({"number": 2 * 10 ** 12}, "两万亿", "two trillion"),
    ({"number": "1234500000000"}, "一万二千三百四十五亿", "one trillion two hundred and thirty four billion five hundred million"),
    ({"number": 10 ** 16}, "一" + "零" * 16, "one" + " zero" * 16),
    ({"number": -5}, "负五", "minus five"), ({"number": "-0"}, "零", "zero"), ({"number": "007"}, "七", "seven"),
    ({"number": "1,234"}, "一千二百三十四", "one thousand two hundred and thirty four"),
    ({"number": 2.5}, "二点五", "two point five"), ({"number": "0.50"}, "零点五零", "zero point five zero"), ({"number": ".5"}, "零点五", "zero point five"),
    ({"number": "-2.02"}, "负二点零二", "minus two point zero two"), ({"number": "2000.5"}, "两千点五", "two thousand point five"),
    # digits and telephone numbers
    ({"digits": "1024"}, "一零二四", "one zero two four"), ({"telephone": "110"}, "幺幺零", "one one zero"),
    ({"telephone": "+86 139-1234"}, "加八六幺三九幺二三四", "plus eight six one three nine one two three four"),
    ({"digits": "13*#"}, "一三星号井号", "one three star hash"),
    ({"spelled": "Ab-1@x.cn"}, "AB杠一艾特X点CN", "A B dash one at X dot C N"),
    # ordinals, shares
    ({"ordinal": 1}, "第一", "first"), ({"ordinal": 2}, "第二", "second"), ({"ordinal": 12}, "第十二", "twelfth"), ({"ordinal": 31}, "第三十一", "thirty first"),
    ({"ordinal": 32}, "第三十二", "thirty two"), ({"percent": 25}, "百分之二十五", "twenty five per cent"), ({"percent": "2"}, "百分之二", "two per cent"),
    ({"percent": -0.5}, "负百分之零点五", "minus zero point five per cent"),
    # money
    ({"money": 2}, "两元", "two yuan"), ({"money": "12"}, "十二元", "twelve yuan"), ({"money": "102"}, "一百零二元", "one hundred and two yuan"),
    ({"money": "2.22"}, "两元二角二分", "two yuan and twenty two fen"), ({"money": "12.05"}, "十二元零五分", "twelve yuan and five fen"),
    ({"money": "0.2"}, "两角", "twenty fen"), ({"money": "0.02"}, "两分", "two fen"), ({"money": "0.01"}, "一分", "one fen"),
    ({"money": "10.50"}, "十元五角", "ten yuan and fifty fen"), ({"money": "102.02"}, "一百零二元零二分", "one hundred and two yuan and two fen"),
    ({"money": "10000.10"}, "一万元一角", "ten thousand yuan and ten fen"), ({"money": 0}, "零元", "zero yuan"),
    ({"money": "0.999"}, "一元", "one yuan"), ({"money": "9.995"}, "十元", "ten yuan"), ({"money": "-3.40"}, "负三元四角", "minus three yuan and forty fen"),
    ({"money": "-0.001"}, "零元", "zero yuan"), ({"money": 0.1}, "一角", "ten fen"), ({"money": 20000}, "两万元", "twenty thousand yuan"),
    ({"money": "1.01", "currency": "USD"}, "一美元一美分", "one dollar and one cent"), ({"money": "2", "currency": "USD"}, "两美元", "two dollars"),
    ({"money": "0.01", "currency": "GBP"}, "一便士", "one penny"), ({"money": "1200.4", "currency": "JPY"}, "一千二百日元", "one thousand two hundred yen"),
    # things
    ({"count": 2, "unit": "person"}, "两位", "two people"), ({"count": 12, "unit": "person"}, "十二位", "twelve people"),
    ({"count": 1, "unit": "message"}, "一条留言", "one message"), ({"count": 2, "unit": "message"}, "两条留言", "two messages"),
    ({"count": 0, "unit": "fax"}, "零份传真", "zero faxes"), ({"count": 102, "unit": "time"}, "一百零二次", "one hundred and two times"),
    ({"count": "2.5", "unit": "hour"}, "二点五小时", "two point five hours"), ({"count": 22, "unit": "day"}, "二十二天", "twenty two days"),
    ({"count": 2000, "unit": "point"}, "两千个积分", "two thousand points"), ({"count": 2}, "两个", "two pieces"),
    ({"duration": 3725}, "一小时两分钟五秒", "one hour two minutes five seconds"), ({"duration": 7200}, "两小时", "two hours"), ({"duration": 0}, "零秒", "zero seconds"),
    # dates and times
    ({"date": "2026-01-05"}, "二零二六年一月五日", "the fifth of January twenty twenty six"),
    ({"date": "2026-02-22", "weekday": True}, "二零二六年二月二十二日星期日", "Sunday the twenty second of February twenty twenty six"),
    ({"date": "20051012"}, "二零零五年十月十二日", "the twelfth of October two thousand and five"),
    ({"date": "1905-12-31"}, "一九零五年十二月三十一日", "the thirty first of December nineteen oh five"),
    ({"date": "1900-10-01", "year": False}, "十月一日", "the first of October"), ({"date": "2000-02-29"}, "二零零零年二月二十九日", "the twenty ninth of February two thousand"),
    ({"date": "1900-03-01"}, "一九零零年三月一日", "the first of March nineteen hundred"), ({"date": "2010-06-02"}, "二零一零年六月二日", "the second of June twenty ten"),
    ({"time": "00:00"}, "凌晨零点整", "twelve midnight"), ({"time": "02:02"}, "凌晨两点零二分", "two oh two a m"), ({"time": "08:30"}, "早上八点三十分", "eight thirty a m"),
    ({"time": "10:00"}, "上午十点整", "ten a m"), ({"time": "12:00"}, "中午十二点整", "twelve noon"), ({"time": "12:22"}, "中午十二点二十二分", "twelve twenty two p m"),
    ({"time": "14:05"}, "下午两点零五分", "two oh five p m"), ({"time": "2026-01-05T22:10:59"}, "晚上十点十分", "ten ten p m"),
    ({"time": "14:05", "clock": 24}, "十四点零五分", "fourteen oh five"), ({"time": "02:00", "clock": 24}, "两点整", "two hundred hours"),
    ({"time": "0000", "clock": 24}, "零点整", "zero hundred hours"),
)

WRONG = ({"number": "12a"}, {"number": ""}, {"number": None}, {"number": True}, {"number": [1]}, {"number": "1."}, {"number": "1e5"}, {"number": "9" * 80},
         {"money": "1", "currency": "XXX"}, {"count": 1, "unit": "unicorn"}, {"date": "2026-02-29"}, {"date": "2026-13-01"}, {"date": "today"},
         {"date": None}, {"time": "25:00"}, {"time": "12:60"}, {"time": "noon"}, {"ordinal": -1}, {"ordinal": "1.5"}, {"digits": ""}, {"digits": "-"},
         {"spelled": "你好"}, {"spelled": "x" * 65}, {"duration": -1}, {"number": float("inf")}, {"number": float("nan")}, {})


def vectors():
    for item, zh, en in VECTORS:
        assert text(names(item, "zh_CN"), "zh_CN") == zh, (item, text(names(item, "zh_CN"), "zh_CN"), zh)
        assert text(names(item, "en"), "en") == en, (item, text(names(item, "en"), "en"), en)


def wrong():
    for item in WRONG:
        for language in ("zh_CN", "en"):
            try:
                said = names(item, language)
            except LocalError:
                continue
            assert False, (item, said)


def run():
    vectors()
    wrong()
    return [len(VECTORS), sorted(PHRASES["en"])[:5]]
