"""A plan as a picture: what fills each device, and who waits elsewhere."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.planner.plan import Plan, Seat, State
from motet.units import GIB, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#3b6fb6", "#d9822b", "#3f9d6d", "#a5508f", "#b8473d", "#6c63b5", "#2f9aa0", "#8a7340")
_FREE = "#e8e8e8"
_HEIGHT = 0.62


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
    colours = dict(zip((s.demand.expert for s in plan.seats), cycle(_COLOURS), strict=False))
    # Names are written where there is room for them.
    least = 0.07 * max(device.total for device in devices) / GIB
    for row, device in enumerate(devices):
        axes.barh(row, device.total / GIB, color=_FREE, height=_HEIGHT)
        left = 0.0
        for seat in sorted(plan.on(device.name), key=lambda s: -s.demand.traffic):
            start, left = left, _stack(axes, row, left, seat, colours[seat.demand.expert])
            if left - start > least:
                _name(axes, row, (start + left) / 2, seat.demand.expert)
    _furnish(axes, plan)
    if waiting:
        figure.text(0.08, 0.02, "\n".join(map(_line, waiting)), fontsize=8, va="bottom")
    figure.subplots_adjust(
        left=0.1,
        right=0.97,
        top=1 - 0.45 / figure.get_figheight(),
        bottom=(0.65 + 0.19 * len(waiting)) / figure.get_figheight(),
    )
    figure.savefig(path, dpi=130)


def _stack(axes: Axes, row: int, left: float, seat: Seat, colour: str) -> float:
    """Draw what an expert takes of a device, from `left` on; return where it ends."""
    demand = seat.demand
    pieces = (
        (demand.weights / demand.parts, 1.0, ""),
        (seat.kv / demand.parts, 0.45, ""),
        (demand.engine, 0.45, "////"),
    )
    look: dict[str, Any] = {"color": colour, "height": _HEIGHT, "edgecolor": "white", "lw": 0.5}
    for size, alpha, hatch in pieces:
        axes.barh(row, size / GIB, left=left, alpha=alpha, hatch=hatch, **look)
        left += size / GIB
    return left


def _name(axes: Axes, row: int, middle: float, expert: str) -> None:
    box = {"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5}
    axes.text(middle, row, expert, ha="center", va="center", fontsize=8, color="black", bbox=box)


def _furnish(axes: Axes, plan: Plan) -> None:
    """Name the devices and the axis, and say how good the plan is."""
    devices = plan.machine.devices
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


def _line(seat: Seat) -> str:
    demand = seat.demand
    return (
        f"{seat.state.value}: {demand.expert} ({readable(demand.weights)}, "
        f"{demand.traffic:.1%} of requests, ready in {seat.wait_s:.2g} s)"
    )
