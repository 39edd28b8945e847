"""What a config refers to in its ensembles and screens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from motet.config.lines import Field
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.config.load import Document


def broken_moderations(document: Document, sections: Mapping[str, str]) -> Iterator[str]:
    """Yield a problem for each member and each screen that is none.

    Parameters
    ----------
    sections
        Where each id stands.
    """
    config = document.config
    judges = [name for name, at in sections.items() if at == "classifiers"]
    members = [name for name, at in sections.items() if at != "encoders"]
    for name, entry in config.moderations.items():
        at: Field = ("moderations", name)
        if name in sections or name in config.compositions:
            yield document.problem(at, f"{name!r} is another's name too; names must differ.")
        for number, member in enumerate(entry.members):
            place = (*at, "members", number)
            if member not in members:
                hint = did_you_mean(member, members)
                yield document.problem(place, f"no classifier or expert {member!r}. {hint}")
            if member in entry.members[:number]:
                yield document.problem(place, f"{member!r} stands twice.")
    for name, composition in config.compositions.items():
        for side in ("before", "after"):
            wanted = composition.screen and getattr(composition.screen, side)
            known = [*config.moderations, *judges]
            if wanted and wanted not in known:
                yield document.problem(
                    ("compositions", name, "screen", side),
                    f"no moderation or classifier {wanted!r}. {did_you_mean(wanted, known)}",
                )
