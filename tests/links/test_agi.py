"""FastAGI: our side against Debian's Asterisk::AGI and against programs that fail; the call behind it is a table."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from firmware.errors import LocalError
from firmware.links.agi import AGISession

ASK = {"call": "c17", "token": "c17-q1", "request": {"service": "agi", "script": "pay/now", "language": "zh_CN", "arguments": ["a b", "2"], "timeout_s": 60},
       "caller": {"caller": "13912345678", "called": "02150801000", "language": "zh_CN"}}
PERL = r"""
use Asterisk::AGI; $| = 1;
my $AGI = new Asterisk::AGI; my %in = $AGI->ReadParse();
die "no greeting" unless $in{uniqueid} eq 'c17' && $in{arg_1} eq 'a b' && $in{callerid} eq '13912345678' && $in{network_script} eq 'base/pay/now';
$AGI->answer(); $AGI->channel_status() == 6 or die "status";
my $digits = $AGI->get_data('enter', 5000, 4); $digits eq '1234' or die "digits $digits";
$AGI->set_variable('account', $digits); $AGI->get_variable('ACCOUNT') eq '1234' or die "variable";
$AGI->say_number(42, '') == 0 or die "number"; $AGI->say_digits('07', '#') == 0 or die "say digits";
$AGI->stream_file('thanks', '1#') == ord('1') or die 'stream ' . $AGI->_lastresponse(); $AGI->wait_for_digit(3000) == ord('5') or die "wait";
$AGI->verbose('all is well', 1); $AGI->exec('Playback', 'x') == -2 or die "exec";
$AGI->say_date(1767571500, ''); $AGI->set_extension('rich'); $AGI->noop();
print STDERR "FINISHED\n";
"""


class Call:
    """What stands behind the session: does what it is asked, notes it."""

    def __init__(self):
        self.asked, self.variables, self.gone = [], {}, False

    async def operate(self, operation):
        await asyncio.sleep(0)
        if self.gone:
            return None
        self.asked.append(operation)
        do = operation["do"]
        if do == "collect":
            return {"digits": "5" if operation["length"] == 1 else "1234"[:operation["length"]], "timeout": False}
        if do == "play":
            return {"key": operation["keys"][:1] if operation["items"] == ["thanks"] else ""}
        if do == "set":
            self.variables.update(operation["variables"])
            return {"set": True}
        if do == "get":
            return {"value": self.variables.get(operation["expression"])}
        if do == "record":
            return {"recorded": {"recording": "r1", "duration_ms": 1500, "path": "p"}}
        return {}


def session(serve, call=None):
    """(node or sentence, the call, what the program printed) of one session with serve(reader, writer)."""
    async def work():
        done = asyncio.get_running_loop().create_future()

        async def accept(reader, writer):
            try:
                result = await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError) as error:
                result = error
            if not done.done():
                done.set_result(result)
            writer.close()
        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        known = call or Call()
        one = AGISession({"name": "agi", "address": "agi://127.0.0.1:%d/base" % listener.sockets[0].getsockname()[1]}, ASK, known.operate, "Asia/Shanghai")
        try:
            found = await asyncio.wait_for(one.run(), 30)
        except LocalError as error:
            found = str(error)
        printed = await asyncio.wait_for(done, 30)
        listener.close()
        return found, known, printed
    return asyncio.run(work())


def program(command):
    """A program with the connection as its standard input and output, as inetd starts it."""
    async def serve(reader, writer):
        sock = writer.get_extra_info("socket")
        copy = os.dup(sock.fileno())
        os.set_blocking(copy, True)
        writer.transport.pause_reading()
        process = await asyncio.create_subprocess_exec(*command, stdin=copy, stdout=copy, stderr=subprocess.PIPE)
        os.close(copy)
        said = (await process.stderr.read()).decode()
        await process.wait()
        return said
    return serve


def test_the_library_of_debian():
    if not shutil.which("perl") or subprocess.run(["perl", "-MAsterisk::AGI", "-e", "1"], capture_output=True).returncode:
        pytest.skip("Asterisk::AGI is not installed (Debian: libasterisk-agi-perl)")
    found, call, printed = session(program(["perl", "-e", PERL]))
    assert "FINISHED" in printed, (printed, call.asked)
    assert found == "rich"
    assert call.asked[0] == {"do": "collect", "items": ["enter"], "length": 4, "terminator": "#", "first_timeout_s": 5.0, "digit_timeout_s": 5.0, "secret": False}
    assert {"do": "play", "items": [{"number": "42"}], "keys": ""} in call.asked and {"do": "play", "items": [{"digits": "07"}], "keys": "#"} in call.asked
    assert {"do": "play", "items": [{"date": "2026-01-05T08:05"}], "keys": ""} in call.asked
    assert call.variables == {"account": "1234"}


def test_the_library_of_python():
    pytest.importorskip("asterisk.agi")
    source = ("import sys\nfrom asterisk.agi import AGI\na = AGI()\nassert a.env['agi_uniqueid'] == 'c17'\na.answer()\n"
              "assert a.get_data('enter', 3000, 4) == '1234'\na.set_variable('x', 'y z')\nassert a.get_variable('x') == 'y z'\n"
              "assert a.wait_for_digit(2000) == '5'\na.say_number('3')\na.stream_file('hello')\nsys.stderr.write('FINISHED')\n")
    found, call, printed = session(program([sys.executable, "-c", source]))
    assert found is None and "FINISHED" in printed, printed


async def read_greeting(reader):
    while (await reader.readline()).strip():
        pass


def talk(*commands):
    async def serve(reader, writer):
        await read_greeting(reader)
        answers = []
        for command in commands:
            writer.write(command.encode() + b"\n")
            answer = (await reader.readline()).decode().strip()
            while answer.startswith("520-") or answer[:1].isalpha() and answer != "HANGUP":
                answer = (await reader.readline()).decode().strip()
            answers.append(answer)
        return answers
    return serve


def test_commands_and_wrong_ones():
    found, call, answers = session(talk("NOOP", "dance", "STREAM FILE ", "RECORD FILE x wav", "STREAM FILE ../../etc/passwd \"\"", "GET DATA enter 100 2", "WAIT FOR DIGIT x",
                                        "RECORD FILE msg wav # 5000 BEEP", "GET VARIABLE nothing", "SAY ALPHA ab1 \"\"", "SAY NUMBER 7 \"", "SET VARIABLE A \"b c\""))
    assert answers == ["200 result=0", "510 Invalid or unknown command", "520 End of proper usage.", "520 End of proper usage.", "200 result=0 endpos=0", "200 result=12",
                       "520 End of proper usage.", "200 result=0 (timeout) endpos=12000", "200 result=0", "200 result=0", "200 result=0", "200 result=1"]
    assert {"do": "play", "items": ["passwd"], "keys": ""} in call.asked       # a prompt of that name, no file
    assert call.variables["a"] == "b c" and found is None


def test_what_is_secret_stays_between_caller_and_program():
    _, call, _ = session(talk("SET VARIABLE SECRET 1", "GET DATA pin 5000 4"))
    assert call.asked[-1]["secret"] is True


def test_a_caller_who_has_gone():
    call = Call()
    call.gone = True
    _, _, answers = session(talk("STREAM FILE a \"\"", "NOOP"), call)
    assert answers[0] in ("HANGUP", "511 Command Not Permitted on a dead channel or intercept routine")


def test_programs_that_fail():
    async def dies_in_a_line(reader, writer):
        await read_greeting(reader)
        writer.write(b"STREAM FI")
        await writer.drain()

    async def dies_in_a_command(reader, writer):
        await read_greeting(reader)
        writer.write(b"STREAM FILE slow \"\"\n")
        await writer.drain()

    async def long_line(reader, writer):
        await read_greeting(reader)
        writer.write(b"x" * 100000)
        await writer.drain()
        await asyncio.sleep(0.2)

    class Slow(Call):
        async def operate(self, operation):
            await asyncio.sleep(60)
    assert "middle of a line" in session(dies_in_a_line)[0]
    assert "had something done" in session(dies_in_a_command, Slow())[0]
    assert "failed" in session(long_line)[0]

    async def nobody():
        listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        listener.close()
        await listener.wait_closed()
        with pytest.raises(LocalError, match="cannot be reached"):
            await AGISession({"name": "agi", "address": "agi://127.0.0.1:%d" % port}, ASK, Call().operate, "UTC").run()
    asyncio.run(nobody())
