"""A plan as a picture: what fills each device, and who waits elsewhere."""

from __future__ import annotations

from pathlib import Path

from motet.planner.plan import Plan, State, gib

_COLOURS = ("#3b6fb6", "#d9822b", "#3f9d6d", "#a5508f", "#b8473d", "#6c63b5", "#2f9aa0", "#8a7340")
_FREE = "#e8e8e8"


def draw(plan: Plan, path: Path) -> None:
    """Write the plan as a PNG or SVG, by the ending of `path`.

    Each bar is a device: weights in full colour, keys and values in the same one lighter, the
    engine's own part hatched, in grey what is kept for the driver or left.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    devices = plan.machine.devices
    waiting = [seat for seat in plan.seats if seat.state is not State.RESIDENT]
    figure = Figure(figsize=(10, 1.4 + 0.62 * len(devices) + 0.22 * len(waiting)))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ordered = [seat.demand.expert for seat in plan.seats]
    for row, device in enumerate(devices):
        axes.barh(row, device.total / 2**30, color=_FREE, height=0.62)
        left = 0.0
        for seat in sorted(plan.on(device.name), key=lambda s: -s.demand.traffic):
            demand = seat.demand
            colour = _COLOURS[ordered.index(demand.expert) % len(_COLOURS)]
            start = left
            pieces = (
                (demand.weights / demand.parts, 1.0, ""),
                (seat.kv / demand.parts, 0.45, ""),
                (demand.engine, 0.45, "////"),
            )
            for size, alpha, hatch in pieces:
                width = size / 2**30
                axes.barh(
                    row,
                    width,
                    left=left,
                    color=colour,
                    alpha=alpha,
                    hatch=hatch,
                    height=0.62,
                    edgecolor="white",
                    linewidth=0.5,
                )
                left += width
            if left - start > 0.07 * max(d.total for d in devices) / 2**30:
                axes.text(
                    (start + left) / 2,
                    row,
                    demand.expert,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="black",
                    bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5},
                )
    axes.set_yticks(range(len(devices)), [device.name for device in devices])
    axes.invert_yaxis()
    axes.set_xlabel("GiB: weights full, keys and values light, engine hatched, grey is free")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    proof = "proven best" if plan.gap == 0 else f"at most {plan.gap:.1%} above the best"
    axes.set_title(
        f"A request waits {plan.wait_s:.3g} s for its expert on average ({proof})",
        loc="left",
        fontsize=10,
    )
    if waiting:
        lines = [
            f"{seat.state.value}: {seat.demand.expert} ({gib(seat.demand.weights)}, "
            f"{seat.demand.traffic:.1%} of requests, ready in {seat.wait_s:.2g} s)"
            for seat in waiting
        ]
        figure.text(0.08, 0.02, "\n".join(lines), fontsize=8, va="bottom")
    figure.subplots_adjust(
        left=0.1,
        right=0.97,
        top=1 - 0.45 / figure.get_figheight(),
        bottom=(0.65 + 0.19 * len(waiting)) / figure.get_figheight(),
    )
    figure.savefig(path, dpi=130)
