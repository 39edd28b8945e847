"""Runs the commands of docs/deploying.md as printed, each machine in Linux namespaces of its own.

    python tools/deploying.py             runs them; says in which form, and fails where they do

A block of the page that begins with `# on ...` is typed into a shell of that machine, or of every
machine. A machine here has a network, processes and a /tmp of its own, and a firewall that lets
through the ports of the page's table and no others, where `nft` is installed. `scp` is a copy
between the machines' homes.

Where namespaces cannot be made, the first machine's commands run on this machine's loopback, on
ports that are free; then `ray stop`, which would end every Ray here, is left out.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "deploying.md"
EVERY = "every machine"
ASKS = "/v1/chat/completions"
MARK = "MOTET_PAGE_RUN"
PORT = re.compile(r"\b\d{4,5}\b")
BLOCK_S = 300.0
"""Seconds that one block may take."""
NAMESPACES = ["--net", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
FLEET = """
version: 1
routers: {r: {kind: constant, expert: echo}}
compositions: {auto: {router: r}}
experts:
  - {id: echo, engine: fake-pool, resources: {replicas: {min: 2, max: 2, per_node: 1}}}
"""
SCP = """#!/bin/sh
cp "{homes}/${{1%%:*}}/${{1#*:}}" "$2"
"""
FIREWALL = """
table inet motet {{
  set refused {{ type inet_service; flags dynamic; }}
  chain input {{
    type filter hook input priority 0; policy accept;
    iif lo accept
    ct state established,related accept
    tcp dport {{ {ports} }} accept
    meta l4proto tcp update @refused {{ tcp dport }} reject with tcp reset
  }}
}}
"""


class Failure(Exception):
    """What went wrong, in words for whoever reads CI's log."""


@dataclass(frozen=True, slots=True)
class Block:
    """Commands of the page, and where they are typed: an address, or `EVERY`."""

    where: str
    text: str


class Page:
    """What docs/deploying.md says of several machines."""

    def __init__(self, text: str) -> None:
        section = text.split("## Several machines\n")[1].split("\n## ")[0]
        self.blocks = [
            Block(where, commands)
            for where, commands in re.findall(
                r"```bash\n# on ([^\n]+)\n(.+?)```", section, re.DOTALL
            )
        ]
        self.service = re.findall(r"```yaml\n(.+?)```", section, re.DOTALL)[0]
        self.ports = re.findall(r"^\| (\d+(?:-\d+)?) \|", section, re.MULTILINE)
        self.addresses = sorted({block.where for block in self.blocks} - {EVERY})


class Machine:
    """A shell on one machine, which keeps what is exported in it.

    Parameters
    ----------
    enter
        The command that runs another one on that machine.
    """

    def __init__(self, address: str, folder: Path, enter: list[str], env: dict[str, str]) -> None:
        self.address = address
        self._log = folder / f"{address}.log"
        self._output = self._log.open("w")
        self._shell = subprocess.Popen(
            [*enter, "bash", "-eu", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        # Entering a machine leaves the working folder behind.
        self._send(f"cd {shlex.quote(str(folder / 'project'))}")

    def type(self, commands: str) -> None:
        """Run commands to their end.

        Raises
        ------
        Failure
            One of them fails, or they take longer than `BLOCK_S`.
        """
        began, start = time.monotonic(), self._log.stat().st_size
        done = f"done {began}"
        print(f"\n[{self.address}]\n{commands.rstrip()}", flush=True)
        self._send(f"{{\n{commands}\n}} < /dev/null\necho {done}")
        while True:
            output = self._log.read_text()[start:]
            ended = self._shell.poll() is not None
            if done in output:
                break
            if ended or time.monotonic() - began > BLOCK_S:
                print(shortened(output))
                how = "failed" if ended else f"did not end in {BLOCK_S:.0f} s"
                raise Failure(f"The commands above {how} on {self.address}.")
            time.sleep(0.1)
        print(shortened(output.replace(done, "")), f"({time.monotonic() - began:.1f} s)", sep="\n")

    def _send(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{line}\n")
        self._shell.stdin.flush()

    def close(self) -> None:
        """End the shell; what it left running is not its own."""
        self._shell.kill()
        self._shell.wait()
        self._output.close()


def shortened(output: str) -> str:
    """Return the last lines of an output, without colours; Ray names whole command lines."""
    lines = re.sub(r"\x1b\[\d+m", "", output).strip().splitlines()
    return "\n".join(f"  {line[:160]}" for line in lines[-30:])


def main() -> int:
    """Run the page in the best form that this machine allows, and say how it went."""
    page = Page(PAGE.read_text())
    began = time.monotonic()
    try:
        if len(sys.argv) > 1:  # this program again, in namespaces
            in_namespaces(page, Path(sys.argv[1]))
            return 0
        if missing := [name for name in ("bash", "curl") if shutil.which(name) is None]:
            raise Failure(f"{' and '.join(missing)} must be installed.")
        # Not in /tmp, of which every machine has its own.
        with tempfile.TemporaryDirectory(prefix="motet-page-", dir="/var/tmp") as folder:
            (Path(folder) / "project").mkdir()
            if unshare := namespaces():
                # All of it ends with this one process: see --kill-child.
                command = [*unshare, sys.executable, __file__, folder]
                if subprocess.run(command).returncode:
                    return 1
            else:
                on_loopback(page, Path(folder))
    except Failure as failure:
        print(f"\ndocs/deploying.md does not work as printed: {failure}", file=sys.stderr)
        return 1
    print(f"\ndocs/deploying.md works as printed ({time.monotonic() - began:.0f} s).")
    return 0


def namespaces() -> list[str]:
    """Return the command that runs another one where machines can be made; empty if none does."""
    used = (ROOT, Path(sys.prefix), Path(sys.base_prefix))
    if any(path.is_relative_to("/tmp") for path in used):  # noqa: S108
        print("Motet is in /tmp, which machines made of namespaces would not share.")
        return []
    inside = f"ip link add v type veth peer name w && unshare {shlex.join(NAMESPACES)} true"
    for user in ([], ["--user", "--map-root-user"]):
        unshare = ["unshare", *user, *NAMESPACES]
        with suppress(FileNotFoundError):
            if not subprocess.run([*unshare, "sh", "-c", inside], capture_output=True).returncode:
                return unshare
    return []


def environment(home: Path, *paths: Path) -> dict[str, str]:
    """Return what a shell finds: Motet, Ray, and nothing of another Ray or proxy."""
    home.mkdir(parents=True, exist_ok=True)
    path = ":".join(map(str, [*paths, Path(sys.executable).parent, os.environ["PATH"]]))
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "MOTET_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": str(ROOT / "src")}


def in_namespaces(page: Page, folder: Path) -> None:
    """Run every machine's commands, in namespaces inside those that this process is in."""
    print(f"Machines {', '.join(page.addresses)}: each in namespaces of its own.")
    (folder / "project" / "experts.yaml").write_text(page.service + FLEET)
    scp = folder / "bin" / "scp"
    scp.parent.mkdir()
    scp.write_text(SCP.format(homes=folder))
    scp.chmod(0o755)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "link", "set", "switch", "up")
    with ExitStack() as stack:
        machines = []
        for address in page.addresses:
            enter = stack.enter_context(networked(address, page.ports))
            env = environment(folder / address, scp.parent)
            machines.append(Machine(address, folder, enter, env))
            stack.callback(machines[-1].close)
        for block in page.blocks:
            for machine in machines:
                if block.where in (EVERY, machine.address):
                    machine.type(block.text)
            if ASKS in block.text:
                check_spread(len(machines))
        check_gone()


@contextmanager
def networked(address: str, ports: list[str]) -> Iterator[list[str]]:
    """Make a machine that is on the switch; yield the command that enters it."""
    # A shell as its first process collects those that end without a parent, as init does.
    init = ["bash", "-c", "sleep infinity & wait"]
    holder = subprocess.Popen(["unshare", *NAMESPACES, *init])
    try:
        while not (children := psutil.Process(holder.pid).children()):
            time.sleep(0.05)
        first = str(children[0].pid)
        enter = ["nsenter", "--target", first, "--net", "--pid", "--mount"]
        port = f"port{address.rpartition('.')[2]}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", first)
        run("ip", "link", "set", port, "master", "switch", "up")
        run(*enter, "ip", "link", "set", "lo", "up")
        run(*enter, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        run(*enter, "ip", "link", "set", "eth0", "up")
        for place in ("/tmp", "/dev/shm"):  # noqa: S108  # what machines do not share
            run(*enter, "mount", "-t", "tmpfs", "tmpfs", place)
        guarded = has_firewall(enter, ports)
        yield enter
        if guarded and (refused := refused_ports(enter)):
            raise Failure(f"{address} was asked on ports that the page does not list: {refused}.")
    finally:
        holder.kill()  # and with its first process all others of the machine
        holder.wait()


def has_firewall(enter: list[str], ports: list[str]) -> bool:
    """Let only `ports` through to a machine; return whether that could be done."""
    rules = FIREWALL.format(ports=", ".join(ports))
    try:
        subprocess.run([*enter, "nft", "-f", "-"], input=rules.encode(), check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"All ports are open, not only those of the page: no firewall here ({error}).")
        return False
    return True


def refused_ports(enter: list[str]) -> str:
    """Return the ports on which the firewall of a machine refused somebody."""
    command = [*enter, "nft", "list", "set", "inet", "motet", "refused"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return ", ".join(re.findall(r"[\d, ]+(?= })", listed)).strip()


def check_spread(machines: int) -> None:
    """Raise `Failure` unless the pool has a replica on each of the machines."""
    homes = [
        os.readlink(f"/proc/{process.pid}/ns/net")
        for process in psutil.process_iter(["cmdline"])
        if "ServeReplica:motet-pool-echo" in " ".join(process.info["cmdline"] or ())
    ]
    if len(homes) != machines or len(set(homes)) != machines:
        raise Failure(f"{len(homes)} replicas live on {len(set(homes))} machines, not {machines}.")
    print(f"\nA replica of the pool lives on each of {machines} machines.")


def check_gone() -> None:
    """Raise `Failure` when something of Ray or of the service still runs on a machine."""
    left = [
        process.info["cmdline"][0]
        for process in psutil.process_iter(["cmdline"])
        if re.search(r"ray::|/ray/|haproxy", " ".join(process.info["cmdline"] or ()))
    ]
    if left:
        raise Failure(f"After the last block there still run {', '.join(left)}.")


def on_loopback(page: Page, folder: Path) -> None:
    """Run what concerns one machine alone, beside whatever this machine runs."""
    print("No machines can be made of namespaces here: one machine, on the loopback.")
    from motet.deploy.cluster import prepare_environment

    first = page.addresses[0]
    prepare_environment()  # for ports and files that Ray fixes
    offset = free_offset([int(port) for block in page.blocks for port in PORT.findall(block.text)])

    def local(text: str) -> str:
        for address in page.addresses:
            text = text.replace(address, "127.0.0.1")
        return PORT.sub(lambda port: str(int(port[0]) + offset), text)

    service = f"{page.service.rstrip()}\n  port: 8000\n"
    (folder / "project" / "experts.yaml").write_text(local(service) + FLEET)
    mark = f"{os.getpid()}-{time.time()}"
    serve = {name: value for name, value in os.environ.items() if name.startswith("RAY_SERVE_")}
    with tempfile.TemporaryDirectory(prefix="m-", dir="/tmp") as own, ExitStack() as stack:
        env = environment(folder / first) | serve | {"RAY_TMPDIR": own, MARK: mark}
        stack.callback(end_marked, mark)
        machine = Machine("127.0.0.1", folder, [], env)
        stack.callback(machine.close)
        for block in page.blocks:
            mine = block.where in (EVERY, first) or ASKS in block.text
            if mine and "ray stop" not in block.text:
                machine.type(local(block.text))


def free_offset(ports: list[int]) -> int:
    """Return what to add to `ports` so that they, and all between them, are free here."""
    wanted = range(min(ports), max(ports) + 1)
    for offset in random.sample(range(1000, 20_000), 100):
        if all(is_free(port + offset) for port in wanted):
            return offset
    raise Failure(f"No {len(wanted)} neighbouring ports are free here.")


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def end_marked(mark: str) -> None:
    """End the processes whose environment has `mark`."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                process.kill()


def run(*command: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"`{shlex.join(command)}`: {done.stderr.strip()}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
