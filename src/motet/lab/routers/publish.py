"""A report as files: one HTML page that loads nothing, and its pictures."""

from __future__ import annotations

from pathlib import Path

from motet import files
from motet.errors import ArtifactError
from motet.lab.routers.page import page
from motet.lab.routers.plots import pictures, write
from motet.lab.routers.report import Report
from motet.progress import Progress, silent


def publish(
    report: Report, *, page_file: Path | None, folder: Path | None, progress: Progress = silent
) -> None:
    """Write a report's page and its pictures, `<name>.png` each, as far as they are wanted.

    Raises
    ------
    ArtifactError
        A file cannot be written.
    """
    if page_file is None and folder is None:
        return
    progress("drawing", 0, 0)
    drawn = pictures(report)
    try:
        if folder is not None:
            write(drawn, folder)
        if page_file is not None:
            page_file.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(page_file, page(report, drawn))
    except OSError as error:
        raise ArtifactError(f"The report cannot be written: {error}.") from error
