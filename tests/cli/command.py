"""The command line as a user meets it: a real process."""

import subprocess
import sys

FAKES = "version: 1\nexperts: [{id: echo, engine: fake, license: MIT}]\nrouters: {r: {kind: constant, expert: echo}}\ncompositions: {auto: {router: r}}\n"


def motet(*arguments, **options):
    command = [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
