"""A profile as a picture and as one HTML page: a heat map of experts by skills."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from motet.pictures import INK, SOFT, new_figure, png, style
from motet.routers.skill.profile import Profile

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_SKILLS = 30
_STYLE = """
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 80rem; color: #1c1c1c; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
p { max-width: 46rem; color: #555; }
img { max-width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
thead th { color: #555; position: sticky; top: 0; background: #fff; }
td.best { font-weight: 700; color: #00664a; }
"""


@dataclass(frozen=True, slots=True)
class Skill:
    """One row of the map.

    Attributes
    ----------
    asked
        Answers counted, of the expert with the most.
    rates
        Expert -> smoothed chance of a right answer.
    """

    keyword: str
    asked: float
    rates: dict[str, float]

    @property
    def best(self) -> str:
        """Who is best at it."""
        return max(self.rates, key=lambda expert: self.rates[expert])


def skills(profile: Profile, most: int | None = None) -> list[Skill]:
    """Return the skills with the most answers; all of them where `most` is None."""
    all_skills = [
        Skill(
            keyword,
            max((sum(profile.tally(keyword, e)) for e in profile.experts), default=0.0),
            {e: profile.chance(keyword, e) for e in profile.experts},
        )
        for keyword in profile.counts
    ]
    return sorted(all_skills, key=lambda skill: (-skill.asked, skill.keyword))[:most]


def heat_map(profile: Profile) -> bytes:
    """Return the map as PNG: skills by who is best at them, experts with an overall column."""
    shown = _grouped(profile, skills(profile, MOST_SKILLS))
    with style():
        return png(_drawn(profile, shown))


def _grouped(profile: Profile, shown: Sequence[Skill]) -> list[Skill]:
    """Return skills so that those of one best expert stand together."""
    place = {expert: number for number, expert in enumerate(profile.experts)}
    return sorted(shown, key=lambda skill: (place[skill.best], -skill.asked, skill.keyword))


def _drawn(profile: Profile, shown: Sequence[Skill]) -> Figure:
    import numpy as np

    experts = profile.experts
    rates = 100 * np.array(
        [[profile.rate(e) for e in experts], *([s.rates[e] for e in experts] for s in shown)]
    )
    figure = new_figure(3.0 + 0.62 * len(experts), 2.0 + 0.27 * len(rates))
    axes = figure.subplots()
    image = axes.imshow(rates, cmap="YlGnBu", vmin=0, vmax=100, aspect="auto")
    _write_numbers(axes, rates)
    axes.set_xticks(range(len(experts)), [_short(e) for e in experts], rotation=40, ha="left")
    labels = ["all questions", *(f"{s.keyword}  ({s.asked:.0f})" for s in shown)]
    axes.set_yticks(range(len(rates)), labels)
    axes.axhline(0.5, color="white", lw=4)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=9, top=False, labeltop=True, labelbottom=False)
    axes.set_title("Chance of a right answer by skill (%)")
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02, ticks=[0, 25, 50, 75, 100])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8.5)
    note = "In brackets: questions. Smoothed towards each expert's rate over all questions."
    axes.set_xlabel(note, fontsize=8.5, color=SOFT, loc="left", labelpad=8)
    return figure


def _write_numbers(axes: Axes, rates: NDArray[np.floating]) -> None:
    """Write every cell's number, the best of a row in bold."""
    import numpy as np

    for row, column in np.ndindex(rates.shape):
        value = float(rates[row, column])
        best = value == rates[row].max()
        axes.text(
            column,
            row,
            f"{value:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > 55 else INK,
            fontweight="bold" if best else "normal",
        )


def _short(expert: str) -> str:
    name = expert.rsplit("/", 1)[-1]
    return name if len(name) <= 22 else f"{name[:21]}…"


def page(profile: Profile) -> str:
    """Return one HTML file with the map and a table of every skill; it loads nothing."""
    picture = b64encode(heat_map(profile)).decode()
    tables = ", ".join(f"{t.name} ({t.rows:,} rows)" for t in profile.tables) or "feedback alone"
    head = "".join(f"<th>{escape(_short(e))}</th>" for e in profile.experts)
    body = "\n".join(_row(profile, skill) for skill in skills(profile))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Skill profile</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_STYLE}</style></head><body>
<h1>Skill profile of {len(profile.experts)} experts</h1>
<p>{len(profile.counts)} skills from {escape(tables)}, named by
{escape(profile.annotator.expert or profile.annotator.kind)}. The map shows the most frequent.</p>
<img alt="Heat map of experts by skills" src="data:image/png;base64,{picture}">
<p>Right less wrong answers, of how many; the best by smoothed chance in bold.</p>
<div class="wide"><table><thead><tr><th>skill</th>{head}</tr></thead><tbody>
{body}
</tbody></table></div></body></html>
"""


def _row(profile: Profile, skill: Skill) -> str:
    cells = []
    for expert in profile.experts:
        right, wrong = profile.tally(skill.keyword, expert)
        mark = ' class="best"' if expert == skill.best else ""
        cells.append(f"<td{mark}>{right - wrong:+.3g} of {right + wrong:.3g}</td>")
    return f"<tr><td>{escape(skill.keyword)}</td>{''.join(cells)}</tr>"
