"""Fixtures: a fake board, the media process on it, a control connection."""

import importlib.util
import pathlib

import pytest

spec = importlib.util.spec_from_file_location("fake_board", pathlib.Path(__file__).with_name("fake_board.py"))
fake_board = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake_board)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """(board, media) for all tests of a module."""
    folder = tmp_path_factory.mktemp("media")
    board = fake_board.Board(folder).start()
    media = fake_board.Media(folder)
    yield board, media
    code = media.close()
    board.close()
    assert code == 0, (folder / "media.log").read_text()
    log = (folder / "media.log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def board(house):
    """The fake board."""
    return house[0]


@pytest.fixture
def media(house):
    """The media process."""
    return house[1]


@pytest.fixture
def control(media):
    """A connection; what a test made is subtracted afterwards."""
    connection = fake_board.Control(media.folder, epoch=media.epoch)
    connection.do("ack", upto=1 << 40)
    connection.events.clear()
    yield connection
    audit = connection.audit()
    for row in audit["recordings"]:
        connection.do("record_stop", id=row["id"])
    for row in audit["terminations"]:
        connection.do("subtract", id=row["id"])
    for row in audit["links"]:
        connection.do("link_close", link=row["link"])
    connection.close()


@pytest.fixture
def tools():
    """The module fake_board: Board, Media, Control, wav."""
    return fake_board
