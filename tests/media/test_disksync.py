"""Syncing of recordings: soon, once for all files, only where something was written; a disk that refuses is told once."""

import errno
import os
import time

import pytest

from firmware.media import disksync


@pytest.fixture
def syncing(monkeypatch):
    monkeypatch.setattr(disksync, "SYNC_S", 0.005)
    made = []

    def make(sync):
        made.append(disksync.DiskSync(sync))
        made[-1].start()
        return made[-1]
    yield make
    for thread in made:
        thread.end()
        thread.join(5)
        assert not thread.is_alive()


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_one_sync_a_file_system_and_none_where_nothing_was_written(syncing, tmp_path):
    called = []
    thread = syncing(lambda descriptor: called.append(os.fstat(descriptor).st_dev))
    (tmp_path / "a").mkdir()
    thread.opened(tmp_path)
    thread.opened(tmp_path / "a")
    until(lambda: called)
    time.sleep(0.05)
    assert set(called) == {os.stat(tmp_path).st_dev} and len(called) <= 2
    before = len(called)
    thread.wrote()
    until(lambda: len(called) == before + 1)


def test_what_is_written_last_is_synced_at_the_end(monkeypatch, tmp_path):
    monkeypatch.setattr(disksync, "SYNC_S", 3600)
    called = []
    thread = disksync.DiskSync(called.append)
    thread.start()
    thread.opened(tmp_path)
    thread.end()
    thread.join(10)
    assert len(called) == 1 and not thread.is_alive()
    with pytest.raises(OSError):
        os.fstat(called[0])                     # its descriptors are closed


def test_a_disk_that_refuses_is_told_once_and_tried_again(syncing, tmp_path, caplog):
    answers = [OSError(errno.EIO, "Input/output error")] * 3

    def sync(descriptor):
        if answers:
            raise answers.pop()
    thread = syncing(sync)
    thread.opened(tmp_path)
    for number in range(1, 5):
        until(lambda: thread.count >= number)
        thread.wrote()
    assert thread.failed is None
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "power cut" in said[0] and "again" in said[1]


def test_the_real_call_works_here(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    disksync.syncfs(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError) as caught:
        disksync.syncfs(descriptor)
    assert caught.value.errno == errno.EBADF
