"""What a person sees, on a page that renews itself."""

import types

from selenium.common.exceptions import StaleElementReferenceException

from hil.browser import Person


class Element:
    def __init__(self, gone):
        self.gone = gone

    def is_displayed(self):
        if self.gone:
            raise StaleElementReferenceException("the page has replaced it")
        return True


def test_an_element_that_is_replaced_while_it_is_looked_at_is_looked_for_again():
    person, looks = Person.__new__(Person), [Element(True), Element(True), Element(False)]
    shown = looks[-1]
    person.driver = types.SimpleNamespace(find_elements=lambda by, selector: [looks.pop(0)], current_url="")
    assert person.see("td") is shown and not looks
