"""The folders of measurements: none is left, and none is taken from who measures."""

import os
import signal
import subprocess
import sys

from firmware.media import bench_folder

HOLD = "from firmware.media import bench_folder\nwith bench_folder.folder() as path:\n    print(path, flush=True)\n    input()\n"


def test_what_a_killed_measurement_left_goes_with_the_next_and_what_is_used_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runs = [subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        killed, used = (run.stdout.readline().strip() for run in runs)
        runs[0].send_signal(signal.SIGKILL)
        runs[0].wait(10)
        assert os.path.isdir(killed)
        with bench_folder.folder() as ours:
            assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, (ours, used)))
        runs[1].communicate("\n", timeout=10)
        assert os.listdir(tmp_path) == []
    finally:
        for run in runs:
            run.kill()
            run.wait(10)
            run.stdin.close(), run.stdout.close()
