"""How far is the work? A bar on a terminal, for work that takes over a second."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["progress"]

_PATIENCE = 1.0
"""Seconds without a bar: shorter work would only flicker."""


@contextlib.contextmanager
def progress(total: int, *, silent: bool = False, doing: str = "checking") -> Iterator[Callable[[str], None]]:
    """Show how much of the work is done, on stderr, if that is a terminal and it takes over a second.

    Parameters
    ----------
    total : int
        How many things there are to do.
    silent : bool
        Show nothing.
    doing : str
        What is done to them.

    Yields
    ------
    callable
        To be called with the name of what is done.

    Examples
    --------
    >>> with progress(2) as advance:
    ...     advance("relu")
    ...     advance("sigmoid")
    """
    if silent or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[name]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        # What the user's code prints must reach stdout as it is, also where that is a pipe.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task(doing, total=total, name="")
    # A timer, because the very first check may be the one that takes long.
    timer = threading.Timer(_PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda name: bar.update(task, advance=1, name=name)
    finally:
        timer.cancel()
        timer.join()
        if bar.live.is_started:
            bar.stop()
