"""A report as one HTML file that asks nothing of the network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from html import escape

from motet.lab.routers.bootstrap import Figure
from motet.lab.routers.controls import BEST_SINGLE, ORACLE, PER_TASK
from motet.lab.routers.report import Judgement, Report, accuracy

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #666; --rule: #ddd; --back: #fff;
  --card: #f6f6f4; --good: #00664a; --bad: #a33c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e6; --soft: #a0a0a0; --rule: #3a3a3a;
  --back: #161616; --card: #202020; --good: #4cc79c; --bad: #f0905a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 72rem; background: var(--back);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .7rem; }
p { max-width: 46rem; margin: .5rem 0; }
.soft, figcaption { color: var(--soft); font-size: .9rem; }
.summary { background: var(--card); border-left: 4px solid var(--good); padding: .7rem 1.2rem;
  margin: 1.4rem 0; border-radius: 0 6px 6px 0; }
.summary.unproven { border-color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.caption { margin: 1.6rem 0 .3rem; }
th, td { padding: .34rem .75rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; }
thead th { vertical-align: bottom; color: var(--soft); font-weight: 600; }
tr.control td { color: var(--soft); }
td small { color: var(--soft); margin-left: .35rem; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); }
figure { margin: 1.2rem 0; } figure img { max-width: 100%; height: auto; background: #fff;
  border: 1px solid var(--rule); border-radius: 6px; padding: .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""

_MOST = 6
"""Routers in the table of tasks: the best of them, as in the pictures."""
_CAPTIONS = {
    "accuracy": "Circles are routers, diamonds controls. Intervals that cross the dashed line do "
    "not yet prove anything; the paired gain in the table is the sharper test.",
    "cost_quality": "Each line is what a router reaches as money counts more and more. To the left "
    "of and above the single experts is better.",
    "strong_share": "Queries go to the strong expert in the order in which the router thinks that "
    "it helps.",
    "tasks": "Numbers are points of accuracy.",
    "calibration": "Every pair of query and expert counts, in bins of equally many. On the dashed "
    "line, estimates can be read as chances.",
    "calls": "Where all calls go to one expert, there is no routing.",
}


def page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """Return the HTML of a report; all text in it is escaped.

    Parameters
    ----------
    pictures
        PNG by name, as `plots.pictures` returns them.
    """
    title = f"Routers on {report.table}"
    proven = any(judgement.beats_best_single for judgement in report.routers)
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in summary(report))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_about(report))}</p>',
        f'<div class="summary{"" if proven else " unproven"}">{sentences}</div>',
        "<h2>Figures</h2>",
        *(_table(report, caption, columns) for caption, columns in _TABLES.items()),
        _against(report),
        _tasks(report),
        "<h2>Pictures</h2>",
        *(_picture(name, data) for name, data in pictures.items()),
        "<h2>How it was measured</h2>",
        _settings(report),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def summary(report: Report) -> Iterator[str]:
    """Yield what the report says, in sentences."""
    if not report.routers:
        return
    best, single = report.routers[0], report.of(BEST_SINGLE)
    gain = best.figures["gain_over_best_single"]
    span = _span(best.figures["accuracy_mean_over_tasks"], 100, 1)
    first = f"{best.name} answers {100 * accuracy(best):.1f}% right ({span}), mean over tasks"
    yield f"{first}; the best single expert, {report.best_single}, {100 * accuracy(single):.1f}%."
    if best.beats_best_single:
        room = accuracy(report.of(ORACLE)) - accuracy(single)
        share = f", {(gain.value or 0) / room:.0%} of what an oracle would gain" if room else ""
        yield (f"It beats the best single expert by {_points(gain)} with 95% confidence{share}.")
    else:
        yield (
            f"It does not beat the best single expert with 95% confidence: the difference is "
            f"{_points(gain)}."
        )
    ratio = best.figures["cost_ratio_at_best_single"]
    cheapest = min(report.routers, key=_ratio)
    if ratio.value is not None or _ratio(cheapest) < float("inf"):
        part_of_cost = cheapest.figures["cost_ratio_at_best_single"]
        yield (
            f"{cheapest.name} reaches the best single expert's quality at {_ratio(cheapest):.0%} "
            f"of its cost ({_span(part_of_cost, 100, 0)})."
        )
    if report.pair is not None and len(report.experts) == 2:
        leader = max(report.routers, key=lambda judgement: judgement.figures["apgr"].value or 0.0)
        apgr = leader.figures["apgr"]
        yield (
            f"{leader.name} sorts queries between {report.pair[1]} and {report.pair[0]} best: APGR "
            f"{apgr.value or 0:.3f} ({_span(apgr, 1, 3)}), where chance has 0.5."
        )


def _ratio(judgement: Judgement) -> float:
    value = judgement.figures["cost_ratio_at_best_single"].value
    return float("inf") if value is None else value


def _points(gain: Figure) -> str:
    return f"{100 * (gain.value or 0):+.1f} points ({_span(gain, 100, 1, '+')})"


def _span(figure: Figure, scale: float, digits: int, sign: str = "") -> str:
    low, high = (
        "∞" if end is None else f"{scale * end:{sign}.{digits}f}"
        for end in (figure.low, figure.high)
    )
    return f"{low} to {high}"


def _about(report: Report) -> str:
    method = report.settings.get("method") or f"trained on {report.settings.get('trained on')}"
    return (
        f"{report.rows:,} queries of {len(report.tasks)} tasks, {len(report.experts)} experts; "
        f"{method}. Intervals hold 95%."
    )


Column = tuple[str, Callable[[Judgement], str | None]]
"""A heading, and the cell of a contestant as HTML; None where it has none."""


def _figure(
    name: str, scale: float, digits: int, sign: str = ""
) -> Callable[[Judgement], str | None]:
    def cell(judgement: Judgement) -> str | None:
        figure = judgement.figures[name]
        if figure.value is None:
            return None
        certain = figure.low is None or figure.low == figure.high
        span = "" if certain else f"<small>{_span(figure, scale, digits, sign)}</small>"
        return f"{scale * figure.value:{sign}.{digits}f}{span}"

    return cell


def _gain(judgement: Judgement) -> str | None:
    if judgement.name == BEST_SINGLE:
        return None
    gain = _figure("gain_over_best_single", 100, 1, "+")(judgement)
    return f'<span class="{_certain(judgement.figures["gain_over_best_single"])}">{gain}</span>'


def _seconds(name: str, digits: int) -> Callable[[Judgement], str | None]:
    def cell(judgement: Judgement) -> str | None:
        value = getattr(judgement.timing, name)
        return None if value is None else f"{value:.{digits}f}"

    return cell


_TABLES: dict[str, tuple[Column, ...]] = {
    "Accuracy in percent, and the gain over the best single expert in points of the mean over "
    "tasks, on the same resamples": (
        ("mean over tasks", _figure("accuracy_mean_over_tasks", 100, 1)),
        ("mean over queries", _figure("accuracy_mean_over_queries", 100, 1)),
        ("gain", _gain),
        ("regret to the oracle", _figure("regret_to_oracle", 100, 1)),
    ),
    "Money: cost in USD for 1,000 answers at its own setting; AIQ over all settings; the cost of "
    "the best single expert's quality in percent of that expert's": (
        ("cost", _figure("cost_mean", 1000, 3)),
        ("AIQ", _figure("aiq", 1, 3)),
        ("cost at that quality", _figure("cost_ratio_at_best_single", 100, 1)),
    ),
    "Between the strong and the weak expert; CPT in percent of calls": (
        ("APGR", _figure("apgr", 1, 3)),
        ("CPT(50)", _figure("cpt_50", 100, 1)),
        ("CPT(80)", _figure("cpt_80", 100, 1)),
    ),
    "Estimates and time": (
        ("calibration error, points", _figure("calibration_error", 100, 1)),
        ("Brier", _figure("brier", 1, 3)),
        ("fit, s", _seconds("fit_seconds", 1)),
        ("decision p50, ms", _seconds("decision_ms_p50", 2)),
        ("p95, ms", _seconds("decision_ms_p95", 2)),
    ),
}


def _table(report: Report, caption: str, columns: tuple[Column, ...]) -> str:
    """Return a table of everyone, without the columns and rows that nobody fills."""
    contestants = [*report.routers, *report.controls]
    cells = {judgement.name: [cell(judgement) for _, cell in columns] for judgement in contestants}
    kept = [n for n in range(len(columns)) if any(row[n] is not None for row in cells.values())]
    if not kept:
        return ""
    head = "".join(f"<th>{escape(columns[number][0])}</th>" for number in kept)
    rows = []
    for judgement in contestants:
        shown = [cells[judgement.name][number] for number in kept]
        if any(cell is not None for cell in shown):
            style = ' class="control"' if judgement.control else ""
            name = escape(judgement.name) + (" <small>control</small>" if judgement.control else "")
            filled = "".join(f"<td>{cell or ''}</td>" for cell in shown)
            rows.append(f"<tr{style}><td>{name}</td>{filled}</tr>")
    return _wrapped(caption, f"<th></th>{head}", rows)


def _against(report: Report) -> str:
    """Return the table of every two routers."""
    names = [judgement.name for judgement in report.routers]
    if len(names) < 2:
        return ""
    head = "<th></th>" + "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for one in names:
        cells = [_difference(report.against.get((one, other))) for other in names]
        rows.append(f"<tr><td>{escape(one)}</td>{''.join(cells)}</tr>")
    caption = (
        "The row's accuracy less the column's, in points of the mean over tasks; marked where the "
        "95% interval leaves out zero"
    )
    return _wrapped(caption, head, rows)


def _tasks(report: Report) -> str:
    """Return the table of every task, the largest first; empty where there is one."""
    if len(report.tasks) < 2:
        return ""
    shown = [*report.routers[:_MOST], *(report.of(name) for name in (BEST_SINGLE, PER_TASK))]
    head = "<th></th><th>queries</th>" + "".join(f"<th>{escape(j.name)}</th>" for j in shown)
    base = report.of(BEST_SINGLE).by_task
    rows = []
    for task, count in sorted(report.tasks.items(), key=lambda item: -item[1]):
        cells = "".join(_task_cell(judgement.by_task[task], base[task]) for judgement in shown)
        rows.append(f"<tr><td>{escape(task or 'unnamed')}</td><td>{count:,}</td>{cells}</tr>")
    caption = "Accuracy on each task in percent, in bold where it is above the best single expert's"
    return _wrapped(caption, head, rows)


def _task_cell(value: float, base: float) -> str:
    style = ' class="good"' if value > base + 0.0005 else ""
    return f"<td{style}>{100 * value:.1f}</td>"


def _difference(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "<td></td>"
    span = escape(_span(figure, 100, 1, "+"))
    return f'<td class="{_certain(figure)}" title="{span}">{100 * figure.value:+.1f}</td>'


def _certain(difference: Figure) -> str:
    """Return the style of a difference by the side of zero on which its interval lies."""
    if (difference.low or 0) > 0:
        return "good"
    return "bad" if (difference.high or 0) < 0 else ""


def _wrapped(caption: str, head: str, rows: list[str]) -> str:
    body = "".join(rows)
    return (
        f'<p class="soft caption">{escape(caption)}.</p><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _picture(name: str, data: bytes) -> str:
    caption = escape(_CAPTIONS[name])
    source = f"data:image/png;base64,{b64encode(data).decode()}"
    return (
        f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>'
    )


def _settings(report: Report) -> str:
    facts = {
        **report.settings,
        "best single expert": report.best_single,
        "strong and weak expert": " and ".join(report.pair) if report.pair else None,
        "experts": ", ".join(report.experts),
        "tasks": ", ".join(f"{task or 'unnamed'} ({n:,})" for task, n in report.tasks.items()),
    }
    return "".join(
        ["<dl>"]
        + [f"<dt>{escape(k)}</dt><dd>{escape(_plain(v))}</dd>" for k, v in facts.items() if v]
        + ["</dl>"]
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
