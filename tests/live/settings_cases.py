"""Live: a person sets a route up in the browser, asks where a number would go, a call goes there, and the undo takes it back; collected in
test_outgoing.py, in the house of pri_house.py.  The far end is libpri; callers come in over span 1 and out over span 12."""

from hil.browser import Person
from tests.live.pri_house import hang_up
from tests.live.routing_cases import OUT, explained, goes_as_explained


def fill(person, **fields):
    """Write into inputs, dots as two underlines."""
    for name, text in fields.items():
        field = person.see("[name='%s']" % name.replace("__", "."))
        if field.tag_name == "input":
            field.clear()
        field.send_keys(text)


def test_a_route_is_set_up_by_forms_explained_used_and_undone(house, phone):
    """Over a kill of control between apply and undo."""
    house.far.policy()
    before = house.product.get("/configuration")
    with Person(house.web_url) as person:
        person.sign_in("admin", house.product.password)
        person.driver.get(person.url + "/configuration/routes/edit")
        person.see("button[value='add:choices']").click()
        fill(person, number="74.", choices__0__trunk_group="span12", choices__0__strip="20", choices__0__prefix="17951")
        person.see("button[value=preview]:not(.default)").click()
        assert "takes 20 digits away" in person.text("[data-field='choices.0.strip'] .why")
        fill(person, choices__0__strip="2")
        person.see("button[value=preview]:not(.default)").click()
        assert "17951" in person.text("#changes") and house.product.get("/configuration") == before, "nothing is done before it is applied"
        person.see("button[value=apply]").click()
        assert "74." in person.text("#rows") and house.product.get("/configuration")["revision"] == before["revision"] + 1
        person.driver.get(person.url + "/route?digits=74%s&who=group:carrier" % OUT)
        told = next(way for way in explained(house, "74" + OUT)["ways"] if way["why"] is None)
        assert "17951" + OUT in person.text("article.way") and "%d / %d" % tuple(told["first"]) in person.text("article.way h3")
        person.see("button[name=language][value=zh_CN]").click()
        assert "最长匹配" in person.text("#steps")
        person.driver.save_screenshot(str(house.folder / "route.png"))
        both, out = goes_as_explained(house, "74" + OUT)
        assert (out["span"], out["called"]) == (12, "17951" + OUT)
        house.kill("control")
        hang_up(house, *both)
        person.driver.get(person.url + "/configuration/routes?applied=%d" % (before["revision"] + 1))
        person.see("#undo").click()
        assert "74." in person.text("#changes tr.removed")
        person.see("button[value=apply]").click()
        person.see("#history")
    after = house.product.get("/configuration")
    assert after["configuration"] == {**before["configuration"], "revision": before["revision"] + 2}
    assert not explained(house, "74" + OUT)["allowed"]
