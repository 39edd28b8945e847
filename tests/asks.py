"""What routers ask through, in tests that have no request of a client's."""

from __future__ import annotations

from pathlib import Path

from motet.config import ExpertEntry, Setting


class Nobody:
    """Calls of a router that is to ask nobody."""

    async def ask(self, expert, request):
        raise AssertionError(f"{expert} is asked")


NOBODY = Nobody()


def setting_of(*experts: str, folder: Path | None = None, **more) -> Setting:
    """Return the setting of a config with those experts."""
    entries = {name: ExpertEntry(id=name, engine="fake") for name in experts}
    return Setting(folder or Path(), entries=entries, **more)
