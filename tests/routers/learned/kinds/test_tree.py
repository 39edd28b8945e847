"""A tree's questions can be read."""

from tests.routers.learned import world


def test_tree_can_be_read():
    artifact = world.once("tree")
    names = tuple(e.name for e in sorted(artifact.manifest.experts, key=lambda e: e.column))
    lines = artifact.estimator.text(names).splitlines()
    assert len(lines) >= 5 and "?" in lines[0]
    assert {"solver", "coder", "jurist"} <= {line.split()[-4] for line in lines if "?" not in line}
