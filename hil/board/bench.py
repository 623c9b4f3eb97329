"""What the board emulator costs: `python -m hil.board.bench [--lines 64] [--seconds 10] [--crc4]`.

Starts an emulator, connects the lines to far ends that send each block straight
back, and prints one JSON object: CPU of the emulator's process as per cent of a
core, late answers, moves of its time base."""

import argparse
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from hil import scratch
from hil.line import BLOCK_OCTETS, LineClient


def cpu_seconds(pid):
    """CPU time of a process so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(run_dir, request):
    """One request to the control socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.path.join(run_dir, "board", "control.sock"))
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile() as answers:
            return json.loads(answers.readline())


def crc4_on(run_dir, spans):
    """Switch the CRC-4 multiframe on through the request ring, as the firmware would."""
    with open(os.path.join(run_dir, "board", "window"), "r+b") as window:
        window.seek(0x28)
        start, = struct.unpack("<I", window.read(4))
        for span in range(spans):
            for register, value in ((0x1D, 0x0C), (0x1E, 0x82)):
                window.seek(0x58)
                place, = struct.unpack("<I", window.read(4))
                window.seek(start + place * 16 + 4)
                window.write(struct.pack("<III", 1, span << 16 | register, value))
                window.seek(start + place * 16)
                window.write(struct.pack("<I", 1))
                window.flush()
                time.sleep(0.015)


def echo(lines, seconds):
    """Send each block straight back for a while.  lines: sockets."""
    poll = select.epoll()
    sockets = {line.fileno(): line for line in lines}
    for number in sockets:
        poll.register(number, select.EPOLLIN)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in poll.poll(0.1):
            sockets[number].send(sockets[number].recv(BLOCK_OCTETS))


def measure(count=64, seconds=10.0, crc4=False):
    """Figures with `count` connected lines, a dict."""
    with scratch.folder("board-") as run_dir:
        board = subprocess.Popen([sys.executable, "-m", "hil.board", "--run", run_dir], stdout=subprocess.PIPE)
        try:
            board.stdout.readline()
            lines = [LineClient(os.path.join(run_dir, "lines", "%d.sock" % span)) for span in range(1, count + 1)]
            sockets = [line.socket for line in lines]
            if crc4:
                crc4_on(run_dir, count)
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(42))
            except OSError:
                pass
            echo(sockets, 1.0)
            before, cpu = ask(run_dir, {"do": "status"}), cpu_seconds(board.pid)
            started = time.monotonic()
            echo(sockets, seconds)
            wall = time.monotonic() - started
            used = cpu_seconds(board.pid) - cpu
            after = ask(run_dir, {"do": "status"})
        finally:
            board.send_signal(signal.SIGTERM)
            try:
                board.wait(10)
            finally:
                board.kill()
                board.wait()
                board.stdout.close()

    def total(status, name):
        return sum(line[name] for line in status["lines"])
    return {"lines": count, "crc4": crc4, "seconds": round(wall, 1), "cpu_percent_of_core": round(100 * used / wall, 2),
            "late_answers": total(after, "late") - total(before, "late"),
            "crc_errors": total(after, "crc_errors") - total(before, "crc_errors"),
            "lines_in_frame": sum(not line["alarms"] for line in after["lines"]),
            "moved_time_base": after["board"]["moved_time_base"] - before["board"]["moved_time_base"],
            "worst_late_us": after["board"]["worst_late_us"], "real_time": after["board"]["real_time"]}


def results():
    """For `make bench`.  The aim is ours: under 20 % of a core with 64 connected lines."""
    figures = measure(64, 5.0, True)
    value = figures["cpu_percent_of_core"]
    return [{"name": "board.emulator_cpu_64_lines", "value": value, "unit": "% of a core", "reference": "own aim: at most",
             "reference_value": 20.0, "ratio": round(value / 20.0, 3)}]


def main():
    parser = argparse.ArgumentParser(prog="python -m hil.board.bench")
    parser.add_argument("--lines", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--crc4", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.lines, options.seconds, options.crc4)))


if __name__ == "__main__":
    main()
