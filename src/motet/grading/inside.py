"""What runs behind the wall: a script with the standard library alone, that forks for each job.

`sandbox` starts it and sends jobs. It imports what jobs need, leaves the user's and the network's
namespaces where it may, and forks. The fork takes its limits, gives up every system call but those
of memory, time and the descriptors it has (seccomp), and only then reads the job. Nothing that it
runs opens a file, a socket or a process, so an answer imports what is imported here, and no more.

On Linux, on x86-64 and arm64. See seccomp(2), and the kernel's seccomp_filter.rst for the filter.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import math
import os
import platform
import re
import resource
import select
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from encodings.aliases import aliases
from functools import partial
from typing import Any, BinaryIO, NoReturn

HEADER = struct.Struct("!dQQ")
"""Of a job: its seconds, its bytes of memory, and the size of what follows."""
SIZE = struct.Struct("!Q")
"""Of a result; zero where the job failed."""
MOST_OUTPUT = 1 << 20
"""Bytes that a job may return."""

_LIBRARY = """
    abc array ast base64 binascii bisect calendar cmath codecs collections.abc colorsys contextlib
    copy csv dataclasses datetime decimal difflib enum fnmatch fractions functools gc getopt
    graphlib hashlib heapq hmac html.parser inspect io ipaddress itertools keyword math numbers
    operator pathlib pickle pprint queue random reprlib secrets shlex sqlite3 statistics string
    stringprep textwrap threading timeit traceback types typing unicodedata urllib.parse uuid
    warnings weakref xml.etree.ElementTree zlib _strptime encodings.idna encodings.punycode
""".split()

# Numbers by architecture, of asm/unistd_64.h and asm-generic/unistd.h. None of them takes a path
# or an address, and none makes a descriptor or a process.
_CALLS = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
        "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "exit": 60,
        "getcwd": 79, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131, "gettid": 186,
        "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222,
        "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216, "madvise": 233, "nanosleep": 101,
        "getpid": 172, "exit": 93, "getcwd": 17, "gettimeofday": 169, "getrusage": 165,
        "sigaltstack": 132, "gettid": 178, "futex": 98, "restart_syscall": 128,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "exit_group": 94,
        "getrandom": 278,
    },
}  # fmt: skip
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_* of linux/audit.h
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # instructions of linux/bpf_common.h
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # of linux/seccomp.h; 1 is EPERM
_DEATH_SIGNAL, _NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 1, 38, 22, 2  # of linux/prctl.h
_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000  # CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC

_STEPS = 2_000_000  # of SQLite's virtual machine: about a second
_ROWS = 10_000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def serve(jobs: BinaryIO, results: BinaryIO) -> None:
    """Say what the wall lacks, in no words if nothing, then answer jobs until there are no more."""
    for name in (*_LIBRARY, *(f"encodings.{name}" for name in set(aliases.values()))):
        with contextlib.suppress(ImportError):  # some encodings are Windows' alone
            importlib.import_module(name)
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_NAMESPACES)  # the filter holds where this is refused
    tried = _in_fork(_lack, seconds=5.0, memory=1 << 28)
    lack = json.loads(tried) if tried else "the process that tried the wall was ended"
    _send(results, lack.encode())
    while header := jobs.read(HEADER.size):
        seconds, memory, size = HEADER.unpack(header)
        job = partial(_do, jobs.read(size), walled=not lack)
        _send(results, _in_fork(job, seconds=seconds, memory=memory))


def raise_wall() -> None:
    """Leave this process no system call but those of `_CALLS`; the others fail with EPERM.

    Raises
    ------
    OSError
        The system has no such filter; the message says why.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _CALLS:
        raise OSError(f"there is no filter of system calls for {sys.platform} on {machine}")
    numbers = list(_CALLS[machine].values())
    steps = [
        (_LOAD, 0, 0, 4),  # the architecture, since each has numbers of its own
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        *((_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    system = ctypes.CDLL(None, use_errno=True)
    if system.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or system.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(f"seccomp is refused: {os.strerror(ctypes.get_errno())}")


def python(code: str, function: str, calls: list[list[Any]]) -> list[Any]:
    """Return what `function` of `code` returns for each list of arguments."""
    scope: dict[str, Any] = {"__name__": "answer"}
    exec(compile(code, "answer", "exec"), scope)  # noqa: S102  # this is what the wall is for
    return [scope[function](*arguments) for arguments in calls]


def sql_fault(setup: str, query: str) -> str:
    """Return what SQLite says against a query, or nothing."""
    import sqlite3

    try:
        _rows(setup, query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return str(error)
    return ""


def sql(setup: str, wanted: str, given: str) -> bool:
    """Return whether two queries have the same rows, in order where the first one orders them."""
    rows = _rows(setup, wanted)
    if re.search(r"\border\s+by\b", wanted, re.IGNORECASE):
        return rows == _rows(setup, given)
    return Counter(rows) == Counter(_rows(setup, given))


def regex(pattern: str, text: str) -> bool:
    """Return whether `pattern` occurs in `text`."""
    return re.search(pattern, text) is not None


def regex_cases(pattern: str, match: list[str], refuse: list[str]) -> bool:
    """Return whether `pattern` matches the one strings as a whole, and none of the others."""
    compiled = re.compile(pattern)
    return all(map(compiled.fullmatch, match)) and not any(map(compiled.fullmatch, refuse))


def same_json(text: str, wanted: Any) -> bool:
    """Return whether the first JSON object or array of `text` is `wanted`, order of keys aside."""
    try:
        return _same(json.loads(text), wanted)
    except (ValueError, RecursionError):
        start = re.search(r"[\[{]", text)
    return start is not None and _same(
        json.JSONDecoder().raw_decode(text, start.start())[0], wanted
    )


TASKS = {task.__name__: task for task in (python, sql_fault, sql, regex, regex_cases, same_json)}


def _rows(setup: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a fresh database, numbers rounded to nine digits."""
    import sqlite3

    reads = {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
    database = sqlite3.connect(":memory:")
    database.executescript(setup)
    database.set_progress_handler(lambda: 1, _STEPS)  # non-zero ends the query
    database.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in reads else sqlite3.SQLITE_DENY
    )
    rows = database.execute(query).fetchmany(_ROWS)
    return [tuple(round(v, 9) if isinstance(v, float) else v for v in row) for row in rows]


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; Python takes True for 1, JSON does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _lack() -> str:
    """Return why there is no wall, or nothing; this process is behind it afterwards."""
    try:
        raise_wall()
        os.open("/", os.O_RDONLY)
    except PermissionError:
        return ""
    except OSError as error:
        return str(error)
    return "seccomp is accepted, but refuses nothing"


def _do(job: bytes, *, walled: bool) -> Any:
    if walled:
        raise_wall()
    task, *arguments = json.loads(job)
    return TASKS[task](*arguments)


def _in_fork(work: Callable[[], Any], *, seconds: float, memory: int) -> bytes:
    """Return what `work` does as JSON, or nothing where it fails, or takes more than it may."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _end(work, theirs, seconds, memory)
    os.close(theirs)
    output = bytearray()
    deadline = time.monotonic() + seconds
    while select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0]:
        piece = os.read(ours, 1 << 16)
        output += piece
        if not piece or len(output) > MOST_OUTPUT:
            break
    # It may have closed the pipe and go on; one that is ending keeps the status it ends with.
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(ours)
    return bytes(output) if status == 0 else b""


def _end(work: Callable[[], Any], out: int, seconds: float, memory: int) -> NoReturn:
    """Do the work within limits, write what comes of it, and end this process."""
    try:
        if sys.platform == "linux":  # who is asleep takes no CPU time: it ends with its parent
            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        os.closerange(3, out)
        os.closerange(out + 1, 64)
        for what, most in (
            (resource.RLIMIT_CPU, math.ceil(seconds)),
            (resource.RLIMIT_AS, _address_space() + memory),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(what, (most, most))
        result = json.dumps(work()).encode()
        while result:
            result = result[os.write(out, result) :]
        os._exit(0)
    except BaseException:  # an answer raises what it likes, SystemExit too
        os._exit(1)


def _address_space() -> int:
    """Return the bytes of it that this process has before the work; 0 where nobody says."""
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _send(results: BinaryIO, result: bytes) -> None:
    results.write(SIZE.pack(len(result)) + result)
    results.flush()


def main() -> None:
    """Serve on what standard input and output are; whoever prints after this, prints nowhere."""
    jobs, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    serve(jobs, results)


if __name__ == "__main__":
    main()
