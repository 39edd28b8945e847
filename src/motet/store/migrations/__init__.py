"""How the tables became what they are: Alembic's revisions, applied where they are missing.

A revision only adds, or changes what processes of before do not read: those go on beside it, and a
database that is ahead of this code serves it as well. All of them run in one transaction that
nobody comes between, so that of many processes that start at once one makes the tables.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

log = logging.getLogger(__name__)

_TABLE = "motet_version"
_ONE = threading.Lock()
"""Alembic has one migration under way in a process."""


def behind(connection: Connection) -> bool:
    """Return whether revisions are missing."""
    scripts, context = _alembic(connection)
    kept = set(context.get_current_heads())
    ahead = kept - {script.revision for script in scripts.walk_revisions()}
    if ahead:
        log.warning("the store was written by a newer Motet (%s); it serves all the same", ahead)
    return not ahead and kept != set(scripts.get_heads())


def upgrade(connection: Connection) -> None:
    """Apply the revisions that are missing, in the transaction of `connection`."""
    from alembic.operations import Operations

    if not behind(connection):  # another process was here first
        return
    scripts, context = _alembic(connection)
    with _ONE, Operations.context(context):
        context.run_migrations()
    log.info("the store is at revision %s", scripts.get_current_head())


def _alembic(connection: Connection) -> tuple[ScriptDirectory, MigrationContext]:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))
    options = {
        "version_table": _TABLE,
        "fn": lambda revision, _: scripts._upgrade_revs("head", revision),
    }
    return scripts, MigrationContext.configure(connection, opts=options)
