"""Code of a model has little time, memory and reach, and its results come back as JSON."""

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from motet.grading.sandbox import call, run

LIMITS = {"seconds": 2, "memory_mib": 128}
SPAWN = """
import os
import _posixsubprocess
def double(x):
    read, write = os.pipe()
    error, told = os.pipe()
    _posixsubprocess.fork_exec([b"/bin/echo"], [b"/bin/echo"], True, (write,), None, None, -1, -1,
        -1, write, -1, -1, error, told, False, False, 0, None, None, None, -1, None, False)
    return x * 2
"""


@pytest.mark.parametrize(
    "code",
    [
        "def double(x):\n    while True: pass",
        "def double(x): return 'a' * (1 << 32)",
        "import subprocess\ndef double(x): return subprocess.run(['true'])",
        "import socket\ndef double(x): return socket.socket() and x * 2",
        "def double(x): return open('/etc/hostname').read() and x * 2",
        "import os\ndef double(x):\n    os.kill(os.getppid(), 9)\n    return x * 2",
        "import os\ndef double(x):\n    os.fork()\n    return x * 2",
        SPAWN,
        "import os\ndef double(x):\n    os.closerange(0, 64)\n    while True: pass",
        "import os\ndef double(x):\n    os.closerange(0, 64)\n    return x * 2",
        "import os\ndef double(x): return os.stat('/etc/passwd') and x * 2",
        "import os\ndef double(x): return 'a' * (2 << 20)",
        "def double(x):\n    value = []\n    for _ in range(9**5): value = [value]\n    return value",
    ],
    ids="endless memory process network file kill fork spawn silent mute stat long deep".split(),
)
def test_python_answers_have_little_time_memory_and_reach(code):
    assert call(code, "double", [[2], ["a"]], **LIMITS) is None


def test_no_hook_of_python_stands_between_an_answer_and_files(tmp_path):
    """The wall is the kernel's: calls made past Python, in C, fail too."""
    code = f"""
import ctypes, os
def reach(x):
    made = ctypes.CDLL(None, use_errno=True)
    return [
        made.open(b"/etc/passwd", 0), made.mkfifo({str(tmp_path / "made")!r}.encode(), 0o600),
        made.socket(2, 1, 0), made.execve(b"/bin/true", None, None), made.fork(),
        made.kill(os.getpid(), 9), made.ptrace(16, 1, 0, 0), made.prctl(22, 0, 0, 0, 0),
        made.unshare(0x10000000), made.chroot(b"/"), made.socketpair(1, 1, 0, 0),
    ]
"""
    assert call(code, "reach", [[1]], **LIMITS) == [[-1] * 11]
    assert not list(tmp_path.iterdir())


def test_no_descriptor_but_its_own_reaches_an_answer():
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    code = """
import os
def holds(x):
    held = []
    for number in range(3, 256):
        try:
            os.lseek(number, 0, 1)
            held.append(number)
        except OSError as error:
            held += [number] if error.errno == 29 else []
    return len(held)
"""
    assert call(code, "holds", [[1]], **LIMITS) == [1]  # a pipe, which cannot seek: its answer's
    os.close(reading)
    os.close(writing)


def test_what_an_answer_writes_is_read_to_a_bound():
    flood = "import os\nfor number in range(3, 64):\n  try:\n    while True: os.write(number, b'x' * (1 << 20))\n  except OSError: pass"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    assert call(flood, "f", [[1]], seconds=20, memory_mib=128) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert time.monotonic() - began < 15, "it was ended at the bound, before its time was up"


def test_one_answer_changes_nothing_for_the_next():
    assert call("import math\nmath.pi = 3\ndef f(x): return math.pi", "f", [[1]], **LIMITS) == [3]
    assert call("import math\ndef f(x): return math.pi > 3", "f", [[1]], **LIMITS) == [True]


def test_what_it_returns_and_nothing_it_prints():
    code = "print([0, 0])\ndef double(x): return x * 2"
    assert call(code, "double", [[2], ["a"], [[1]]], **LIMITS) == [4, "aa", [1, 1]]


def test_it_sees_neither_the_environment_nor_our_folder(monkeypatch):
    monkeypatch.setenv("SECRET", "xyzzy")
    code = "import os\ndef look(): return [os.environ.get('SECRET'), os.getcwd()]"
    ((secret, folder),) = call(code, "look", [[]], **LIMITS)
    assert secret is None and Path(folder) != Path.cwd()


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import statistics\ndef f(): return statistics.median([3, 1, 2])", 2),
        ("from datetime import datetime\ndef f(): return datetime.strptime('7', '%d').day", 7),
        ("import re, hashlib\ndef f(): return hashlib.sha256(b'').hexdigest()[:4]", "e3b0"),
        ("def f(): return 'é'.encode('utf-16-le').decode('utf-16-le')", "é"),
        ("from decimal import Decimal\ndef f(): return str(Decimal('1') / 8)", "0.125"),
        ("import xml.etree.ElementTree as t\ndef f(): return t.fromstring('<a>b</a>').text", "b"),
    ],
)
def test_the_standard_library_is_there(code, wanted):
    assert call(code, "f", [[]], **LIMITS) == [wanted]


def test_where_there_is_no_wall_nothing_is_run_unless_that_is_said():
    """As on a machine for which no filter is known, which this process claims to be."""
    code = (
        "import ctypes, sys\nctypes.CDLL(None).personality(8)\n"  # PER_LINUX32: uname says 32 bits
        "from motet.errors import NoWall\nfrom motet.grading.sandbox import call\n"
        "from motet.grading import GRADERS\n"
        "try: print(call('def f(): return 7', 'f', [[]], seconds=2, memory_mib=128))\n"
        "except NoWall as error: print(error)\n"
        "for name in GRADERS.names():\n"
        "    try: GRADERS.load(name)()\n"
        "    except NoWall: print(name)\n"
    )
    there = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    said = {}
    for name, env in (("unsaid", there), ("said", {**there, "MOTET_GRADE_WITHOUT_WALL": "1"})):
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        said[name] = done.stdout.strip() or done.stderr
    told, *graders = said["unsaid"].splitlines()
    assert "no filter of system calls" in told and "_WITHOUT_WALL=1" in told
    assert graders == ["json", "python-cases", "regex", "regex-cases", "sql"], "before any answer"
    assert said["said"] == "[7]"


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("regex_cases", ["(" * 20_000, ["a"], []]),
        ("regex_cases", ["((((a{1,9999}){1,9999}){1,9999}){1,9999}){1,9999}b", ["a" * 60], []]),
        ("same_json", ["[" * 1_000_000, []]),
        ("same_json", ["9" * 1_000_000, 9]),
        ("sql", ["create table t(a)", "select 1", "select zeroblob(1000000000)"]),
        (
            "sql",
            [
                "create table t(a)",
                "select 1",
                "with recursive c(x) as (select 1 union all select x + 1 from c limit 99)"
                " select zeroblob(100000000) from c",
            ],
        ),
        ("sql", ["create table t(a)", "select 1", "select load_extension('x')"]),
    ],
)
def test_patterns_values_and_queries_of_models_have_limits_too(task, arguments):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(task, *arguments) in (None, False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_reading_a_reference_makes_no_file(tmp_path):
    made = tmp_path / "made.db"
    setup = f"attach '{made}' as z; create table z.t(a);"
    assert "unable to open" in run("sql_fault", setup, "select 1") and not made.exists()


def test_a_job_ends_with_the_process_that_runs_it():
    def sleep():
        code = "import time\ndef f(): time.sleep(60)"
        ended.append(call(code, "f", [[]], seconds=60, memory_mib=128))

    us, ended = psutil.Process(), []
    thread = threading.Thread(target=sleep)
    thread.start()

    def working():  # and no child of the database that other tests share
        workers = [each for each in us.children() if each.name() != "postgres"]
        return [job for worker in workers for job in worker.children()]

    while not (jobs := working()):
        time.sleep(0.01)
    for job in jobs:
        job.parent().kill()
    thread.join(10)
    gone, alive = psutil.wait_procs(jobs, timeout=10)
    assert ended == [None] and gone and not alive
