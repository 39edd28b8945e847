"""Code of a model has little time, memory and reach, and its results come back as JSON."""

from pathlib import Path

import pytest

from motet.grading.sandbox import call

LIMITS = {"seconds": 2, "memory_mib": 128}


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
    ],
    ids=["endless", "memory", "process", "network", "file", "kill", "fork"],
)
def test_python_answers_have_little_time_memory_and_reach(code):
    assert call(code, "double", [[2], ["a"]], **LIMITS) is None


def test_what_it_returns_and_nothing_it_prints():
    code = "print([0, 0])\ndef double(x): return x * 2"
    assert call(code, "double", [[2], ["a"], [[1]]], **LIMITS) == [4, "aa", [1, 1]]


def test_it_sees_neither_the_environment_nor_our_folder(monkeypatch):
    monkeypatch.setenv("SECRET", "xyzzy")
    code = "import os\ndef look(): return [os.environ.get('SECRET'), os.getcwd()]"
    ((secret, folder),) = call(code, "look", [[]], **LIMITS)
    assert secret is None and Path(folder) != Path.cwd()


def test_the_standard_library_is_there():
    code = "import statistics\ndef middle(*of): return statistics.median(of)"
    assert call(code, "middle", [[3, 1, 2]], **LIMITS) == [2]
