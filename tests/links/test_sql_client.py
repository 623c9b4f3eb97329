"""SQL questions of flows: SQLite here, real PostgreSQL and MariaDB servers, servers that hang, talk rubbish or never end."""

import asyncio
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest

from firmware.errors import LocalError
from firmware.ivr.requests import Hidden
from firmware.ivr.statement import names, parts
from firmware.links import lookups
from firmware.links.sql_client import SQLClient
from hil.ports import free_port


def service(kind, address, **more):
    return {"name": "db", "kind": kind, "address": address, "database": "", "user": "", "password": "", "connections": 2, "timeout_s": 20,
            "max_octets": 20000, "write": False, "verify": True, **more}


def ask(row, folder, statement, parameters=None, most_rows=10, timeout_s=20, client=None):
    async def work():
        nonlocal client
        client = SQLClient(row, str(folder))
        try:
            return await client.ask({"service": "db", "statement": statement, "parameters": parameters or {}, "most_rows": most_rows, "timeout_s": timeout_s})
        except LocalError as error:
            return str(error)
        finally:
            client.close()
    return asyncio.run(work())


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("databases")
    with sqlite3.connect(folder / "c.db") as db:
        db.execute("create table account (number text, balance decimal, level text, photo blob)")
        db.executemany("insert into account values (?, ?, ?, ?)", [("%04d" % n, n / 2, "gold" if n % 2 else None, b"\xff\x00") for n in range(50)])
    db.close()
    return folder


def test_placeholders():
    assert names("select a::text, ':x', \":y\" from t -- :z\n where b = :b and c = :c /* :d */ or d = :b") == ["b", "c"]
    assert "".join(text if kind == "text" else "?" for kind, text in parts("a = :a and b = ':b'")) == "a = ? and b = ':b'"


def test_sqlite(file):
    row = service("sqlite", "c.db")
    found = ask(row, file, "select number, balance, level, photo from account where number = :n", {"n": "0003"})
    assert found == {"rows": [{"number": "0003", "balance": 1.5, "level": "gold", "photo": "ff00"}], "count": 1}
    assert ask(row, file, "select number from account order by number", most_rows=2) == {"rows": [{"number": "0000"}, {"number": "0001"}], "count": 2}
    assert ask(row, file, "select 1 where :a = '1 or 1=1'", {"a": "1"}) == {"rows": [], "count": 0}
    assert "readonly" in ask(row, file, "delete from account") and "no such table" in ask(row, file, "select * from nowhere")
    assert ask(dict(row, write=True), file, "update account set level = 'vip' where number = :n", {"n": "0001"}) == {"rows": [], "count": 1}
    assert "attached" in ask(row, file, "attach 'x.db' as x") and "there is no file" in ask(service("sqlite", "none.db"), file, "select 1")
    assert "did not answer in time" in ask(row, file, "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r", timeout_s=0.2)
    assert "too big" in ask(row, file, "select zeroblob(100000)")
    said = ask(row, file, "select abs('x', :pin)", {"pin": Hidden("0909")})
    assert "refuses" in said and "0909" not in said and "hidden" not in said


class Fake(threading.Thread):
    """A server that does one thing to each that comes."""

    def __init__(self, do):
        super().__init__(daemon=True)
        self.do, self.listener = do, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        try:
            self.do(sock)
        except OSError:
            pass
        sock.close()


def hang(sock):
    sock.recv(100000)
    sock.recv(100000)


def silent(sock):
    time.sleep(100)


def drip(sock):
    # A long message, an octet now and then: no single wait is long.  PostgreSQL: no TLS, a request for authentication; MySQL: the greeting
    first = True
    while True:
        sock.sendall(b"NR\x00\x00\x07\xd0" if first else b"\x00")
        first = False
        time.sleep(0.05)


def rubbish(sock):
    sock.sendall(os.urandom(64) + b"\n" * 64)
    sock.recv(1000)


def flood(sock):
    # PostgreSQL: an error message of 1 GB; MySQL: packets of 16 MB
    while True:
        sock.sendall((b"E\x40\x00\x00\x00" + b"x" * 60000))


@pytest.mark.parametrize("kind", ("postgresql", "mysql"))
@pytest.mark.parametrize("do", (hang, silent, drip, rubbish, flood), ids=lambda f: f.__name__)
def test_servers_that_are_none(kind, do):
    pytest.importorskip("pg8000")
    pytest.importorskip("pymysql")
    fake = Fake(do)
    slow = do in (hang, silent, drip)
    found = ask(service(kind, "127.0.0.1:%d" % fake.port, user="u", timeout_s=1 if slow else 10), "", "select 1", timeout_s=0.5 if slow else 10)
    assert not slow or found == "db did not answer in time"
    for thread in threading.enumerate():
        if thread.name.startswith("sql-db"):
            thread.join(30)         # one that waits for ever keeps the process from its end
            assert not thread.is_alive()
    fake.listener.shutdown(socket.SHUT_RDWR)
    fake.listener.close()
    assert isinstance(found, str) and found.startswith("db "), found
    gone = ask(service(kind, "127.0.0.1:%d" % fake.port, user="u"), "", "select 1")
    assert "cannot be reached" in gone or "refuses" in gone, gone


def drop(name):
    """For subprocess: as another user, since the servers refuse root."""
    return {"user": name, "group": pwd.getpwnam(name).pw_gid} if os.getuid() == 0 else {}


def served(command, socket_path, **more):
    """A server on a port that is drawn just before it begins; drawn again where it ends at once: somebody was faster.  Returns (process, port).

    command: of a port.  socket_path: of a port; the file that is there when it serves."""
    for _ in range(3):
        port = free_port()
        process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more, **drop("nobody"))
        for _ in range(600):
            if pathlib.Path(socket_path(port)).exists():
                return process, port
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            process.kill()
            process.wait()
            pytest.fail("the server did not come up")
    pytest.fail("the server ended three times, the last time with %d" % process.returncode)


@pytest.fixture
def open_folder():
    """A folder that another user may use: pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory(prefix="strowger-sql-") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


COMMON = [
    ("insert into account values (:n, :b, :d)", {"n": "00'42", "b": "12.50", "d": "2026-01-05"}, {"rows": [], "count": 1}),
    ("select number, balance, since from account where number = :n", {"n": "00'42"}, {"rows": [{"number": "00'42", "balance": "12.50", "since": "2026-01-05"}], "count": 1}),
    ("select number from account where balance > :b and number like '%4%'", {"b": 12}, {"rows": [{"number": "00'42"}], "count": 1}),
    ("select number from account where number = :n", {"n": "x' or '1'='1"}, {"rows": [], "count": 0}),
    ("update account set balance = balance - :b where number = :n", {"b": "2.25", "n": "00'42"}, {"rows": [], "count": 1}),
    ("select balance from account", {}, {"rows": [{"balance": "10.25"}], "count": 1})]


def common(row):
    assert ask(row, "", "create table account (number varchar(20), balance decimal(10,2), since date)")["rows"] == []
    for statement, parameters, answer in COMMON:
        assert ask(row, "", statement, parameters) == answer, statement
    said = ask(row, "", "select * from nowhere where a = :pin", {"pin": Hidden("0909")})
    assert "refuses" in said and "0909" not in said
    assert "nowhere" in ask(row, "", "select * from nowhere")


def owner(row):
    """The account's owner as a queue asks for it (links/lookups.py)."""
    assert ask(row, "", "create table owner (phone varchar(20), agent varchar(20), level integer)")["rows"] == []
    ask(row, "", "insert into owner values (:p, :a, 3)", {"p": "13912345678", "a": "1002"})
    databases = lookups.Databases("")
    lookup = {"name": "owner", "kind": "sql", "service": row["name"], "query": "select agent, level from owner where phone = :caller and phone <> :called"}
    config = {"services": [row]}

    def found(caller, function=lookups.ask, limit_s=20, **more):
        return function(databases.ready({**lookup, **more}, config), caller, "021'; drop table owner", time.monotonic() + limit_s)
    assert found("13912345678") == "1002" and found("13800000000") is None and found("x' or '1'='1") is None
    assert found("13912345678", lookups.ask_all) == [("agent", "1002"), ("level", 3)]
    for more, words in (({"query": "select agent from nowhere"}, "nowhere"), ({"query": "select :pin"}, "a lookup does not know"), ({"service": "gone"}, "no service gone")):
        with pytest.raises((LocalError, ValueError), match=words):
            found("1", **more)
    with pytest.raises(TimeoutError, match="not asked in time"):
        found("1", limit_s=-1)
    config["services"] = [dict(row, address="127.0.0.1:1")]     # new settings, a new client
    with pytest.raises(LocalError, match="cannot be reached"):
        found("1")
    databases.close()


def test_postgresql(open_folder):
    pytest.importorskip("pg8000")
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    program = pathlib.Path(programs[-1]).parent
    data = open_folder / "pg"
    data.mkdir()
    shutil.chown(data, "nobody")
    subprocess.run([program / "initdb", "-D", data, "-U", "crm", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"], check=True, capture_output=True, **drop("nobody"))
    process, port = served(lambda port: [program / "postgres", "-D", data, "-p", str(port), "-k", data, "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"],
                           lambda port: data / (".s.PGSQL.%d" % port), cwd=data)
    try:
        row = service("postgresql", "127.0.0.1:%d" % port, user="crm", database="postgres")
        for _ in range(100):
            found = ask(row, "", "select 1 as one")
            if found == {"rows": [{"one": 1}], "count": 1}:
                break
            time.sleep(0.1)
        common(row)
        owner(row)
        assert "did not answer in time" in ask(row, "", "select pg_sleep(30)", timeout_s=0.3)
        assert "longer than 20000" in ask(row, "", "select repeat('x', 200000000)")
        assert ask(row, "", "select n from generate_series(1, 100) n", most_rows=3)["rows"] == [{"n": 1}, {"n": 2}, {"n": 3}]
    finally:
        process.send_signal(signal.SIGINT)      # at once, whoever is connected
        process.wait(30)


def test_mariadb(open_folder):
    pytest.importorskip("pymysql")
    server = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
    if not os.path.exists(server):
        pytest.skip("MariaDB is not installed (Debian: mariadb-server-core)")
    data = open_folder / "my"
    (data / "test").mkdir(parents=True)
    shutil.chown(data / "test", "nobody")
    shutil.chown(data, "nobody")
    process, port = served(lambda port: [server, "--no-defaults", "--datadir=%s" % data, "--port=%d" % port, "--bind-address=127.0.0.1", "--socket=%s/s" % data,
                                         "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--skip-grant-tables", "--skip-networking=0"],
                           lambda port: data / "s")
    try:
        row = service("mysql", "127.0.0.1:%d" % port, user="crm", database="test")
        common(row)
        owner(row)
        assert "did not answer in time" in ask(row, "", "select sleep(30)", timeout_s=0.3)
        assert "longer than 20000" in ask(row, "", "select repeat('x', 2000000)")
        assert ask(row, "", "select seq as n from seq_1_to_100 where seq % 2 = 0", most_rows=2)["rows"] == [{"n": 2}, {"n": 4}]
    finally:
        process.terminate()
        process.wait(30)
