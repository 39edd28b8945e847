"""One visual language for every picture: colours, type and rules, and how a figure is written.

Routers and policies keep their colour through all pictures (Okabe and Ito's, which people who see
fewer colours tell apart), experts have Tol's pale ones, controls are grey.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
PALE = ("#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99")
GREY, INK, SOFT, RULE = "#8a8a8a", "#222222", "#666666", "#dddddd"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.dpi": 144,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and write every figure of the block in Motet's style."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Return a figure of so many inches that needs no screen; use it inside `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": ""})
    return buffer.getvalue()


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the ending of `path`, whole or not at all."""
    with files.replacing(path) as temporary:
        figure.savefig(temporary, bbox_inches="tight")
