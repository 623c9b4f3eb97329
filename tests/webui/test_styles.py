"""The style sheet and the templates: what our own Content-Security-Policy would block, and boxes that must be seen."""

import pathlib
import re

import webui

HERE = pathlib.Path(webui.__file__).parent if webui.__file__ else pathlib.Path(next(iter(webui.__path__)))
STYLE = (HERE / "static" / "strowger.css").read_text()


def test_no_template_has_a_style_of_its_own():
    found = [path.name for path in sorted((HERE / "templates").glob("*.html")) if re.search(r"\sstyle=", path.read_text())]
    assert found == [] and "td.wrapped { white-space: normal; }" in STYLE


def test_a_check_box_in_a_row_of_fields_keeps_its_size():
    """width: auto lets the base sheet's box shrink to a sliver."""
    rules = re.findall(r"\.inline input\[type=checkbox\] \{([^}]*)\}", STYLE)
    assert len(rules) == 1 and re.search(r"width: 1\.25em", rules[0]) and "flex: none" in rules[0]
    box = re.search(r'<label class="check"><span><input name="loop".*?</span><small>.*?</small></label>', (HERE / "templates" / "turn_up.html").read_text())
    assert box and re.search(r"label\.check \{[^}]*flex-direction: column", STYLE)       # its words below one another, not upon one another
