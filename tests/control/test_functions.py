"""The table of the call centre's functions (functions.tsv): each is in the local API, in REST of the web process and in the command `strowger`, and
the tests that it names are there.  What the API gains has to come into the table."""

import csv
import pathlib
import re
import types

import pytest

from firmware.cli.__main__ import parser
from firmware.cli.verbs import HELP
from firmware.control import api, api_campaigns, api_desk, api_documents, api_floor, api_flow_staffing, api_flows, api_journal, api_operations, api_prompts, api_reports, api_staffing, api_users
from webui import pages

ROOT = pathlib.Path(__file__).parents[2]
PARTS = (api_operations.OperationsAPI, api_desk.DeskAPI, api_floor.FloorAPI, api_flows.FlowsAPI, api_reports.ReportsAPI, api_staffing.StaffingAPI, api_flow_staffing.FlowStaffingAPI, api_campaigns.CampaignsAPI, api_journal.JournalAPI,
         api_prompts.PromptsAPI, api_documents.DocumentsAPI, api_users.UsersAPI)
with open(pathlib.Path(__file__).with_name("functions.tsv"), encoding="utf-8", newline="") as file:
    ROWS = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def pattern_of(routes, method, path):
    """The route that takes a request."""
    parts = path.split("/")
    return next(((wanted, pattern) for wanted, pattern, _ in routes
                 if wanted == method and len(pattern) == len(parts) and all(p in (None, q) for p, q in zip(pattern, parts))), None)


def test_the_api_has_each_and_the_table_has_what_the_api_has(site):
    house, _, _ = site.house()
    whole = api.API(house)
    named = {(row[1], row[2]): pattern_of(whole._routes, row[1], row[2]) for row in ROWS}
    house.database.close()
    assert [key for key in named if named[key] is None] == []
    known = {(method, pattern) for part in PARTS for method, pattern, _ in part(whole).routes()}
    assert known - set(named.values()) == set()


def test_the_web_process_hands_each_on():
    users = types.SimpleNamespace(path=pathlib.Path("users.json"))
    app = pages.build(types.SimpleNamespace(), users, types.SimpleNamespace(), ".", lambda: "")
    lost = []
    for _, method, path, *_ in ROWS:
        if path == "events":
            continue                    # as server-sent events, beside the pages: webui/live.py
        try:
            app.router.match({"PATH_INFO": "/api/v1/" + path, "REQUEST_METHOD": method})
        except Exception as error:
            lost.append((method, path, str(error)))
    assert lost == []


@pytest.mark.parametrize("words", sorted({row[3] for row in ROWS}))
def test_the_command_line_takes_each(words):
    parser().parse_args(words.split(" "))


def test_the_tests_that_it_names_are_there():
    lost = []
    for row in ROWS:
        for name in row[4:6]:
            path, _, function = name.partition("::")
            if name != "-" and not ((ROOT / path).is_file() and re.search(r"^(async )?def %s\b" % re.escape(function), (ROOT / path).read_text(encoding="utf-8"), re.M)):
                lost.append((row[0], name))
    assert lost == []
    assert all(len(row) == 6 for row in ROWS) and [row[0] for row in ROWS if not row[4].startswith("tests/live/") or row[5] == "-"] == []


def test_each_verb_says_in_a_sentence_what_it_does(capsys):
    """And none is told of that is not there: `strowger --help` is what a person has who does not know the verb."""
    actions = next(action for action in parser()._actions if action.dest == "verb")
    assert set(actions.choices) == set(HELP)
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert [name for name, sentence in HELP.items() if "%s %s" % (name, sentence) not in shown] == []
    assert [name for name, sentence in HELP.items() if len(sentence.split()) < 3 or sentence.endswith(".")] == []
