"""What importing Motet costs, and what it offers."""

import subprocess
import sys

import pytest

import motet

HEAVY = ("torch", "ray", "vllm", "transformers")


def modules_after(statement):
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_public_surface():
    assert motet.__all__ == ["Motet", "__version__"]
    assert motet.Motet.__name__ == "Motet"
    with pytest.raises(AttributeError):
        motet.nothing  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import motet.cli.main",
        "import motet.api",
        "import motet.experts.transformers, motet.experts.vllm, motet.experts.openai",
        "import motet.routers.learned.router, motet.routers.llm, motet.routers.learned.kinds.stack",
        "from motet.composer.assembly import assemble\n"
        "from motet.config import load\nassemble(load('experts.yaml'))",
    ],
)
def test_light_imports(statement):
    found = modules_after(statement)
    assert not found & set(HEAVY)


def test_motet_itself_is_nearly_free():
    assert "pydantic" not in modules_after("import motet")


@pytest.mark.parametrize(
    "statement",
    [
        "import motet.cli.main",
        "import motet.store, motet.operations, motet.config",
        "from motet.composer.assembly import assemble\n"
        "from motet.config import load\nassemble(load('experts.yaml'))",
    ],
)
def test_whoever_keeps_nothing_loads_no_database(statement):
    assert not modules_after(statement) & {"sqlalchemy", "alembic", "psycopg", "regex"}
