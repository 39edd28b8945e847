"""No command ends in a traceback: an extra that lacks, a file, a fault of Motet's own."""

import json
import os
import pty
import subprocess
import sys

import pytest
from tests.cli.command import FAKES, motet

from motet.cli.faults import in_words


def without(module, *arguments):
    """Run a command as where `module` is not installed."""
    code = f"import sys; sys.modules[{module!r}] = None; from motet.cli.main import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("pyarrow", ("router", "train", "TABLE", "--kind", "knn", "--out", "OUT"), "learned"),
        ("uvicorn", ("serve", "CONFIG", "--local"), "serve"),
        ("fastapi", ("serve", "CONFIG", "--local"), "serve"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, config, module, command, extra):
    table = tmp_path / "table.csv"
    table.write_text("query,score:a,score:b\n" + "one,1,0\ntwo,0,1\n" * 20)
    places = {"TABLE": table, "CONFIG": config, "OUT": tmp_path / "out"}
    done = without(module, *(places.get(word, word) for word in command))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"This needs '{module}', which is not installed." in done.stderr
    assert f"motet[{extra}]" in done.stderr and "pip install 'motet[" in done.stderr


@pytest.mark.parametrize(
    ("module", "extras"),
    [
        ("sklearn", "motet[learned]"),
        ("faiss", "motet[learned]"),
        ("peft", "motet[train]"),
        ("python_multipart", "motet[serve]"),
        ("torch", "motet[cpu]"),
    ],
)
def test_modules_and_extras_may_have_other_names(module, extras):
    error = ModuleNotFoundError(f"No module named {module!r}", name=f"{module}.part")
    assert f"It comes with {extras}" in str(in_words(error))


def test_a_fault_of_our_own_says_where_and_a_traceback_is_there_for_the_asking():
    code = (
        "from motet.cli import main\n"
        "check = next(each for each in main.app.registered_commands if each.name == 'check')\n"
        "check.callback = lambda: {}['nothing']\n"
        "main.main()"
    )
    for env, said in (
        ({}, "KeyError: 'nothing' (<string>:3)"),
        ({"MOTET_TRACEBACK": "1"}, "Traceback"),
    ):
        command = [sys.executable, "-c", code, "check"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=env | {"PYTHONPATH": ":".join(sys.path)}
        )
        assert done.returncode == 1 and said in done.stderr
        assert env or ("Traceback" not in done.stderr and "MOTET_TRACEBACK=1" in done.stderr)


ODD = {
    "absent": None,
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "latin": "caf\xe9: \xe9,1\n".encode("latin-1"),
    "list": b"[1, 2, 3]\n",
    "deep": b"[" * 100_000,
    "mark": b"\xef\xbb\xbf{}\n",
    "null": b"null\n",
}
COMMANDS = """
    check FILE.yaml
    experts list --config FILE.yaml
    route hello --config FILE.yaml
    serve FILE.yaml --local
    plan FILE.yaml
    simulate FILE.yaml
    router train FILE.jsonl --kind knn --out out
    router train FILE.csv --kind knn --out out
    router train FILE.parquet --kind knn --out out
    router eval FILE.csv out
    profile show FILE.json
    table build config.yaml FILE.jsonl --grader exact --out out.parquet
    batch FILE.jsonl out.jsonl --config config.yaml --local
""".strip().splitlines()
EVERY = """
import contextlib, io, json, sys
from motet.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv, said, code = ["motet", *arguments], io.StringIO(), 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([arguments, code, said.getvalue()]))
"""


def test_no_odd_file_is_met_with_a_traceback(tmp_path):
    """Every command that reads a file, on files as they come, in one process."""
    (tmp_path / "config.yaml").write_text(FAKES)
    calls = []
    for name, content in ODD.items():
        for command in COMMANDS:
            calls.append(command.replace("FILE", name).split())
            if content is not None:
                for word in calls[-1]:
                    if word.startswith(name):
                        (tmp_path / word).write_bytes(content)
    command = [sys.executable, "-c", EVERY, json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=tmp_path)
    assert done.stderr == ""
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert [arguments for arguments, *_ in ends] == calls
    for arguments, code, said in ends:
        assert "Traceback" not in said and "where it should not" not in said, arguments
        if arguments[0] != "batch":  # whose lines fail one by one
            assert code == 1 and "error: " in said, (arguments, said)


def test_no_color_is_heeded():
    seen = {}
    for wanted in ("", "1"):
        ours, theirs = pty.openpty()
        env = {**os.environ, "NO_COLOR": wanted}
        command = [sys.executable, "-m", "motet.cli.main", "check", "/nowhere.yaml"]
        subprocess.run(command, stdout=theirs, stderr=theirs, env=env)
        os.close(theirs)
        seen[wanted] = b"\x1b[31m" in os.read(ours, 4000)
        os.close(ours)
    assert seen == {"": True, "1": False}


def test_a_closed_pipe_is_silent(config):
    command = [sys.executable, "-m", "motet.cli.main", "experts", "list", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as pipe:
        pipe.stdout.close()
        assert pipe.stderr.read() == b""


def test_a_bar_that_nobody_watches_leaves_nothing(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("query,score:a,score:b\n" + "one,1,0\ntwo,0,1\n" * 20)
    done = motet("router", "train", table, "--kind", "best-single", "--out", tmp_path / "out")
    assert done.returncode == 0 and done.stderr == ""
