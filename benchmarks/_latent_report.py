"""Pages, tables and plots of the latent attention benchmark's results."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def write_results(report: dict[str, Any], rows: list[dict[str, Any]], stem: Path) -> None:
    """Write the CSV, the plot and the page of one full run."""
    stem.parent.mkdir(exist_ok=True)
    hardware = report["machine"]["cpu"]
    with stem.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["hardware", *rows[0]])
        writer.writeheader()
        writer.writerows({"hardware": hardware, **row} for row in rows)
    plot(report, rows, stem.with_suffix(".png"))
    lines = [f"# Latent attention on {hardware}, {report['machine']['threads']} threads", ""]
    lines += ["| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report["figures"].items()]
    columns = list(rows[0])
    lines += ["", "|" + "|".join(columns) + "|", "|" + "---|" * len(columns)]
    lines += ["|" + "|".join(str(row[c]) for c in columns) + "|" for row in rows]
    details = {key: report[key] for key in ("settings", "machine", "versions")}
    lines += ["", "```json", json.dumps(details, indent=1), "```", ""]
    lines += [
        "Repeat it with `python benchmarks/latent_attention.py --threads N --write-results`.",
        "",
    ]
    stem.with_suffix(".md").write_text("\n".join(lines))


def plot(report: dict[str, Any], rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time by batch size for prefill and decode, and every ratio of the ragged grid."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ragged = [row for row in rows if row["mix"] == "ragged" and row["experts"] == 4]
    dtype = report["settings"]["headline_dtype"]
    figure, axes = plt.subplots(1, 3, figsize=(15.5, 4.2), layout="constrained")
    colours = {"ours": "#0b6e4f", "loop": "#d17b0f", "padded": "#8a8a8a"}
    for axis, mode in zip(axes, ("prefill", "decode"), strict=False):
        some = [row for row in ragged if row["mode"] == mode and row["dtype"] == dtype]
        for name, colour in colours.items():
            x, y = [r["requests"] for r in some], [r[f"{name}_ms"] for r in some]
            axis.loglog(x, y, "o-", color=colour, base=2, label=name)
        axis.set_yscale("log", base=10)
        axis.set(
            title=f"{mode}, {dtype}", xlabel="requests in the batch", ylabel="median ms a level"
        )
        axis.legend(frameon=False)
    styles = {"loop": "-", "padded": "--"}
    for kind, colour in {
        ("prefill", dtype): "#0b6e4f",
        ("decode", dtype): "#1f77b4",
        ("prefill", "float32"): "#a03070",
        ("decode", "float32"): "#c9a227",
    }.items():
        some = [row for row in ragged if (row["mode"], row["dtype"]) == kind]
        for name, style in styles.items():
            x, y = [r["requests"] for r in some], [r[f"vs_{name}"] for r in some]
            label = f"{kind[0]} {kind[1]} vs {name}"
            axes[2].plot(x, y, style, marker=".", color=colour, label=label)
    axes[2].axhline(0.9, color="red", linewidth=1)
    axes[2].text(1, 0.84, "floor 0.9", color="red", va="top", fontsize=8)
    axes[2].set_xscale("log", base=2)
    axes[2].set_yscale("log", base=2)
    axes[2].set(title="speed-up of ours", xlabel="requests in the batch", ylabel="ratio of medians")
    axes[2].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    figure.suptitle(
        f"Cross-attention over ragged latents (16-2048 tokens), {report['machine']['cpu']}, "
        f"{report['machine']['threads']} threads"
    )
    figure.savefig(path, dpi=130)
