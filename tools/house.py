"""Looks at the house: its rooms and their order, what is long, what is named twice or never used.

    python tools/house.py            prints it, and fails where a rule of the house is broken
    python tools/house.py --write    also writes the list of modules in docs/architecture.md

The order of the rooms is that of the import contract in pyproject.toml. import-linter checks
imports against it; here the strings that name a class or a module are held to it too, since a
registry imports them all the same.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "motet"
MAP = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: written by tools/house.py -->", "<!-- end of modules -->"

MOST_LINES = 400
MOST_FUNCTION_LINES = 60
MOST_PARAMETERS = 8

SHARED_NAMES: dict[str, str] = {}
"""Class names that stand more than once, each with its reason."""

OPEN_NAMES: dict[str, str] = {
    "motet.kernels.multi_lora.add_reference": "what the fused kernel is tested against",
}
"""Module-level names that no other product code uses, each with the reason why it stays."""

EXEMPT = ("kernels/triton/", "cli/")
"""Triton kernels and commands have a parameter for each tensor's stride, and for each option."""

REVISIONS = "store/migrations/versions/"
"""Alembic reads what stands here, by its names."""

_GROUPS = ("engines", "routers", "estimators", "strategies", "graders", "redactors")
"""Groups of entry points, which look like modules."""
_NAMES_CODE = re.compile(r"^motet(?:\.[a-z_]+)+(?::\w+)?$")


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the product."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(SOURCE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """The room it stands in; of the package's own file its name."""
        return self.path.relative_to(SOURCE).parts[0].removesuffix(".py")

    @property
    def place(self) -> str:
        """Its path from the package."""
        return self.path.relative_to(SOURCE).as_posix()

    def uses(self) -> Iterator[str]:
        """Yield every name that its code reads, and every one that a string of it names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node.id
            elif isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.ImportFrom) and self.path.name != "__init__.py":
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if len(node.value) < 200:
                    yield from re.findall(r"\w+", node.value)

    def operators(self) -> set[str]:
        """Return the functions that torch registers as operators: their signature is the schema."""
        return {
            argument.id
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "custom_op"
            for argument in node.args
            if isinstance(argument, ast.Name)
        }

    def named_found(self) -> Iterator[int]:
        """Yield the lines that store something under a name which says nothing of it."""
        for node in ast.walk(self.tree):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Store)
                and node.id == "found"
            ):
                yield node.lineno

    def exports(self) -> Iterator[str]:
        """Yield the names that it takes from elsewhere, which a package offers as its own."""
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom):
                yield from (alias.asname or alias.name for alias in node.names)

    def definitions(self) -> Iterator[str]:
        """Yield the names that its top level defines and that nobody else calls for it."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                dunder = node.name.startswith("__")
                if not dunder and all(map(_plain, node.decorator_list)):
                    yield node.name
            elif isinstance(node, ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name) and not target.id.startswith("__"):
                        yield target.id


def _plain(decorator: ast.expr) -> bool:
    """Return whether a decorator leaves it to others to call the function by its name."""
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    said = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    return said in ("contextmanager", "asynccontextmanager", "lru_cache", "cache", "wraps")


@dataclass
class House:
    """All modules, and what is wrong with them."""

    rooms: list[str]
    modules: list[Module]
    registered: set[str]
    """Classes that pyproject.toml names as entry points."""

    @classmethod
    def read(cls) -> House:
        """Read the package and the contract."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        contracts = project["tool"]["importlinter"]["contracts"]
        layers = next(c["layers"] for c in contracts if c["type"] == "layers")
        rooms = [room.strip() for layer in reversed(layers) for room in layer.split("|")]
        modules = []
        for path in sorted(SOURCE.rglob("*.py")):
            text = path.read_text()
            modules.append(Module(path, ast.parse(text), text.count("\n")))
        points = project["project"]["entry-points"].values()
        registered = {name.split(":")[1] for group in points for name in group.values()}
        return cls(rooms, modules, registered)

    @cached_property
    def by_room(self) -> dict[str, list[Module]]:
        """Room -> its modules."""
        found: dict[str, list[Module]] = defaultdict(list)
        for module in self.modules:
            found[module.room].append(module)
        return found

    @cached_property
    def functions(self) -> list[tuple[int, int, str, str]]:
        """Lines, parameters, place and name of every function, the longest first."""
        rows = []
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    arguments = node.args
                    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                    count = len([each for each in named if each.arg not in ("self", "cls")])
                    rows.append((lines, count, f"{module.place}:{node.lineno}", node.name))
        return sorted(rows, reverse=True)

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """Class name -> the places that define it."""
        found: dict[str, list[str]] = defaultdict(list)
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(f"{module.place}:{node.lineno}")
        return found

    def check(self) -> list[str]:
        """Return every broken rule, in words."""
        return [
            *self._sizes(),
            *self._repeated(),
            *self._found(),
            *self._strings_upwards(),
            *self._private_modules(),
            *self._unused(),
            *self._docs(),
        ]

    def _sizes(self) -> Iterator[str]:
        for module in self.modules:
            if module.lines > MOST_LINES:
                yield f"{module.place} has {module.lines} lines, and {MOST_LINES} are the most"
        operators = {(m.place, name) for m in self.modules for name in m.operators()}
        for lines, parameters, place, name in self.functions:
            if place.startswith(EXEMPT) or (place.split(":")[0], name) in operators:
                continue
            if lines > MOST_FUNCTION_LINES:
                yield f"{place} {name} has {lines} lines, and {MOST_FUNCTION_LINES} are the most"
            if parameters > MOST_PARAMETERS:
                yield f"{place} {name} takes {parameters} values; {MOST_PARAMETERS} are the most"

    def _repeated(self) -> Iterator[str]:
        for name, places in sorted(self.classes.items()):
            if len(places) > 1 and name not in SHARED_NAMES:
                yield f"class {name} stands in {', '.join(places)}: one word, one meaning"
        for name in SHARED_NAMES:
            if len(self.classes.get(name, ())) < 2:
                yield f"SHARED_NAMES has a reason for {name}, which stands once"

    def _found(self) -> Iterator[str]:
        for module in self.modules:
            for line in module.named_found():
                yield f"{module.place}:{line} calls something found: name what was found"

    def _strings_upwards(self) -> Iterator[str]:
        rank = {room: number for number, room in enumerate(self.rooms)}
        for module in self.modules:
            if module.room not in rank:
                continue
            docs = {id(node) for node in _docstrings(module.tree)}
            for node in ast.walk(module.tree):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                    continue
                if id(node) in docs or not _NAMES_CODE.fullmatch(node.value):
                    continue
                room = node.value.split(":")[0].split(".")[1]
                if rank.get(room, -1) > rank[module.room]:
                    yield f"{module.place}:{node.lineno} names {node.value}, which stands above it"

    def _private_modules(self) -> Iterator[str]:
        for module in self.modules:
            folder = (
                module.name.rpartition(".")[0] if module.path.name != "__init__.py" else module.name
            )
            for node in ast.walk(module.tree):
                if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
                    "motet"
                ):
                    continue
                for name in [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]:
                    owner, _, leaf = name.rpartition(".")
                    is_file = (SOURCE.parent / Path(*name.split("."))).with_suffix(".py").exists()
                    if leaf.startswith("_") and is_file and owner != folder:
                        place = f"{module.place}:{node.lineno}"
                        yield f"{place} takes {name}, which is private to its folder"

    def _unused(self) -> Iterator[str]:
        uses = set(self.registered)
        for module in self.modules:
            uses.update(module.uses())
        for module in self.modules:
            for name in () if module.place.startswith(REVISIONS) else module.definitions():
                full = f"{module.name}.{name}"
                if name not in uses and full not in OPEN_NAMES:
                    yield f"{module.place} defines {name}, which nothing uses"

    def _docs(self) -> Iterator[str]:
        """Hold what documents say of places and names against the code."""
        names = {module.name for module in self.modules} | {"motet"}
        defined = {f"{m.name}.{d}" for m in self.modules for d in (*m.definitions(), *m.exports())}
        for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
            if document.name == "CHANGELOG.md":
                continue  # it speaks of what was
            head, _, rest = document.read_text().partition(BEGIN)
            text = head + rest.partition(END)[2]
            for path in set(re.findall(r"`(?:src/)?(?:motet/)?((?:[a-z_]+/)+\w+\.py)`", text)):
                if path.split("/")[0] in self.rooms and not (SOURCE / path).exists():
                    yield f"{document.name} names {path}, which is not there"
            for name in set(re.findall(r"`(motet(?:\.\w+)+)`", text)):
                group = name.split(".")[1] in _GROUPS and name.count(".") == 1
                if not (group or name in names or name in defined):
                    yield f"{document.name} names {name}, which is not there"

    def modules_map(self) -> str:
        """Return one line a module, room by room, from the first paragraph of its docstring."""
        parts = ["### The ground\n\n| module | what it is |\n|---|---|"]
        folders = [room for room in self.rooms if (SOURCE / room).is_dir()]
        for room in self.rooms:
            if room not in folders:
                parts.append(f"| `{room}.py` | {_summary(self.by_room[room][0])} |")
        for room in folders:
            head = next(m for m in self.by_room[room] if m.place == f"{room}/__init__.py")
            parts.append(
                f"\n### `{room}/`\n\n{_summary(head)}\n\n| module | what it is |\n|---|---|"
            )
            for module in self.by_room[room]:
                if module.path.name != "__init__.py":
                    place = module.place.removeprefix(f"{room}/")
                    parts.append(f"| `{place}` | {_summary(module)} |")
        return "\n".join(parts)

    def show(self) -> None:
        """Print the rooms from the ground up, and what is longest."""
        print("Rooms, from the ground up: files, lines")
        for room in self.rooms:
            modules = self.by_room[room]
            print(f"  {room:12} {len(modules):3} {sum(m.lines for m in modules):6}")
        print("Longest files")
        for module in sorted(self.modules, key=lambda m: -m.lines)[:8]:
            print(f"  {module.lines:4} {module.place}")
        print("Longest functions")
        for lines, _, place, name in self.functions[:8]:
            print(f"  {lines:4} {place} {name}")
        print("Class names that stand more than once")
        for name, places in sorted(self.classes.items()):
            if len(places) > 1:
                print(f"  {name}: {', '.join(places)}. {SHARED_NAMES.get(name, '')}")


def _summary(module: Module) -> str:
    text = ast.get_docstring(module.tree) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|").strip()


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.value


def written(house: House) -> str:
    """Return docs/architecture.md with its list of modules as it must be."""
    head, _, rest = MAP.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{house.modules_map()}\n\n{END}{tail}"


def main() -> int:
    """Print the house; return 1 where a rule is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the list of modules")
    parser.add_argument("--quiet", action="store_true", help="print broken rules alone")
    options = parser.parse_args()
    house = House.read()
    if options.write:
        MAP.write_text(written(house))
    if not options.quiet:
        house.show()
    problems = house.check()
    if written(house) != MAP.read_text():
        problems.append("docs/architecture.md is not what the docstrings say: run it with --write")
    for problem in problems:
        print(f"! {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
