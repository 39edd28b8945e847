"""A plan as a picture: what fills each device, and who waits elsewhere."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.pictures import GREY, INK, PALE, SOFT, new_figure, style, write
from motet.planner.plan import Plan, PlanSeat
from motet.units import GIB, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 0.62
_WEIGHTS: dict[str, Any] = {}
_KEYS_VALUES: dict[str, Any] = {"alpha": 0.45}
_ENGINE: dict[str, Any] = {"alpha": 0.45, "hatch": "////"}
_FREE: dict[str, Any] = {"color": "#eeeeee"}
_POINTS_BELOW = 46  # to clear the ticks and the axis' name


def draw(plan: Plan, path: Path) -> None:
    """Write the plan as a PNG or SVG, by the ending of `path`.

    Each bar is a device: weights in full colour, keys and values in the same one lighter, the
    engine's own part hatched, in grey what is kept for the driver or left.
    """
    with style():
        write(_drawn(plan), path)


def _drawn(plan: Plan) -> Figure:
    devices = plan.machine.devices
    figure = new_figure(9, 0.9 + 0.55 * len(devices))
    axes = figure.subplots()
    # Only who is drawn takes a colour, device by device, so that neighbours differ.
    residents = (seat for device in devices for seat in _stacked(plan, device.name))
    names = dict.fromkeys(seat.demand.expert for seat in residents)
    colours = dict(zip(names, cycle(PALE), strict=False))
    # Names are written where there is room for them.
    least = 0.07 * max(device.total for device in devices) / GIB
    for row, device in enumerate(devices):
        axes.barh(row, device.total / GIB, height=_HEIGHT, **_FREE)
        end = 0.0
        for seat in _stacked(plan, device.name):
            expert, start = seat.demand.expert, end
            end = _stack(axes, row, start, seat, colours[expert])
            if end - start > least:
                middle = (start + end) / 2
                axes.text(middle, row, expert, ha="center", va="center", fontsize=9, color=INK)
    _furnish(axes, plan)
    return figure


def _stacked(plan: Plan, device: str) -> list[PlanSeat]:
    """Return who lives on a device, the most asked first."""
    return sorted(plan.on(device), key=lambda seat: -seat.demand.traffic)


def _stack(axes: Axes, row: int, start: float, seat: PlanSeat, colour: str) -> float:
    """Draw what an expert takes of a device, from `start` on; return where it ends."""
    demand = seat.demand
    parts = (
        (demand.weights / demand.parts, _WEIGHTS),
        (seat.kv / demand.parts, _KEYS_VALUES),
        (demand.engine, _ENGINE),
    )
    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.8}
    for size, look in parts:
        axes.barh(row, size / GIB, _HEIGHT, left=start, facecolor=colour, **edge, **look)
        start += size / GIB
    return start


def _furnish(axes: Axes, plan: Plan) -> None:
    """Name the devices, the axis and the parts, say how good the plan is, and who waits."""
    from matplotlib.patches import Patch

    devices = plan.machine.devices
    axes.set_yticks(range(len(devices)), [device.name for device in devices])
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("GiB", loc="left")
    parts = {"weights": _WEIGHTS, "keys and values": _KEYS_VALUES, "engine": _ENGINE}
    handles = [
        Patch(facecolor=GREY, edgecolor="white", label=n, **look) for n, look in parts.items()
    ]
    axes.legend(
        handles=[*handles, Patch(label="free, or the driver's", **_FREE)],
        loc="upper right",
        bbox_to_anchor=(1, 0),
        borderaxespad=2,
        ncols=4,
        fontsize=9,
    )
    proof = "proven best" if plan.gap == 0 else f"at most {plan.gap:.1%} above the best"
    axes.set_title(f"A request waits {plan.wait_s:.3g} s for its expert on average ({proof})")
    waiting = "\n".join(_line(seat) for seat in plan.seats if not seat.devices)
    below: dict[str, Any] = {
        "xytext": (0, -_POINTS_BELOW),
        "textcoords": "offset points",
        "va": "top",
    }
    axes.annotate(waiting, (0, 0), xycoords="axes fraction", fontsize=9, color=SOFT, **below)


def _line(seat: PlanSeat) -> str:
    demand = seat.demand
    return (
        f"{seat.state.value}: {demand.expert} ({readable(demand.weights)}, "
        f"{demand.traffic:.1%} of requests, ready in {seat.wait_s:.2g} s)"
    )
