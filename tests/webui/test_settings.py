"""The forms of trunks and routing, before the configuration's own store: nothing happens before the preview, nothing half, two people at once, undo."""

import copy
import json
import re
import urllib.parse

import bottle
import pytest

from firmware.config import demo, schema
from firmware.config.store import ConfigStore
from firmware.errors import ConfigError, LocalError
from tests.webui.test_pages import NEW, Client
from webui import changes, forms, render, sealed, settings
from webui.sayings import Sayings

SPAN = {"span": 7, "trunk_group": "carrier"}
TRUNK = {"name": "carrier-ip", "trunk_group": "carrier", "kind": "register", "addresses": [{"address": "203.0.113.7", "port": 5080}], "user": "strowger"}
SECRET = "Hunter2-and-more"


class Store:
    """What control answers about the configuration: its own store, without the rest of the switch."""

    def __init__(self, folder):
        self.store = ConfigStore(folder / "configuration.json", demo.configuration({name: "secret" + name for name in demo.AGENTS}))
        self.applied, self.changes = [], []

    def change(self, edit, by="anna"):
        """Somebody else changes something."""
        config = copy.deepcopy(self.running)
        edit(config)
        self.apply(config, self.running["revision"], by)

    @property
    def running(self):
        return self.store.running()

    def apply(self, config, revision, by="admin"):
        before = self.running
        self.store.apply(config, revision)
        self.applied.append(self.running["revision"])
        paths = [row["path"] for row in self.store.change(self.running["revision"])]
        self.changes.insert(0, {"revision": before["revision"] + 1, "at_ms": 1_790_000_000_000, "by": by, "paths": paths, "count": len(paths)})
        return {"revision": self.running["revision"]}

    def __call__(self, method, path, query, body):
        try:
            if (method, path) == ("GET", "/v1/configuration"):
                return 200, {"revision": self.running["revision"], "configuration": self.running}
            if path == "/v1/configuration/propose":
                return 200, self.store.propose(body)
            if path == "/v1/configuration/apply":
                return 200, self.apply(body["configuration"], body["revision"])
            if path == "/v1/configuration/rollback":
                self.store.check_revision(body["from"])
                return 200, self.apply(self.store.earlier(body["revision"]), body["from"])
            if path == "/v1/configuration/history":
                return 200, {"changes": self.changes}
            if path.startswith("/v1/configuration/history/") and query.get("whole"):
                return 200, {"configuration": self.store.earlier(int(path.rpartition("/")[2]))}
        except ConfigError as error:
            return 422, {"status": 422, "detail": str(error), "errors": [{"path": error.path, "advice": error.advice}]}
        except LocalError as error:
            return 409, {"status": 409, "detail": str(error)}
        return None


class Person(Client):
    """Somebody at the forms."""

    def page(self, path, form=None, status=200):
        answer, body = self(path, form)
        text = body.decode()
        assert answer.status == status, (answer.status, text[:3000])
        return text

    def form(self, path, status=200):
        """The inputs of a form as a browser would send them."""
        return inputs(self.page(path, status=status))

    def applied(self, path, form):
        """From a form to what is in force: over the preview, as a person does.  Returns the preview's page."""
        preview = self.page(path, {**form, "do": "preview"})
        answer, body = self(path, {**inputs(preview), "do": "apply"})
        assert answer.status == 303, body.decode()[:2000]
        return preview


def inputs(text):
    """What a browser would send of the page's last form: {name: value, or values of boxes with one name}."""
    part, found = text[text.rindex('<form method="post"'):], {}

    def add(name, value, several=False):
        before = found.get(name)
        found[name] = [value] if before is None and several else value if before is None else [*(before if isinstance(before, list) else [before]), value]
    for tag, attributes, rest in re.findall(r"<(input|select|textarea)\b([^>]*)>((?:(?!<(?:input|select|textarea)\b).)*)", part, re.S):
        given = {name: unescaped(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', attributes)}
        if tag == "select":
            chosen = re.search(r'<option value="([^"]*)" selected', rest)
            add(given["name"], unescaped(chosen.group(1)) if chosen else "")
        elif tag == "textarea":
            add(given["name"], unescaped(re.sub(r"^\n", "", rest.partition("</textarea>")[0])))
        elif given.get("type") != "checkbox":
            add(given["name"], given.get("value", ""))
        elif " checked" in attributes:
            add(given["name"], given["value"], True)
    return found


def unescaped(text):
    return text.replace("&#34;", '"').replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.fixture
def store(web, tmp_path):
    made = Store(tmp_path)
    web.control.answers = made
    return made


@pytest.fixture
def person(web, store):
    return Person(web).sign_in()


def row_of(store, part, key):
    return settings.find(store.running, part, key)[1]


@pytest.mark.parametrize("part", settings.PARTS)
def test_a_row_that_is_read_back_is_the_row_that_was_shown(part):
    """Every field of the schema has an input, and what the page shows comes back as it was."""
    section = settings.row_schema(part)
    examples = {"spans": SPAN, "trunk_groups": {"name": "g", "classes": ["national", "local"], "enhancement": {"level": "alc"}},
                "routes": {"number": "90.", "choices": [{"trunk_group": "a", "strip": 1}, {"trunk_group": "b", "prefix": "17951", "mobile_zero": True}]},
                "numbers": {"number": "800", "application": "queue", "target": "sales"},
                "caller_lists": {"name": "black", "treatment": "vip", "numbers": ["139.", "1x"], "skills": {"vip": 2}}, "areas": {"code": "021", "mobile": "1391700-1391799,1381600"},
                "sip_trunks": {**TRUNK, "password": SECRET, "codecs": ["G729", "PCMA"], "called_rules": [{"number": "+86.", "strip": 3, "prefix": "0"}], "verify": False}}
    errors = []
    row = section.check(examples[part], "", errors)
    assert errors == []
    row = sealed.seal(section, row)
    page = render.render("settings_form.html", "en", site="x", user="admin", role="admin", path="/configuration/" + part, part=part, parts=settings.PARTS, key="k", revision=3, began_text="null",
                         controls=forms.controls(section, row, {}), errors={}, others=[], targets=[], place=1, in_order=False)
    sent = bottle.FormsDict()
    for name, value in inputs(page).items():
        for each in value if isinstance(value, list) else [value]:
            sent.append(name, each)
    back, lost = sealed.opened(section, forms.read(section, sent))
    back, row = section.check(back, "", errors), sealed.opened(section, row)[0]
    assert errors == [] and lost == [] and back == {**row, **({"classes": sorted(row["classes"], key=schema.CALLED_CLASSES.index)} if part == "trunk_groups" else {})}


def test_a_route_is_added_changed_and_taken_out_and_each_is_undone(person, store):
    group = store.running["trunk_groups"][0]["name"]
    first = store.running["revision"]
    form = {**person.form("/configuration/routes/edit"), "number": "71."}
    form = inputs(person.page("/configuration/routes/edit", {**form, "do": "add:choices"}))
    assert form["choices#"] == "1" and form["number"] == "71."
    preview = person.applied("/configuration/routes/edit", {**form, "choices.0.trunk_group": group, "choices.0.strip": "2", "choices.0.prefix": "17951"})
    assert "17951" in preview and store.applied == [first + 1]
    assert row_of(store, "routes", "71.")["choices"][0] == {**row_of(store, "routes", "71.")["choices"][0], "trunk_group": group, "strip": 2, "prefix": "17951"}
    page = person.page("/configuration/routes?applied=%d" % (first + 1))
    assert 'data-key="71."' in page and 'href="/configuration/history/%d/back"' % first in page
    edit = "/configuration/routes/edit?" + urllib.parse.urlencode({"key": "71."})
    preview = person.applied(edit, {**person.form(edit), "hunt_limit": "3"})
    assert preview.count('<tr class="changed">') == 1 and row_of(store, "routes", "71.")["hunt_limit"] == 3
    removal = person.page(edit, {**person.form(edit), "do": "remove"})
    assert removal.count('<tr class="removed">') == 1 and '<tr class="changed">' not in removal and row_of(store, "routes", "71.")
    assert person(edit, {**inputs(removal), "do": "apply"})[0].status == 303 and row_of(store, "routes", "71.") is None
    back = "/configuration/history/%d/back" % (first + 2)
    preview = person.page(back)
    assert '<tr class="added">' in preview
    assert person(back, inputs(preview))[0].status == 303 and row_of(store, "routes", "71.")["hunt_limit"] == 3
    assert 'data-revision="%d"' % (first + 4) in person.page("/configuration/history")
    assert '<tr class="removed">' in person.page("/configuration/history/%d" % (first + 3))


def test_what_is_wrong_stands_beside_its_field_in_both_languages_and_changes_nothing(person, store):
    before = copy.deepcopy(store.running)
    form = {**person.form("/configuration/spans/edit"), "trunk_group": "carrier", "span": "99", "d_timeslot": "x", "r2.circuits": "1-", "timers": "T303 = 5\nT999 = 5000"}
    page = person.page("/configuration/spans/edit", {**form, "do": "preview"}, 400)
    for name, sentence in (("span", "99 is out of range; give 1 to 64"), ("d_timeslot", "give a whole number from 1 to 31, not &#39;x&#39;"), ("r2.circuits", "does not fit")):
        block = page[page.index('data-field="%s"' % name):]
        assert sentence in block[:block.index("</div>")] and 'id="%s.why"' % name in block, name
    assert inputs(page)["d_timeslot"] == "x", "what was typed is still there"
    answer, body = person("/configuration/spans/edit", {**form, "do": "apply"}, headers={"Accept-Language": "zh-CN"})
    assert answer.status == 400 and "99 超出范围；请填 1 到 64" in body.decode()
    page = person.page("/configuration/spans/edit", {**form, "span": "9", "d_timeslot": "16", "r2.circuits": "", "do": "preview"}, 400)
    block = page[page.index('data-field="timers"'):]
    assert "is no timer that can be set" in block[:block.index("</div>")]
    name = store.running["trunk_groups"][0]["name"]
    edit = "/configuration/trunk_groups/edit?key=" + name
    page = person.page(edit, {**person.form(edit), "do": "remove"}, 400)
    assert "there is no trunk group" in page and "spans[0].trunk_group" in page, "it is in use"
    assert store.running == before and store.applied == []


def test_two_people_at_one_row_lose_nothing(person, store):
    name = store.running["trunk_groups"][0]["name"]
    edit = "/configuration/trunk_groups/edit?key=" + name
    mine = {**person.form(edit), "reserved": "2", "label": "mine"}
    store.change(lambda config: config["trunk_groups"][0].update(selection="descending", label="theirs"))
    page = person.page(edit, {**mine, "do": "preview"}, 409)
    assert "Both of you changed these" in page and len(store.applied) == 1
    merged = inputs(page)
    assert (merged["reserved"], merged["selection"], merged["label"]) == ("2", "descending", "mine")
    preview = person.applied(edit, merged)
    assert preview.count('<tr class="changed">') == 2, "only what I change against what is in force"
    assert {field: row_of(store, "trunk_groups", name)[field] for field in ("reserved", "selection", "label")} == {"reserved": 2, "selection": "descending", "label": "mine"}


def test_a_change_of_something_else_after_the_preview_is_previewed_again(person, store):
    name = store.running["trunk_groups"][0]["name"]
    edit = "/configuration/trunk_groups/edit?key=" + name
    preview = inputs(person.page(edit, {**person.form(edit), "reserved": "1", "do": "preview"}))
    store.change(lambda config: config["site"].update(name="another"))
    again = person.page(edit, {**preview, "do": "apply"})
    assert "changed meanwhile" in again and row_of(store, "trunk_groups", name)["reserved"] == 0
    assert person(edit, {**inputs(again), "do": "apply"})[0].status == 303
    assert row_of(store, "trunk_groups", name)["reserved"] == 1 and store.running["site"]["name"] == "another"


def test_a_row_that_somebody_removed_is_not_put_back_silently(person, store):
    store.change(lambda config: config["caller_lists"].append({"name": "black", "treatment": "blocked", "numbers": ["1."]}))
    form = person.form("/configuration/caller_lists/edit?key=black")
    store.change(lambda config: config["caller_lists"].clear())
    page = person.page("/configuration/caller_lists/edit?key=black", {**form, "do": "preview"}, 409)
    assert "would add it anew" in page and store.running["caller_lists"] == []
    assert person.page("/configuration/caller_lists/edit?key=none", status=404)


def test_an_undo_of_what_is_not_in_force_any_more_is_refused(person, store):
    store.change(lambda config: config["site"].update(name="one"))
    back = "/configuration/history/%d/back" % (store.running["revision"] - 1)
    form = inputs(person.page(back))
    store.change(lambda config: config["site"].update(name="two"))
    assert "changed meanwhile" in person.page(back, form, 409) and store.running["site"]["name"] == "two"


def test_a_control_that_goes_away_is_told_and_changes_nothing(person, store, web):
    edit = "/configuration/trunk_groups/edit?key=" + store.running["trunk_groups"][0]["name"]
    preview = inputs(person.page(edit, {**person.form(edit), "label": "typed", "do": "preview"}))
    web.control.answers = lambda method, path, query, body: (503, {"status": 503, "detail": "It is gone."}) if method == "POST" else store(method, path, query, body)
    assert "It is gone." in person.page("/configuration/history/1/back", status=503) and "It is gone." in person.page("/configuration/history/1/back", {"revision": "1"}, 503)
    page = person.page(edit, {**preview, "do": "apply"}, 409)
    assert "It is gone." in page and inputs(page)["label"] == "typed" and store.applied == []
    web.control.answers = store
    person.applied(edit, inputs(page))
    assert row_of(store, "trunk_groups", store.running["trunk_groups"][0]["name"])["label"] == "typed"


@pytest.fixture
def trunk(person, store):
    """A trunk that registers stands in the configuration; its form's address."""
    group = store.running["trunk_groups"][0]["name"]
    store.change(lambda config: config["sip_trunks"].append({**TRUNK, "trunk_group": group, "password": SECRET}))
    return "/configuration/sip_trunks/edit?key=" + TRUNK["name"]


def test_a_sip_trunk_is_set_up_by_its_form_and_undone(person, store):
    new = "/configuration/sip_trunks/edit"
    form = inputs(person.page(new, {**person.form(new), "do": "add:addresses"}))
    form.update({"name": "carrier-ip", "trunk_group": store.running["trunk_groups"][0]["name"], "kind": "register", "addresses.0.address": "SIP.Example.org.", "addresses.0.transport": "auto",
                 "user": "strowger", "password": SECRET})
    preview = person.applied(new, form)
    assert SECRET not in preview and "•••" in preview
    row = row_of(store, "sip_trunks", "carrier-ip")
    assert (row["password"], row["addresses"][0], row["codecs"]) == (SECRET, {"address": "sip.example.org", "port": 0, "transport": "auto"}, ["PCMA", "PCMU"])
    assert "sip.example.org/auto" in person.page("/configuration/sip_trunks")
    back = "/configuration/history/%d/back" % (store.running["revision"] - 1)
    assert person(back, inputs(person.page(back)))[0].status == 303 and store.running["sip_trunks"] == []


def test_a_password_is_on_no_page_and_stays_until_another_is_typed_or_it_is_removed(person, store, trunk):
    pages = [person.page(path) for path in (trunk, "/configuration/sip_trunks", "/configuration/sip_trunks/edit?copy=carrier-ip", "/configuration/history/%d" % store.running["revision"],
                                            "/configuration/history/%d/back" % (store.running["revision"] - 1))]
    form = person.form(trunk)
    pages.append(person.applied(trunk, {**form, "label": "Carrier"}))
    assert (row_of(store, "sip_trunks", "carrier-ip")["password"], row_of(store, "sip_trunks", "carrier-ip")["label"]) == (SECRET, "Carrier")
    pages.append(person.page(trunk, {**person.form(trunk), "password": "with blank " + SECRET, "do": "preview"}, 400))
    assert "what was given does not fit; use printable ASCII without blanks, at most 128 characters" in pages[-1]
    assert inputs(pages[-1])["password.kept"] == person.form(trunk)["password.kept"], "left empty, the one of before stays"
    pages.append(person.page(trunk, {**person.form(trunk), "password": "another" + SECRET, "do": "preview"}))
    pages.append(person.page(trunk, {**inputs(pages[-1]), "do": "edit"}))
    pages.append(person.applied(trunk, inputs(pages[-1])))
    assert row_of(store, "sip_trunks", "carrier-ip")["password"] == "another" + SECRET
    pages.append(person.page(trunk, {**person.form(trunk), "password.none": "1", "do": "preview"}, 400))
    assert "a trunk that registers needs both" in pages[-1]
    pages.append(person.applied(trunk, {**person.form(trunk), "password.none": "1", "kind": "peer"}))
    assert row_of(store, "sip_trunks", "carrier-ip")["password"] == ""
    assert [n for n, page in enumerate(pages) if SECRET in page] == []


def test_a_password_that_two_people_change_is_told_and_not_shown(person, store, trunk):
    form = person.form(trunk)
    store.change(lambda config: config["sip_trunks"][0].update(password="theirs-1", channels=7))
    merged = person.page(trunk, {**form, "label": "mine", "do": "preview"}, 409)
    assert "Both of you changed these" not in merged and inputs(merged)["channels"] == "7"
    person.applied(trunk, inputs(merged))
    assert row_of(store, "sip_trunks", "carrier-ip")["password"] == "theirs-1" and row_of(store, "sip_trunks", "carrier-ip")["label"] == "mine"
    form = person.form(trunk)
    store.change(lambda config: config["sip_trunks"][0].update(password="theirs-2"))
    merged = person.page(trunk, {**form, "password": "mine-1", "do": "preview"}, 409)
    told = merged[merged.index("Both of you changed these"):]
    assert "Password" in told[:told.index("</p>")] and "theirs-2" not in merged and "mine-1" not in merged
    person.applied(trunk, inputs(merged))
    assert row_of(store, "sip_trunks", "carrier-ip")["password"] == "mine-1"


def test_what_was_typed_before_the_pages_were_started_anew_is_asked_for_again(person, store, trunk, web):
    typed = inputs(person.page(trunk, {**person.form(trunk), "password": "typed-1", "do": "preview"}))
    web.kill()
    person("/login", {"user": "admin", "password": NEW})
    page = person.page(trunk, {**typed, "do": "apply"}, 409)
    page = person.page(trunk, {**inputs(page), "do": "preview"}, 400)
    assert settings.LOST in page and row_of(store, "sip_trunks", "carrier-ip")["password"] == SECRET
    person.applied(trunk, {**inputs(page), "password": "typed-2"})
    assert row_of(store, "sip_trunks", "carrier-ip")["password"] == "typed-2"


WRONG = (({"addresses.0.address": "no address"}, "addresses.0.address", "is no address and no name", "不是地址也不是名称"),
         ({"addresses.0.transport": "auto"}, "addresses.0.transport", "is auto, which only a name in DNS can answer; give udp, tcp or tls", "auto 只适用于 DNS 名称"),
         ({"user": ""}, "user", "is missing, or its password; a trunk that registers needs both", "缺少用户名或密码"),
         ({"incoming_user": "them"}, "incoming_password", "and incoming_user go together; give both, or none", "与来话用户名须一同填写"),
         ({"kind": "peer", "bulk": "1"}, "bulk", "belongs to a trunk that registers; choose kind register, or switch it off", "只适用于注册的中继"),
         ({"session_s": "60"}, "session_s", "is below 90 s, the least that RFC 4028 allows; give 90 or more, or 0", "少于 RFC 4028 允许的 90 秒"),
         ({"sources#": "1", "sources.0.network": "10.0.0.0/99"}, "sources.0.network", "is no address and no network; give for example 203.0.113.0/24", "不是地址也不是网段"),
         ({"called_rules#": "1", "called_rules.0.number": "+86.", "called_rules.0.strip": "9"}, "called_rules.0.strip", "takes 9 characters away, but the number may have only 3", "要去掉 9 个字符"),
         ({"set_headers#": "1", "set_headers.0.name": "Via", "set_headers.0.value": "x"}, "set_headers.0.name", "is a header that the switch writes itself; choose others", "由交换机自己写"),
         ({"name": "9"}, "name", "does not fit; use letters, digits, dot, dash and underline, at most 32, a letter first", "字母开头"))


@pytest.mark.parametrize("wrong, field, english, chinese", WRONG)
def test_each_mistake_in_a_sip_trunk_stands_beside_its_field_in_both_languages(person, store, trunk, wrong, field, english, chinese):
    before, form = copy.deepcopy(store.running), person.form(trunk)
    for said, headers in ((english, {}), (chinese, {"Accept-Language": "zh-CN"})):
        answer, body = person(trunk, {**form, **wrong, "do": "apply"}, headers=headers)
        page = body.decode()
        block = page[page.index('data-field="%s"' % field):].partition('data-field="')[2].partition('data-field="')[0]
        assert answer.status == 400 and said in block, block[:600]
        if field in ("bulk", "session_s"):
            assert re.search(r'<details class="group" id="further" open', page), "what is wrong is not folded away"
    assert store.running == before


def test_codecs_keep_the_order_that_they_have_and_can_be_moved(person, store, trunk):
    store.change(lambda config: config["sip_trunks"][0].update(codecs=["G729", "PCMU", "PCMA"]))
    page = person.page(trunk)
    boxes = re.findall(r'name="codecs" value="([\w-]+)"( checked)?', page)
    assert [name for name, checked in boxes if checked] == ["G729", "PCMU", "PCMA"] == [name for name, _ in boxes][:3]
    moved = person.page(trunk, {**person.form(trunk), "do": "up:codecs:2"})
    assert inputs(moved)["codecs"] == ["G729", "PCMA", "PCMU"]
    preview = person.applied(trunk, inputs(moved))
    assert preview.count('<tr class="changed">') == 1 and row_of(store, "sip_trunks", "carrier-ip")["codecs"] == ["G729", "PCMA", "PCMU"]


def test_a_new_name_of_a_trunk_group_goes_along_to_whatever_refers_to_it(person, store):
    old = store.running["trunk_groups"][0]["name"]
    edit = "/configuration/trunk_groups/edit?key=" + old
    preview = person.applied(edit, {**person.form(edit), "name": "renamed"})
    assert preview.count('<tr class="removed">') == 1
    text = json.dumps([store.running[part] for part in ("spans", "routes", "sip_trunks", "trunk_groups", "ss7", "siprec")])
    assert json.dumps(old) not in text and {row["trunk_group"] for row in store.running["spans"]} == {"renamed"}


def test_lists_of_callers_have_an_order_that_can_be_changed(person, store):
    store.change(lambda config: config["caller_lists"].extend([{"name": "white", "treatment": "allowed", "numbers": ["137."]}, {"name": "black", "treatment": "blocked", "numbers": ["1."]}]))
    edit = "/configuration/caller_lists/edit?key=black"
    preview = person.applied(edit, {**person.form(edit), "place": "1"})
    assert '<tr class="moved">' in preview and [row["name"] for row in store.running["caller_lists"]] == ["black", "white"]
    preview = person.applied(edit, {**person.form(edit), "numbers": "1.\r\n86x, 0044."})
    assert row_of(store, "caller_lists", "black")["numbers"] == ["1.", "86x", "0044."]


def test_a_list_that_nobody_moved_stays_behind_the_one_before_it(person, store):
    """While one person edits a list, another one puts a new list at the top."""
    store.change(lambda config: config["caller_lists"].extend([{"name": "white", "treatment": "allowed", "numbers": ["137."]}, {"name": "black", "treatment": "blocked", "numbers": ["1."]}]))
    edit = "/configuration/caller_lists/edit?key=black"
    form = person.form(edit)
    store.change(lambda config: config["caller_lists"].insert(0, {"name": "vip", "treatment": "vip", "numbers": ["139."]}))
    preview = person.applied(edit, {**form, "numbers": "1.\r\n86x"})
    assert '<tr class="moved">' not in preview and [row["name"] for row in store.running["caller_lists"]] == ["vip", "white", "black"]


RUBBISH = ({"do": "add:choices:x"}, {"do": "up:nothing:1"}, {"choices#": "99999"}, {"choices#": "-1"}, {"revision": "\u0663", "began": "["}, {"began": "[" * 9000},
           {"began": '{"a": 1, "a": 2}'}, {"place": "x", "do": "preview"}, {"do": "preview", "hunt_limit": "9" * 400}, {"do": "remove"})


def test_rubbish_in_a_form_is_answered_and_changes_nothing(person, store):
    for sent in RUBBISH:
        answer, _ = person("/configuration/routes/edit", {"number": "1", **sent})
        assert answer.status in (200, 400, 409) and store.applied == [], sent
    known = "/configuration/routes/edit?key=" + store.running["routes"][0]["number"]
    for began in ('[1]', '"x"', '7', '{"choices": 5}'):
        assert "changed this meanwhile" in person.page(known, {"number": "1", "began": began}, 409) and store.applied == [], began
    answer, _ = person("/configuration/routes/edit", method="POST", body=b"number=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 400


def test_who_is_no_administrator_sees_no_form(person, store, web):
    web.control.answers = lambda method, path, query, body: (403, {"status": 403, "detail": "A supervisor may not do this."}) if "configuration" in path else None
    for path in ("/configuration/spans", "/configuration/routes/edit", "/configuration/history", "/route"):
        assert "A supervisor may not do this." in person.page(path, status=403)


def test_pasted_numbers_are_tidied_and_shown(person, store, web):
    """In a form the preview shows what is kept; on the page that explains a route what was read."""
    form = {**person.form("/configuration/numbers/edit"), "number": "（０２１） 5080-1234", "application": "queue", "target": store.running["queues"][0]["name"]}
    assert "02150801234" in person.applied("/configuration/numbers/edit", form)
    assert row_of(store, "numbers", "02150801234")
    asked = []

    def control(method, path, query, body):
        if not path.startswith("/v1/routes/"):
            return store(method, path, query, body)
        asked.append((urllib.parse.unquote(path[len("/v1/routes/"):]), query["caller"]))
        return 200, {"digits": "90139", "caller": "02155", "steps": [], "ways": [], "application": None, "allowed": False, "why": "no number", "cause": 1}
    web.control.answers = control
    for language, said in (("en", "Read as"), ("zh", "读作")):
        answer, body = person("/route?" + urllib.parse.urlencode({"digits": "９0 139", "who": "group:carrier", "caller": "021-55"}), headers={"Accept-Language": language})
        text = body.decode()
        assert asked[-1] == ("９0 139", "021-55") and text.count(said) == 2 and 'value="90139"' in text and 'value="02155"' in text


def test_long_lists_tell_only_what_comes_and_goes():
    old = {"caller_lists": [{"name": "a", "numbers": ["1%04d" % n for n in range(500)]}]}
    new = {"caller_lists": [{"name": "a", "numbers": ["1%04d" % n for n in range(1, 501)]}]}
    (one,) = changes.between(old, new)
    assert (one["row"], one["field"], one["old"], one["new"]) == ("a", "numbers", "10000", "10500")


def every_field():
    def walk(part, section, prefix=""):
        for name, field in section.fields.items():
            yield part, prefix + name, field
            if forms.kind_of(field) in ("section", "rows"):
                yield from walk(part, field if forms.kind_of(field) == "section" else field.row, prefix + name + ".")
    return [one for part in settings.PARTS for one in walk(part, settings.row_schema(part))]


def test_each_field_has_its_name_and_its_help_in_chinese():
    said = render.CATALOGUES["zh_CN"].messages
    lost = [(part, path) for part, path, field in every_field() if "field.%s.%s" % (part, path) not in said and "field." + path.rpartition(".")[2] not in said]
    assert lost == [] and sorted({field.help for _, _, field in every_field()} - set(said)) == []
    hints = {field.hint for _, _, field in every_field() if getattr(field, "hint", "")}
    assert sorted(hint for hint in hints if "detail." + hint not in said and hint not in said) == []


@pytest.mark.parametrize("language, said", [("en", "choice 2 (c) is closed then; it is open Monday to Friday, Sunday, 08:00 to 18:00"), ("zh_CN", "出路 2（c）届时关闭；开放时间为星期一至星期五, 星期日 08:00 至 18:00")])
def test_days_of_a_route_are_words(language, said):
    step = {"key": "choice.hours", "arguments": {"choice": 2, "trunk_group": "c", "days": [[1, 5], [7, 7]], "from": "08:00", "to": "18:00"},
            "text": "choice 2 (c) is closed then; it is open Monday to Friday, Sunday, 08:00 to 18:00"}
    assert Sayings(render.CATALOGUES[language]).route_step(step) == said
