"""A real PostgreSQL for tests: its own folder and port, run by an ordinary user, killed and started again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.harness.child import Child
from tests.harness.mosquitto import free_port
from tests.harness.waiting import wait_until

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
OLDEST = 15
USER = "lab"
"""The superuser of the test's server."""
_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
_SMALL = {"max_connections": "40", "shared_buffers": "64MB", "max_wal_size": "256MB", "autovacuum_naptime": "5min"}


class Postgres:
    """One server on the loopback interface and on a socket; a `with` block starts it and never leaves it behind.

    durable: it syncs what it commits, as a lab's does; else it is quick, and loses everything with the machine.
    """

    def __init__(self, *, durable: bool = False, **settings: str) -> None:
        """Make the database's files; nothing runs yet."""
        self.programs = find_postgres()
        self.folder = Path(tempfile.mkdtemp(prefix="cageclock-postgres-", dir="/tmp"))
        self.host, self.port, self.durable = "127.0.0.1", free_port(), durable
        self._as_user = _ordinary_user(self.folder)
        self._databases = 0
        settings = {**_SMALL, **({} if durable else _QUICK), **settings, "port": str(self.port)}
        settings |= {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "logging_collector": "off",
        }
        words = ["-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", *words)
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        command = [*self._as_user, str(self.programs / "postgres"), "-D", str(self._data)]
        self.child = Child(command, self.folder / "server.log", PYTHONPATH="")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def __enter__(self) -> Postgres:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it and take its files away, whatever its state."""
        if self.child.exit_code() is None:
            self.child.send(signal.SIGQUIT)  # at once, and it gives its shared memory back
            self.child.ended()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start, and wait until it takes connections: after a crash it first reads its journal."""
        self.child.start()
        wait_until(lambda: self.child.exit_code() is not None or self.answers())
        assert self.child.exit_code() is None, f"PostgreSQL did not start:\n{self.child.log()}"

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            with self.connect():
                return True
        except psycopg.Error:
            return False

    def stop(self) -> None:
        """End it at once but cleanly."""
        self.child.send(signal.SIGINT)
        self.child.ended()

    def kill(self) -> None:
        """End it as a crash would: the server and each of its sessions."""
        if self.child.exit_code() is not None:
            return
        sessions = self.processes()
        self.child.kill()
        for process in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not any(_is_there(process) for process in sessions))

    def kill_session(self, process: int) -> None:
        """Kill one session's process, upon which the server ends all others and starts anew by itself."""
        os.kill(process, signal.SIGKILL)

    def connect(self, database: str = "postgres", user: str = USER) -> psycopg.Connection:
        """Return a session in autocommit mode."""
        return psycopg.connect(
            host=self.host, port=self.port, dbname=database, user=user, autocommit=True, connect_timeout=10
        )

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        self._databases += 1
        name = f"lab_{self._databases}"
        with self.connect() as session:
            session.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str, user: str = USER) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    def processes(self) -> list[int]:
        """Return the numbers of its sessions and helpers."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.child.pid:
                    found.append(int(folder.name))
        return found

    def _run(self, program: str, *words: str) -> None:
        command = [*self._as_user, str(self.programs / program), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"


def find_postgres() -> Path:
    """Return the folder of PostgreSQL's programs; a machine without them fails the test, with the reason."""
    found = [path.parent for place in _PLACES for path in Path(place).glob("*/bin/postgres")]
    found += [path.parent for path in Path("/usr/local/pgsql/bin").glob("postgres")]
    versions = {_version(folder): folder for folder in found}
    newest = max(versions, default=0)
    assert newest >= OLDEST, (
        f"PostgreSQL {OLDEST} or later is not installed; apt-get install postgresql, or tools/system_packages.sh"
    )
    return versions[newest]


def _is_there(process: int) -> bool:
    """Return whether a process runs; one that this process has adopted, and that has ended, is taken note of."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    return Path(f"/proc/{process}").exists()


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[2].split(".")[0])


def _ordinary_user(folder: Path) -> list[str]:
    """Return what a command begins with to run as a user who may own a server, and give that one the folder.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    raise AssertionError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def each_database(server: Postgres) -> Iterator[str]:
    """Yield the URL of a new database, which is dropped behind it."""
    url = server.new_database()
    yield url
    with server.connect() as session:
        session.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")
