"""Every GET address of the web application, as each role in both languages: none fails, and no page says what is not translated.

The control process is whole, before an empty house and a busy one; the web process around the application is in test_pages.py."""

import asyncio
import json
import re

import pytest

from firmware.chassis.alarm_table import KINDS
from tests.control.conftest import site      # noqa: F401  a fixture
from tests.control.desk_rig import prepared
from tests.webui.pages_rig import Browser, WholeHouse, Words, texts_in
from webui import desk, rest
from webui.desk_live import DeskLive
from webui.live import PARTS, Live
from webui.render import LANGUAGES, render

USERS = [{"name": "anna", "role": "agent", "agent": "1001"}, {"name": "sue", "role": "supervisor", "teams": ["red"]}, {"name": "ivy", "role": "inspector", "teams": ["*"]}]
EVERYBODY, MANAGING = ("admin", "anna", "sue", "ivy"), ("admin", "sue", "ivy")
ABSENT = "c98"              # a call that never was
NOBODY, STRANGER = None, "stranger"         # not signed in; signed in without a role

# Pages, and who sees them; {...} stands for what the house has of it.  Who is on no list gets a refusal that is a page.
PAGES = {
    "/": MANAGING, "/calls": EVERYBODY, "/calls/{call}": EVERYBODY, "/calls/c99": (), "/phone": (*EVERYBODY, STRANGER, NOBODY), "/login": (*EVERYBODY, STRANGER, NOBODY),
    "/password": (*EVERYBODY, STRANGER), "/desk": EVERYBODY, "/desk?agent=1001": EVERYBODY, "/desk/call/{call}": ("admin", "anna", "sue"), "/desk/call/c99": (), "/desk/figures/1001": EVERYBODY,
    "/desk/articles": EVERYBODY, "/desk/articles?text=fax": EVERYBODY, "/alarms": ("admin", "sue"), "/alarms/now": ("admin", "sue"), "/performance": ("admin",), "/lines/1": ("admin",),
    "/lines/64": (), "/lines/1/timeslots/1": ("admin",), "/lines/1/timeslots/99": (), "/clock": ("admin",), "/clock/now": ("admin",), "/turn_up": ("admin",),
    "/turn_up/report.html": (), "/turn_up/report.pdf": (), "/configuration": ("admin",), "/configuration/spans": ("admin",), "/configuration/sip_trunks": ("admin",), "/configuration/sip_trunks/edit": ("admin",), "/configuration/trunk_groups": ("admin",),
    "/configuration/routes": ("admin",), "/configuration/numbers": ("admin",), "/configuration/areas": ("admin",), "/configuration/caller_lists": ("admin",),
    "/configuration/spans/edit?key=1": ("admin",), "/configuration/trunk_groups/edit?key=carrier": ("admin",), "/configuration/routes/edit?key=9.": ("admin",),
    "/configuration/numbers/edit": ("admin",), "/configuration/caller_lists/edit": ("admin",), "/configuration/areas/edit": ("admin",), "/configuration/routes/edit?key=none": (),
    "/configuration/history": ("admin",), "/configuration/history/3": ("admin",), "/configuration/history/2/back": ("admin",), "/configuration/history/99": (),
    "/route": ("admin",), "/route?digits=913912345678&who=line:1001": ("admin",), "/route?digits=02150801000&who=group:carrier&at=2026-11-23T22:00": ("admin",),
    "/nowhere": (),
}
OTHERS = ("/health", "/static/strowger.css", "/static/vendor/jssip.js", "/provision/secret/phone.cfg", "/provision/", "/api/v1/turn_up/report.html")
# Addresses below /api/v1 of which each route has one at least, and each of those that a route of many names by a form.
REST = """
state health media flows campaigns campaigns/c1 calls calls/{call} calls/c99 surveys flows/main flows/main/versions announcements callbacks mailboxes mailboxes/office staffing staffing/simulation
alarms alarms/history performance chassis clock performance/1 routes/913912345678?line=1001 spans/1/timeslots/1 spans/1/history pri cas ss7 lines berts turn_up test_calls lines/1/turn_up
configuration configuration/history configuration/history/2 reports/queues reports/agents reports/trunk_groups reports/none calls/{call}/trace trace messages/m1/audio
calls/{call}/recordings/r1 set_aside retention erasures export/journal export/calls export/surveys prompts prompts/en/greeting/audio documents documents/offer/file faxes phones users
me desk/setup dispositions customers customers/p1 customers/p1/history calls/{call}/pop calls/{call}/desk tickets tickets/t1 articles articles/1 agents/1001/figures broadcasts thresholds
thresholds/history schedule schedule/adherence schedule/coverage turn_up/report.html
""".split()
LIMIT_S = 300               # 800 pages, on a machine that does other things
SENTENCE = r"[a-z]{2,} [a-z]{2,} [a-z]{2,} [a-z]{2,}"
MOST_WORDS = 3              # of a name or a label; what is longer is a sentence
URL = r"\S*[/@]\S*"
ACRONYM = r"[A-Z0-9/-]{2,}s?|[A-Za-z]|dBm0|ppm|Hz|ms|min|Strowger|English|Site|prbs\d+|qrss|stranger|Diversion|[A-Z]\w*(?:-[A-Z]\w*)+"      # the last two: names of SIP headers


def configure(config):
    prepared(config)
    config["teams"] = [{"name": "red", "agents": ["1001"], "queues": ["sales"]}]
    config["users"] = USERS
    config["areas"] = [{"code": "021", "label": "Area"}]


async def change(desk):
    """A second revision of the configuration, in full, and a third with something that has a form."""
    for label in ("", "Telco"):
        running = await desk.ask("GET", "/v1/configuration")
        running["configuration"]["trunk_groups"][0]["label"] = label
        await desk.ask("POST", "/v1/configuration/apply", running, user="admin")


async def fill(desk):
    """Calls that stand and are over, a customer with a ticket, an article, a message, every alarm there is, a span out of service.  Returns what PAGES leaves open."""
    await desk.ask("POST", "/v1/customers/import", {"csv": "external,name,numbers,contract\nK1,王小明,13912345678,gold\n"})
    await desk.ask("POST", "/v1/articles", {"title": "fax", "body": "送传真", "tags": ["fax"]})
    call = desk.call("p1")["call"]
    desk.answer()
    await desk.ask("POST", "/v1/calls/%s/notes" % call, {"text": "要求回电", "agent": "1001"})
    await desk.ask("POST", "/v1/calls/%s/disposition" % call, {"code": "later", "agent": "1001"})
    customer = (await desk.ask("GET", "/v1/customers"))["customers"][0]["customer"]
    await desk.ask("POST", "/v1/tickets", {"template": "repair", "title": "坏了", "fields": {"device": "modem"}, "call": call, "customer": customer, "owner": "1001"})
    desk.call("p2")
    desk.answer()
    desk.hang_up("p2")
    desk.call("p3", caller=None)
    await desk.ask("POST", "/v1/broadcasts", {"text": "今天", "agents": ["1001"], "urgent": True})
    await desk.ask("PUT", "/v1/agents/1002/status", {"status": "on_break", "reason": "午饭"})
    keeper = next(adapter for adapter in desk.house.adapters if adapter.name == "chassis")
    now_ms = desk.house.clock.now_ms()
    for number, kind in enumerate(KINDS):
        keeper.alarms.report("span %d" % (number % 2 + 1), {kind}, (kind,), now_ms - 3_600_000)
    keeper.alarms.expire(now_ms - 2000)
    keeper.alarms.expire(now_ms)            # what was declared has waited for others of its kind
    assert len(keeper.alarms.active()) > len(KINDS) // 2
    return {"call": call}


def untranslated(english, chinese, names):
    """Pieces of a Chinese page that a person reads in English: as the English page has them, or a sentence, though they are none of the house's own names."""
    known, found = set(Words(english).found), []
    for piece in Words(chinese).found:
        words = [word for word in re.findall(r"[A-Za-z][\w.'-]*", re.sub(URL, " ", piece)) if word not in names and not re.fullmatch(ACRONYM, word)]
        if words and (piece in known or re.search(SENTENCE, piece)):
            found.append(piece)
    return found


def names_of(browser, given):
    """Words that are the house's own: of its names, numbers and labels, and those of the journal, which no catalogue knows."""
    found = set()
    for path in ("state", "configuration", "configuration/history", "calls/%s" % given["call"], "me", "health", "desk/setup", "tickets", "customers"):
        for text in texts_in(json.loads(browser.get("/api/v1/" + path, "admin")[1])):
            if len(text.split()) <= MOST_WORDS:
                found.update(word.removesuffix("_ms") for word in re.findall(r"[A-Za-z][\w.'-]*", text))
    return found


def browse(browser, given):
    """Look at every page as everybody; returns what is wrong."""
    wrong, names = [], names_of(browser, given)
    for path, seen_by in PAGES.items():
        for user in (*EVERYBODY, STRANGER, NOBODY):
            pages = {}
            for language in LANGUAGES:
                status, pages[language], headers, fault = browser.get(path.format(**given), user, language)
                right = status == 200 if user in seen_by and not ("{call}" in path and given["call"] == ABSENT) else status in (303, 403, 404, 409)
                if not right or fault:
                    wrong.append("%s as %s in %s: %d %s" % (path, user, language, status, fault or Words(pages[language]).found[-4:]))
            if headers["Content-Type"].startswith("text/html") and path != "/configuration":      # that page is the configuration itself
                wrong += ["%s as %s: %s" % (path, user, piece) for piece in untranslated(pages["en"], pages["zh_CN"], names)]
    return wrong


def ask_all(browser, given):
    """Every address of REST as everybody, and what is neither; returns what is wrong."""
    wrong = []
    for path in (*OTHERS, *("/api/v1/" + what for what in REST)):
        for user in (*EVERYBODY, STRANGER, NOBODY):
            status, text, headers, fault = browser.get(path.format(**given), user)
            told = headers["Content-Type"] == "application/problem+json" and json.loads(text)
            if status >= 500 or fault or told and not told["detail"].endswith("."):
                wrong.append("%s as %s: %d %s" % (path, user, status, fault or text[:300]))
    return wrong


def live_parts(browser, given):
    """What the streams send; returns what is wrong."""
    live, wrong, names = Live(browser.house), [], names_of(browser, given)
    desk_live = DeskLive(live)
    for domain in (None, (frozenset(["1001"]), frozenset(["sales"]))):
        english, chinese = (live.parts(language, domain)[1] for language in LANGUAGES)
        wrong += ["%s: %s" % (part, piece) for part in PARTS for piece in untranslated(english[part], chinese[part], names)]
    for agent in ("1001", "1002", "none"):
        facts = desk_live.facts(agent)[1]
        wrong += untranslated(*(render("part_desk_me.html", language, agent=agent, **facts) for language in LANGUAGES), names)
    return wrong


@pytest.mark.parametrize("is_busy", [False, True], ids=["empty", "busy"])
def test_nothing_fails_and_pages_speak_both_languages(site, is_busy):      # noqa: F811
    async def scenario():
        async with WholeHouse(site, configure) as desk:
            await change(desk)
            given = {"call": ABSENT, **(await fill(desk) if is_busy else {})}
            browser = Browser(site.run, site.data)
            wrong = [line for look in (browse, ask_all, live_parts) for line in await asyncio.to_thread(look, browser, given)]
            assert not wrong, "\n".join(dict.fromkeys(wrong))
    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_without_control_each_page_says_so(site):      # noqa: F811
    browser, wrong = Browser(site.run, site.data), []
    for path in (*PAGES, *("/api/v1/" + what for what in REST)):
        for language in LANGUAGES:
            status, text, headers, fault = browser.get(path.format(call="c1"), "admin", language)
            if fault or status not in (200, 303, 404, 409, 410, 503):
                wrong.append("%s: %d %s" % (path, status, fault))
    assert not wrong, "\n".join(wrong)


def test_no_route_is_left_out(site):      # noqa: F811
    """A new page, and a new form of an address of REST, is opened here or this fails."""
    browser = Browser(site.run, site.data)
    paths = [path.format(call="c1") for path in (*PAGES, *OTHERS, *("/api/v1/" + what for what in REST))]
    opened = [browser.route(path) for path in paths if path != "/nowhere"]
    assert [route.rule for route in browser.routes() if route not in opened] == []
    forms = [form for patterns in (desk.HANDED["GET"], *(pattern for pattern, _ in rest.READ)) for form in re.split(r"\|(?![^(]*\))", patterns)]
    named = [what.format(call="c1").partition("?")[0] for what in REST]
    assert [form for form in forms if not any(re.fullmatch(form, what) for what in named)] == []
