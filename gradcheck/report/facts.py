"""What did the check find? Verdicts, comparisons and the report that holds them."""

from __future__ import annotations

import enum
import math
import os
from dataclasses import dataclass, field
from typing import Any

from gradcheck.errors import CheckFailedError, ContractError, GradientMismatchError, InconclusiveError


class Verdict(enum.StrEnum):
    """The answer of a check. Each value equals its own lower-case name: ``Verdict.MATCH == "match"``."""

    MATCH = "match"
    """Every probed entry agrees, and the error bar was small enough for that to mean something."""
    KINK = "kink"
    """As MATCH, but some entries sit on a kink and the analytic value is a legal subgradient there."""
    INCONCLUSIVE = "inconclusive"
    """The numerical derivative cannot be had precisely enough here. Accuses nobody."""
    MISMATCH = "mismatch"
    """The analytic value lies outside the error bar."""
    CONTRACT = "contract"
    """The backward pass broke its contract before any number was compared."""

    @property
    def ok(self) -> bool:
        """True for MATCH and KINK."""
        return self in (Verdict.MATCH, Verdict.KINK)

    @property
    def severity(self) -> int:
        """0 for MATCH up to 4 for CONTRACT: the worst of several verdicts is the one with the largest."""
        return _SEVERITIES[self]

    @classmethod
    def worst(cls, verdicts: Any) -> Verdict:
        """Return the worst of an iterable of verdicts; of none, INCONCLUSIVE: nothing was judged."""
        return max(verdicts, key=lambda verdict: verdict.severity, default=cls.INCONCLUSIVE)


_SEVERITIES = {verdict: place for place, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One analytic number beside its numerical twin.

    Attributes
    ----------
    name : str
        The primal, e.g. ``"W"`` or ``"layer1.b"``.
    index : tuple of int or None
        The entry; None where a whole projection was compared.
    analytic, numerical : float
        The hand-written derivative and ours.
    error_bar : float
        Half-width of the interval around `numerical` in which the true value lies.
    allowed : float
        The difference that would still have been accepted: ``rtol * max(|analytic|, |numerical|) + error_bar``.
    step : float
        The step that gave `numerical`, in the primal's own units.
    verdict : Verdict
        MATCH, KINK, INCONCLUSIVE or MISMATCH.
    reason : str
        Why, where the verdict alone does not say it (KINK, INCONCLUSIVE); else empty.
    limit : float
        The smallest error of the entry that would have been seen; smaller than `allowed` suggests where the entry was
        judged together with others.
    part : {"", "real", "imag"}
        Of a complex entry: which part is compared.
    """

    name: str
    index: tuple[int, ...] | None
    analytic: float
    numerical: float
    error_bar: float
    allowed: float
    step: float
    verdict: Verdict
    reason: str = ""
    limit: float = float("inf")
    part: str = ""

    @property
    def error(self) -> float:
        """``|analytic - numerical|``."""
        return abs(self.analytic - self.numerical)

    @property
    def excess(self) -> float:
        """`error` as a multiple of what was allowed; above 1 it is too much. Infinite or NaN errors count as inf."""
        if self.error == 0.0:
            return 0.0
        ratio = self.error / self.allowed if self.allowed > 0.0 else float("inf")
        return float("inf") if math.isnan(ratio) else ratio

    @property
    def entry(self) -> str:
        """The entry as one would write it: ``"W[3, 7]"``, ``"z[1].imag"``; the bare name for a scalar or projection."""
        where = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return f"{self.name}{where}{'.' if self.part else ''}{self.part}"


class Violation(str):
    """One broken clause of the contract: a sentence, with `kind` and the `name` of the primal it is about.

    Kinds: ``"count"``, ``"shape"``, ``"dtype"``, ``"finite"``, ``"mutation"``, ``"determinism"``,
    ``"stale"``, ``"accumulation"``, ``"linearity"``.
    """

    kind: str
    name: str

    def __new__(cls, text: str, kind: str = "", name: str = "") -> Violation:
        """Make the sentence and attach what it is about."""
        self = super().__new__(cls, text)
        self.kind = kind
        self.name = name
        return self

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]  # str declares a 1-tuple
        """Let the attributes survive pickling and copying."""
        return str(self), self.kind, self.name


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a mismatch looks like.

    Attributes
    ----------
    name : str
        Short identifier of the hypothesis, e.g. ``"factor"``.
    text : str
        One sentence for the reader.
    fit : float
        How much of the mismatch it explains, 0 to 1.
    """

    name: str
    text: str
    fit: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One primal's whole gradient in a line.

    Attributes
    ----------
    name : str
        The primal.
    shape : tuple of int
        Its shape.
    entries : int
        How many entries it has.
    judged : int
        How many of them were judged (directly, or as part of a projection).
    failed : int
        How many are MISMATCH.
    verdict : Verdict
        The worst verdict of its entries.
    worst : Comparison or None
        The entry with the largest `Comparison.excess` among those of the worst verdict.
    forward_calls : int
        Forward evaluations spent on it.
    """

    name: str
    shape: tuple[int, ...]
    entries: int
    judged: int
    failed: int
    verdict: Verdict
    worst: Comparison | None
    forward_calls: int


@dataclass(frozen=True, eq=False)
class Report:
    """Everything one check (or a module's checks) found. ``bool(report) == report.ok``.

    Attributes
    ----------
    name : str
        What was checked.
    verdict : Verdict
        The worst verdict found.
    summaries : tuple of Summary
        One line a gradient, in the order of the primals.
    comparisons : tuple of Comparison
        Worst first: every mismatching entry found (up to 1,000) and the worst of the others.
    violations : tuple of Violation
        Broken clauses of the contract; each fails the check.
    notes : tuple of str
        Advice that fails nothing, and why a check is INCONCLUSIVE.
    explanations : tuple of Explanation
        What a mismatch looks like, best first.
    reports : tuple of Report
        The reports of the single checks, where this one sums up several (``check_module``).
    mode : str
        ``"full"``, ``"fast"``; ``""`` for a report of reports.
    detection_limit : float
        The smallest error of a single entry that would have been seen, in units of the gradient; inf where nothing
        was judged.
    forward_calls, backward_calls : int
        Calls of the user's forward and backward, all of them.
    seconds : float
        Wall time.
    seed : int
        What the random cotangents and directions were drawn from.
    reproduce : str
        How to run this check again.
    """

    name: str
    verdict: Verdict
    summaries: tuple[Summary, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    reports: tuple[Report, ...] = ()
    mode: str = ""
    detection_limit: float = float("inf")
    forward_calls: int = 0
    backward_calls: int = 0
    seconds: float = field(default=0.0, compare=False)
    seed: int = 0
    reproduce: str = ""

    @property
    def ok(self) -> bool:
        """True where the verdict is MATCH or KINK."""
        return self.verdict.ok

    def __bool__(self) -> bool:
        """Return `ok`."""
        return self.ok

    def __str__(self) -> str:
        """Return the report as text, worst entries first."""
        from gradcheck.report.text import render  # facts must load without their renderers

        return render(self)

    def raise_on_failure(self) -> Report:
        """Return the report itself if it is ok, else raise.

        Raises
        ------
        GradientMismatchError, ContractError, InconclusiveError
            By verdict; all of them `AssertionError`, the message being ``str(report)``.
        """
        if self.ok:
            return self
        errors: dict[Verdict, type[CheckFailedError]] = {
            Verdict.MISMATCH: GradientMismatchError,
            Verdict.CONTRACT: ContractError,
            Verdict.INCONCLUSIVE: InconclusiveError,
        }
        raise errors[self.verdict](str(self), self)

    def to_json(self) -> str:
        """Return the report as JSON text: plain data, numbers that are not finite as strings."""
        from gradcheck.report.json import render  # facts must load without their renderers

        return render(self)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one self-contained HTML page.

        Parameters
        ----------
        path : str or path-like
            Where to write. The folder must exist.

        Raises
        ------
        MissingDependencyError
            If jinja2 is not installed (``pip install "gradcheck[report]"``).
        """
        from gradcheck.report.html import write  # jinja2 is an extra

        write(self, path)
