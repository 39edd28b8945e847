"""What a run says: figures beside their aims, a table, JSON, CSV, and a page to keep."""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.recorder import read_rows

Row = Mapping[str, Any]

AIMS = {
    "gpu_failed_checks": ("at most", 0.0),
    "gpu_speedup_vs_padded_b32": ("at least", 3.0),
    "gpu_speedup_vs_loop_b32": ("at least", 5.0),
    "gpu_vs_flex_b32": ("at least", 1.2),
    "gpu_decode_of_floor_b128": ("at most", 1.5),
    "gpu_decode_time_vs_primary_b8": ("at most", 1.15),
}


def figures(rows: Iterable[Row]) -> dict[str, float]:
    """Return the figures that have aims, as far as they were measured."""
    rows = list(rows)
    checks = [row for row in rows if "ok" in row or (_is_check(row) and "failed" in row)]
    by_case = {(row["part"], row["case"]): row for row in rows}
    wanted = {
        "gpu_speedup_vs_padded_b32": ("speed", "prefill b32 e4 vs padded", "ratio"),
        "gpu_speedup_vs_loop_b32": ("speed", "prefill b32 e4 vs loop", "ratio"),
        "gpu_vs_flex_b32": ("speed", "prefill b32 e4 flex", "ratio"),
        "gpu_decode_of_floor_b128": ("speed", "decode b128 e4", "of_floor"),
        "gpu_decode_time_vs_primary_b8": ("engine", "rows 8", "decode_time_vs_primary"),
    }
    made: dict[str, float] = {}
    if checks:
        made["gpu_checks"] = len(checks)
        made["gpu_failed_checks"] = sum(not row.get("ok", False) for row in checks)
    for name, (part, case, value) in wanted.items():
        measured = by_case.get((part, case), {}).get(value)
        if measured is not None:
            made[name] = round(measured, 3)
    return made


def _is_check(row: Row) -> bool:
    return row["part"] in ("correctness", "tokens")


def write(folder: Path, parts: Mapping[str, Row], settings: Mapping[str, Any]) -> dict[str, float]:
    """Write what is known so far into a run's folder; return its figures."""
    rows = read_rows(folder)
    about = next((row for row in rows if row["case"] == "machine"), {})
    machine = {name: value for name, value in about.items() if name not in ("part", "case")}
    report = {
        "figures": figures(rows),
        "settings": dict(settings),
        "machine": machine,
        "parts": dict(parts),
        "rows": rows,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    hardware = re.sub(r"[^a-z0-9]+", "-", str(machine.get("device", "unknown")).lower()).strip("-")
    for old in folder.glob("gpu_*.md"):
        old.unlink()
    (folder / f"gpu_{hardware}_{date}.md").write_text(page(report, date))
    return report["figures"]


def page(report: Mapping[str, Any], date: str) -> str:
    """Return a page for `benchmarks/results`."""
    rows: Sequence[Row] = report["rows"]
    lines = [f"# GPU parts on {report['machine'].get('device', 'a machine')}, {date}", ""]
    options = [f"--{name} {value}" for name, value in report["settings"].items()]
    lines += [f"    benchmarks/gpu/run {' '.join(options)}", ""]
    lines += _table(
        ["figure", "value", "aim"],
        [[f"`{name}`", value, _aim(name)] for name, value in report["figures"].items()],
    )
    lines += _table(
        ["part", "ended", "seconds", "allowed"],
        [
            [name, about["ended"], f"{about['seconds']:.0f}", f"{about['allowed']:.0f}"]
            for name, about in report["parts"].items()
        ],
    )
    bad = [row for row in rows if "failed" in row or row.get("ok") is False]
    if bad:
        lines += ["## Failed", "", *_table(["part", "case", "why"], map(_why, bad))]
    skipped = [row for row in rows if "skipped" in row]
    if skipped:
        lines += ["## Left out", "", *_table(["part", "case", "why"], map(_why, skipped))]
    for part in report["parts"]:
        of_part = [
            row for row in rows if row["part"] == part and row not in bad and row not in skipped
        ]
        if of_part:
            lines += [f"## {part.capitalize()}", "", *_values(of_part)]
    lines += ["## Machine", "", *_table(["name", "value"], report["machine"].items())]
    return "\n".join(lines)


def _why(row: Row) -> list[Any]:
    known = {name: value for name, value in row.items() if name not in ("part", "case")}
    return [row["part"], row["case"], row.get("failed") or row.get("skipped") or known]


def _values(rows: Sequence[Row]) -> list[str]:
    """Return a table of one part's results, as wide as its widest."""
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "part"))
    return _table(columns, [[_shown(row.get(name, "")) for name in columns] for row in rows])


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _aim(name: str) -> str:
    return " ".join(map(str, AIMS[name])) if name in AIMS else ""


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def summary(made: Mapping[str, float]) -> list[str]:
    """Return the last lines of a run: each figure beside its aim."""
    lines = []
    for name, value in made.items():
        verdict = ""
        if name in AIMS:
            kind, aim = AIMS[name]
            met = value >= aim if kind == "at least" else value <= aim
            verdict = f"{kind} {aim:g}: {'yes' if met else 'NO'}"
        lines.append(f"{name:32} {value:10.4g}  {verdict}")
    return lines
