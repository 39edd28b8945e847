"""Only a router that has proven itself takes the place of the one in use."""

from __future__ import annotations

from pathlib import Path

from motet.errors import ArtifactError
from motet.lab.routers.page import summary
from motet.lab.routers.report import Report
from motet.routers.learned.artifact import Artifact


def promote(router: Artifact, report: Report, folder: Path) -> None:
    """Copy a router to `folder` if its report says that it beats the best single expert.

    Parameters
    ----------
    report
        Of `router` alone, on queries it has not seen (`evaluate`).

    Raises
    ------
    ArtifactError
        It does not, with 95% confidence; or the folder cannot be written.
    """
    if not report.routers[0].beats_best_single:
        raise ArtifactError(f"Not promoted. {' '.join(summary(report))}")
    router.save(folder)
