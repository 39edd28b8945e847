"""Python from a model, run in a process of its own with little time, memory and reach.

The process has no environment, an empty working folder, limits of the kernel on CPU time, memory
and files, and a hook that refuses files outside the standard library, processes and the network.
This stops accidents and plain mischief. It is no wall against an attacker who knows CPython: for
answers of experts that you do not trust, build tables in a container.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

_CHILD = r"""
import json, os, resource, sys

limits = json.loads(sys.argv[1])
work = json.load(sys.stdin)
out = os.fdopen(os.dup(1), "w")
quiet = os.open(os.devnull, os.O_WRONLY)
os.dup2(quiet, 1), os.dup2(quiet, 2)
library = tuple(os.path.realpath(place) + os.sep for place in sys.path if os.path.isdir(place))
for what, most in (
    (resource.RLIMIT_CPU, limits["seconds"] + 1),
    (resource.RLIMIT_AS, limits["memory"]),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 16),
    (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(what, (most, most))

FREE = ("import", "compile", "exec", "code.__new__", "marshal.loads", "object.", "builtins.",
        "sys._getframe", "sys.excepthook", "array.__new__", "time.", "sys.unraisablehook")

def refuse(event, args, realpath=os.path.realpath, library=library, free=FREE):
    if event.startswith(free):
        return
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], str):
        reads = event != "open" or not (args[1] and set(args[1]) & set("wax+"))
        if reads and (realpath(args[0]) + "/").startswith(library):
            return
    raise PermissionError(event + " is not allowed here")

sys.addaudithook(refuse)
scope = {"__name__": "answer"}
exec(compile(work["code"], "answer", "exec"), scope)
returned = [scope[work["function"]](*args) for args in work["calls"]]
out.write(json.dumps(returned))
out.flush()
os._exit(0)
"""


def call(
    code: str, function: str, calls: list[list[Any]], *, seconds: float, memory_mib: int
) -> list[Any] | None:
    """Return what `function` of `code` returns for each list of arguments, as JSON values.

    None when the code fails, takes longer than `seconds` or more than `memory_mib` MiB, reaches
    for what it may not, or returns something JSON cannot hold.
    """
    limits = json.dumps({"seconds": int(seconds), "memory": memory_mib * 1024**2})
    work = json.dumps({"code": code, "function": function, "calls": calls})
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _CHILD, limits],
                input=work.encode(),
                capture_output=True,
                timeout=seconds,
                cwd=empty,
                env={},
                start_new_session=True,
                check=True,
            )
            returned: list[Any] = json.loads(done.stdout)
        except (subprocess.SubprocessError, ValueError):
            return None
    return returned
