"""How do costs look? Plots as inline SVG, in the colours of the page that they stand in, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradcheck.bench import checks, steps
from gradcheck.bench.facts import Bench, Measured, Notebook, exponent

__all__ = ["COLOURS", "plots"]

INK, FAINT, LINE = "#010101", "#020202", "#030303"
COLOURS = tuple(f"#0400{k:02x}" for k in range(8))
"""Stand-ins: in the page they are the variables ``--ink``, ``--faint``, ``--line`` and ``--c0`` to ``--c7``."""
_VARIABLES = {INK: "--ink", FAINT: "--faint", LINE: "--line"} | {c: f"--c{k}" for k, c in enumerate(COLOURS)}
_STYLE: Any = {
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": FAINT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.facecolor": "none",
    "font.size": 10,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}
_MARKS = "osD^vP"


def plots(bench: Bench) -> dict[str, str]:
    """Return the plots by the names that `gradcheck.bench.document` calls them, each an SVG element.

    Parameters
    ----------
    bench : Bench
        What was found; what was not measured has no plot.
    """
    found: dict[str, str] = {}
    drawn: list[tuple[str, bool, Callable[[], str]]] = [
        ("steps", bool(bench.section("steps")), lambda: _steps(bench)),
        ("roofline", bool(bench.section("kernels")), lambda: _roofline(bench)),
        ("checks", bool(bench.section("checks")), lambda: _checks(bench)),
    ]
    drawn += [(f"loss {each.name}", True, lambda each=each: _loss(each)) for each in bench.notebooks]  # type: ignore[misc]
    for name, there, draw in drawn:
        if there:
            found[name] = draw()
    return found


@contextmanager
def _figure(salt: str, columns: int = 1, **size: Any) -> Iterator[tuple[Any, Any, list[str]]]:
    """Yield a figure, its axes and a list to which its SVG is appended at the end."""
    import matplotlib as mpl  # an extra, and slow to load
    from matplotlib.figure import Figure

    # ids are made of the salt: those of two plots in one page must differ
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(**size, layout="constrained")
        axes = figure.subplots(1, columns, sharey=True, squeeze=False)[0]
        done: list[str] = []
        yield figure, axes, done
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        done.append(_inline(file.getvalue(), salt))


def _inline(svg: str, label: str) -> str:
    """Return the element alone, as wide as its column, its stand-ins replaced by the page's variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{label}"', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # groups are not referred to, and are called alike in all plots
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return svg


def _grows(taken: Sequence[tuple[float, float]]) -> str:
    fitted = exponent([size for size, _ in taken], [seconds for _, seconds in taken])
    return "" if fitted is None else f", exponent {fitted:.2f}"


def _steps(bench: Bench) -> str:
    measured = bench.section("steps")
    dtypes = list(dict.fromkeys(each.work["dtype"] for each in measured))
    shown = ("products", *steps.OURS, *(who for who in steps.PEERS if any(who in each.peers for each in measured)))
    with _figure("Time of a training step against its operations", len(dtypes), figsize=(10, 5)) as (
        figure,
        axes,
        done,
    ):
        for axis, dtype in zip(axes, dtypes, strict=True):
            for k, who in enumerate(shown):
                taken = _costs(measured, "dtype", dtype, "operations", who)
                if who == "products":
                    axis.loglog(*zip(*taken, strict=True), color=INK, linestyle=":", label="the products alone")
                elif taken:
                    ours = who in steps.OURS
                    axis.loglog(
                        *zip(*taken, strict=True),
                        color=COLOURS[(k - 1) % len(COLOURS)],
                        marker=_MARKS[k % len(_MARKS)],
                        linestyle="-" if ours else "--",
                        label=who,
                    )
            axis.set(title=dtype, xlabel="operations of the products of a step")
        axes[0].set_ylabel("seconds")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return done[0]


def _checks(bench: Bench) -> str:
    measured = bench.section("checks")
    families = list(dict.fromkeys(each.work["family"] for each in measured))
    with _figure("Time of a check against its entries", figsize=(10, 5)) as (figure, (axis,), done):
        for k, family in enumerate(families):
            for mode, style in zip((measured[0].limit, *checks.MODES), (":", "-", "--"), strict=True):
                taken = _costs(measured, "family", family, "entries", mode)
                label = f"{family}, {mode}{_grows(taken)}"
                axis.loglog(*zip(*taken, strict=True), color=COLOURS[k], linestyle=style, marker=_MARKS[k], label=label)
        axis.set(xlabel="entries of the gradient", ylabel="seconds")
        figure.legend(loc="outside right center")
    return done[0]


def _costs(measured: Sequence[Measured], column: str, value: Any, size: str, who: str) -> list[tuple[float, float]]:
    return [
        (each.work[size], each.costs[who].second)
        for each in measured
        if each.work[column] == value and who in each.costs
    ]


def _roofline(bench: Bench) -> str:
    """Operations per second against operations per byte: below the copies' bandwidths and the products' peak."""
    measured = bench.section("kernels")
    dtypes = {each.work["dtype"] for each in measured}
    peaks = {
        each.work["dtype"]: _rate(each)
        for each in bench.section("limits")
        if each.work["unit"] == "flop" and each.work["dtype"] in dtypes
    }
    copies = {
        (each.work["numbers"], each.work["dtype"]): _rate(each)
        for each in bench.section("limits")
        if each.work["unit"] == "B"
    }
    kernels = list(dict.fromkeys(each.work["kernel"] for each in measured))
    intensities = [each.work["operations"] / each.work["bytes"] for each in measured]
    with _figure("Roofline of the kernels", len(peaks), figsize=(10, 5.4)) as (figure, axes, done):
        for axis, (dtype, peak) in zip(axes, peaks.items(), strict=True):
            reach = [min(0.06, *intensities) / 2, max(20.0, *intensities) * 2]
            for (numbers, of), bandwidth in copies.items():
                if of == dtype:
                    ridge = [reach[0], peak / bandwidth, reach[1]]
                    roof = [min(peak, x * bandwidth) / 1e9 for x in ridge]
                    style = "-" if numbers == max(n for n, _ in copies) else "--"
                    axis.loglog(ridge, roof, color=INK, linestyle=style, label=f"roof: product, copy of {numbers:,}")
            for k, kernel in enumerate(kernels):
                found = [each for each in measured if each.work["kernel"] == kernel and each.work["dtype"] == dtype]
                for each in found:
                    x, y = each.work["operations"] / each.work["bytes"], each.work["operations"]
                    large = each is found[-1]  # or the only one
                    axis.loglog(
                        [x],
                        [y / each.costs["kernel"].second / 1e9],
                        color=COLOURS[k % len(COLOURS)],
                        marker=_MARKS[k % len(_MARKS)],
                        linestyle="none",
                        fillstyle="full" if large else "none",
                        label=kernel if large else None,
                    )
            axis.set(title=dtype, xlabel="operations per byte")
        axes[0].set_ylabel("operations per second, in 10⁹")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return done[0]


def _rate(each: Measured) -> float:
    amount: float = each.work["amount"]
    return amount / each.costs["limit"].second


def _loss(notebook: Notebook) -> str:
    with _figure(f"Loss of {notebook.name}", figsize=(7, 3.2)) as (_, (axis,), done):
        axis.plot(notebook.written.steps, notebook.written.losses, color=COLOURS[0], linewidth=4, alpha=0.45)
        axis.plot(notebook.port.steps, notebook.port.losses, color=COLOURS[1])
        names = ["as written", "port"]
        if notebook.printed.steps:
            axis.plot(notebook.printed.steps, notebook.printed.losses, color=INK, marker="x", linestyle="none")
            names.append("printed in the notebook")
        axis.set(xlabel="step", ylabel="loss")
        if max(notebook.written.losses) > 100 * min(notebook.written.losses):
            axis.set_yscale("log")
        axis.legend(axis.lines, names)
    return done[0]
