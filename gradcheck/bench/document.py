"""What does the report say? Its sections, in the order in which one reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from gradcheck.bench import checks, kernels, steps
from gradcheck.bench.compare import Comparison
from gradcheck.bench.contents import NONE, Section, Table, duration, ratio
from gradcheck.bench.facts import Bench, Measured, Notebook, exponent
from gradcheck.bench.limits import limits
from gradcheck.bench.notebooks import PROFILED

__all__ = ["changes", "sections", "summary"]


def sections(bench: Bench, comparison: Comparison | None = None) -> list[Section]:
    """Return what was found, in the order in which one reads it; nothing of what was not measured.

    Parameters
    ----------
    bench : Bench
        What was found.
    comparison : Comparison, optional
        With an earlier report.
    """
    found = [
        None if comparison is None else changes(comparison),
        summary(bench),
        _steps(bench),
        _kernels(bench),
        _checks(bench),
        _notebooks(bench),
        _limits(bench),
        _measuring(bench),
    ]
    return [section for section in found if section is not None]


UNEVEN = 1.25
"""From which on it is said that the machine's parts did not slow down alike."""


def changes(comparison: Comparison) -> Section:
    """Return what became slower or faster since an earlier report, and why that is not judged if it is not."""
    paragraphs = [f"Measured elsewhere: {difference}." for difference in comparison.differences]
    if not comparison.judged:
        paragraphs.append("Not judged, since the machine is another one: --any-machine does it all the same.")
    drift = comparison.drift
    if drift and max(drift.values()) > UNEVEN * min(drift.values()):
        parts = ", ".join(f"{name} {ratio(factor)} times as long" for name, factor in drift.items())
        paragraphs.append(
            f"The machine itself changed, and unevenly: compared with then, {parts}. What grew by no more than the most"
            " of these is not seen."
        )
    slower, faster = comparison.slower, comparison.faster
    paragraphs.append(
        f"Of {len(comparison.changes)} costs {len(slower)} became slower than in the report of {comparison.date}, and"
        f" {len(faster)} faster, beyond what the machine and the spread of either run explain."
    )
    rows = [
        (
            "SLOWER" if change.slower else "faster",
            f"{change.section}: {change.title}",
            change.who,
            ratio(change.before),
            ratio(change.now),
            ratio(change.growth),
            f"{ratio(change.at_least)} to {ratio(change.at_most)}",
        )
        for change in (*slower, *faster)
    ]
    headings = ("", "what", "whose", "was", "is", "grew by", "bounds")
    tables = [Table("Costs that changed, in times of their limits", headings, rows, words=3)] if rows else []
    return Section("What changed", paragraphs, tables)


def summary(bench: Bench) -> Section | None:
    """Return the figures that one looks for first."""
    rows = []
    for each in bench.section("steps"):
        batch = [who for who in each.ours if not who.startswith("per-sample")]
        peer = each.best_peer
        rows.append(
            (
                each.title,
                duration(each.costs[each.limit].second),
                *(_of_limit(each, who) for who in batch),
                NONE if peer is None else f"{_of_limit(each, peer)} {peer}",
            )
        )
    headings = ("step", "products", *(steps.OURS[:3]), "best peer")
    tables = [Table("Training steps, in times of their matrix products", headings, rows)] if rows else []
    paragraphs = [*_kernels_in_short(bench), *_checks_in_short(bench)]
    return Section("In short", paragraphs, tables) if paragraphs or tables else None


def _kernels_in_short(bench: Bench) -> Iterator[str]:
    beside = {each.title: each.beside("kernel", each.best_peer) for each in bench.section("kernels") if each.best_peer}
    if beside:
        least, most = min(beside, key=beside.__getitem__), max(beside, key=beside.__getitem__)
        yield (
            f"Kernels take {ratio(median(beside.values()))} times as long as the best peer in the median, from"
            f" {ratio(beside[least])} ({least}) to {ratio(beside[most])} ({most})."
        )


def _checks_in_short(bench: Bench) -> Iterator[str]:
    if found := bench.section("checks"):
        low, high = ([f(each.costs[mode].ratio for each in found) for mode in checks.MODES] for f in (min, max))
        yield (
            f"To check a right gradient in full takes {_range(low[0], high[0])} times one forward and one backward, in"
            f" fast mode {_range(low[1], high[1])}."
        )


def _range(low: float, high: float) -> str:
    return ratio(low) if ratio(low) == ratio(high) else f"{ratio(low)} to {ratio(high)}"


def _limits(bench: Bench) -> Section:
    return Section(
        "What no code can beat",
        [
            "The limits of this machine, measured in the same run on one thread: all else is relative to them."
            " That of a check, one forward and one backward, stands beside it."
        ],
        [
            Table(
                "Limits",
                ("limit", "time", "rate"),
                [(limit.title, duration(limit.seconds), limit.text) for limit in limits(bench.measured)],
            )
        ],
    )


def _steps(bench: Bench) -> Section | None:
    measured = bench.section("steps")
    if not measured:
        return None
    tables = []
    for dtype in _values(measured, "dtype"):
        of_dtype = [each for each in measured if each.work["dtype"] == dtype]
        whos = [who for who in steps.MAKERS if any(who in each.costs for each in of_dtype)]
        rows = [("the matrix products alone", *(duration(each.costs[each.limit].second) for each in of_dtype))]
        rows += [(who, *(_of_limit(each, who) for each in of_dtype)) for who in whos if who != of_dtype[0].limit]
        if any(each.peers for each in of_dtype):
            batch = [who for who in of_dtype[0].ours if not who.startswith("per-sample")]
            beside = (_beside_best_peer(each, batch) for each in of_dtype)
            rows.append(("best batch step, beside peers", *beside))
        sizes = (f"{each.work['size']}" for each in of_dtype)
        tables.append(Table(f"In times of the matrix products, {dtype}", ("step", *sizes), rows))
    exponents = _exponents(
        measured, "dtype", lambda each: each.work["operations"], [who for who in steps.MAKERS if who != "products"]
    )
    return Section(
        "Training steps",
        [
            "One step of a network with one hidden layer, ReLU and sigmoid under the cross-entropy: forward, backward,"
            " update. Sizes are examples, inputs and hidden units. A step cannot take less than the matrix products"
            " that it consists of: 1 is the limit.",
            *_absent(bench),
        ],
        [*tables, *_exponents_table("operations", ("step", *_values(measured, "dtype")), exponents)],
        ["steps"],
    )


def _beside_best_peer(each: Measured, whos: Sequence[str]) -> str:
    if each.best_peer is None:
        return NONE
    best = min(whos, key=lambda who: each.costs[who].ratio)
    return f"{ratio(each.beside(best, each.best_peer))} x {each.best_peer}"


def _kernels(bench: Bench) -> Section | None:
    measured = bench.section("kernels")
    if not measured:
        return None
    tables = []
    for size in _values(measured, "size"):
        of_size = [each for each in measured if each.work["size"] == size]
        whos = [who for who in ("kernel", "kernel, new array", "one line", *kernels.PEERS) if who in of_size[0].costs]
        rows = [
            (
                each.work["kernel"],
                each.work["dtype"],
                duration(each.costs["kernel"].second),
                *(_of_limit(each, who) for who in whos),
                _beside_best_peer(each, ["kernel"]),
            )
            for each in of_size
        ]
        headings = ("function", "dtype", "kernel takes", *whos, "kernel beside peers")
        tables.append(Table(f"In times of a {of_size[0].limit}, {size}", headings, rows, words=2))
    return Section(
        "Kernels",
        [
            "Functions of arrays that networks are made of, beside one line of NumPy that does the same, and peers."
            " Elementwise ones cannot take less than a copy of as many numbers, linear ones not less than their matrix"
            " product: 1 is the limit. The kernels do not overflow, and keep their digits where the one line has none."
            " In the plot an exp counts as one operation, and hollow marks are of the smaller size.",
            *_absent(bench),
        ],
        tables,
        ["roofline"],
    )


def _checks(bench: Bench) -> Section | None:
    measured = bench.section("checks")
    if not measured:
        return None
    rows = [
        (
            each.title,
            f"{each.work['entries']:,}",
            duration(each.costs[each.limit].second),
            *(_of_limit(each, mode) for mode in checks.MODES),
            *(f"{each.costs[mode].forwards:,}" for mode in checks.MODES),
        )
        for each in measured
    ]
    headings = ("gradient", "entries", "forward and backward", *checks.MODES)
    headings += tuple(f"forwards, {mode}" for mode in checks.MODES)
    exponents = _exponents(measured, "family", lambda each: each.work["entries"], checks.MODES)
    return Section(
        "Checks",
        [
            "What it costs to check right gradients: times of one forward and one backward. Full judges every entry,"
            " fast judges projections. Entries that reach different outputs share forwards; those of a loss cannot.",
        ],
        [
            Table("In times of one forward and one backward", headings, rows),
            *_exponents_table("entries", ("mode", *_values(measured, "family")), exponents),
        ],
        ["checks"],
    )


def _notebooks(bench: Bench) -> Section | None:
    parts = [_notebook(bench, notebook) for notebook in bench.notebooks]
    if not parts:
        return None
    return Section(
        "Notebooks",
        ["Each notebook's step as it was written, and that of its corrected port, which is made of the kernels."],
        parts=parts,
    )


def _notebook(bench: Bench, notebook: Notebook) -> Section:
    times, whole = [], None
    for each, written, port in _of_notebook(bench, notebook.name):
        numba = ", numba" if port.endswith("numba") else ""
        row = [f"{each.work['size']}, {each.work['dtype']}{numba}"]
        row.append(duration(each.costs[written].second) if written in each.costs else NONE)
        row.append(duration(each.costs[port].second))
        row.append(ratio(each.beside(written, port)) if written in each.costs else NONE)
        row.append(_of_limit(each, port))
        times.append(tuple(row))
        if each.work["size"] == PROFILED and each.work["dtype"] == "float64" and not numba:
            whole = each.costs[port].second
    alike = f"The largest relative difference between the two curves is {notebook.reproduced:.1g}."
    return Section(
        notebook.name,
        [notebook.says, notebook.compared, alike],
        [
            Table(
                "Time of a step", ("examples-inputs-hidden", "as written", "port", "speed-up", "port / products"), times
            ),
            Table(
                f"Where a step of the port at {PROFILED}, float64, spends its time",
                ("part", "share", "time"),
                [
                    (part, f"{share:.1%}", NONE if whole is None else duration(share * whole))
                    for part, share in notebook.profile.items()
                    if share >= 0.001
                ],
            ),
        ],
        [f"loss {notebook.name}"],
    )


def _of_notebook(bench: Bench, name: str) -> Iterator[tuple[Measured, str, str]]:
    """Yield what was measured of a notebook, and who is the notebook and the port there."""
    for each in bench.section("notebooks"):
        if each.work["notebook"] == name:
            yield each, "as written", "port"
    for each in bench.section("steps"):
        if name in each.costs:
            yield each, f"{name} as written", name
            if f"{name}, numba" in each.costs:
                yield each, f"{name} as written", f"{name}, numba"


def _measuring(bench: Bench) -> Section:
    machine = bench.machine
    spreads = [max(cost.ratios) / min(cost.ratios) - 1 for each in bench.measured for cost in each.costs.values()]
    spreads = [spread for spread in spreads if spread > 0] or [0.0]
    rows = [
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("BLAS", f"{machine['blas']}, threads: {machine['threads']}"),
        ("Python", machine["python"]),
        *((name, version) for name, version in machine["versions"].items()),
        ("gradcheck", bench.version),
        ("when", f"{bench.date}, in {bench.seconds:.0f} s"),
    ]
    blocks = max((len(cost.ratios) for each in bench.measured for cost in each.costs.values()), default=0)
    return Section(
        "How it was measured",
        [
            f"All take turns, round after round, in {blocks} blocks spread over the run, in one process on one thread."
            " Times are the processor's; a time is the median of the blocks' medians, a ratio that of the blocks'"
            " ratios: what slows all down alike is in none. The blocks' ratios are"
            f" {median(spreads):.0%} apart in the median, nine in ten of them less than {_quantile(spreads, 0.9):.0%}.",
        ],
        [Table("Machine", ("what", "here"), rows, words=2)],
    )


def _quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def _absent(bench: Bench) -> list[str]:
    if not bench.missing:
        return []
    return [f'Not installed here, and left out: {", ".join(bench.missing)} (pip install "gradcheck[peers,numba]").']


def _values(measured: Iterable[Measured], name: str) -> list[Any]:
    """Return the values that a part of the work has, in their order."""
    return list(dict.fromkeys(each.work[name] for each in measured))


def _of_limit(each: Measured, who: str) -> str:
    return ratio(each.costs[who].ratio) if who in each.costs else NONE


def _exponents_table(size: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[Table]:
    caption = f"Fitted exponents of time against {size} (between the two largest sizes alone)"
    return [Table(caption, headings, rows)] if rows else []


def _exponents(
    measured: Sequence[Measured], column: str, size: Callable[[Measured], float], whos: Iterable[str]
) -> list[tuple[str, ...]]:
    """Return rows of fitted exponents: one of somebody, a column for each value of a part of the work."""
    rows = []
    for who in whos:
        row = [who]
        for value in _values(measured, column):
            found = [each for each in measured if each.work[column] == value and who in each.costs]
            sizes, times = [size(each) for each in found], [each.costs[who].second for each in found]
            fitted, last = exponent(sizes, times), exponent(sizes[-2:], times[-2:])
            row.append(NONE if fitted is None or last is None else f"{fitted:.2f} ({last:.2f})")
        if set(row[1:]) != {NONE}:
            rows.append(tuple(row))
    return rows
