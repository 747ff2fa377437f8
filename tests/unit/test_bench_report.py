"""Does the report say all that was found, in Markdown and on a page that needs nothing else? Planted times."""

import re
from html.parser import HTMLParser

import pytest

from gradcheck.bench import checks, html, kernels, limits, markdown, notebooks, steps
from gradcheck.bench.compare import compare
from gradcheck.bench.document import sections, summary
from gradcheck.bench.facts import Bench, Cost, Curve, Measured, Notebook
from gradcheck.bench.plots import COLOURS, plots

MACHINE = {
    "processor": "P <1>",
    "cores": 2,
    "system": "Linux x86_64",
    "blas": "openblas 0.3",
    "threads": 1,
    "python": "3.11.7",
    "versions": {"numpy": "2.0", "torch": "2.2"},
}
WHO = {
    "limits": {"limit": 1.0},
    "kernels": {"copy": 1.0, "product": 1.0, "kernel": 3.0, "one line": 6.0, "torch": 2.0},
    "steps": {who: 1.0 + 0.25 * k for k, who in enumerate(steps.MAKERS) if who != "scikit-learn"},
    "checks": {checks.UNIT: 1.0, "full": 400.0, "fast": 100.0},
    "notebooks": {"products": 1.0, "port": 2.0, "as written": 8.0},
}


def planted(problem, times=1.0):
    size = problem.work.get("operations") or problem.work.get("entries") or 1000
    costs = {
        who: Cost(
            tuple(1e-9 * size * part * drift * (times if who in problem.ours else 1.0) for drift in (1.0, 1.5, 1.2)),
            (part * (times if who in problem.ours else 1.0),) * 3,
            7 if who in checks.MODES else None,
        )
        for who, part in WHO[problem.section].items()
    }
    ours, peers = (tuple(who for who in whos if who in costs) for whos in (problem.ours, problem.peers))
    return Measured(
        problem.section,
        problem.title,
        problem.limit,
        ours,
        peers,
        dict(problem.work),
        costs,
        {"a call": (1.0, 1.5, 1.2)},
    )


def bench(problems, times=1.0, shown=(), missing=("jax", "scikit-learn", "numba")):
    measured = tuple(planted(problem, times) for problem in problems)
    return Bench("0.1.0", "2026-01-01 00:00 UTC", False, MACHINE, missing, measured, tuple(shown), 99.0)


def everything():
    return [
        *limits.problems(),
        *kernels.problems(),
        *steps.problems(),
        *notebooks.problems(),
        *checks.problems(full=True),
    ]


def notebook(name):
    curve = Curve((0, 1, 2), (3.0, 1.0, 0.01))
    return Notebook(name, "It <learns>.", "Alike.", curve, curve, Curve((), ()), 2e-13, {"matrix products": 0.75})


@pytest.fixture(scope="module")
def whole():
    return bench(everything(), shown=[notebook(name) for name in notebooks.NOTEBOOKS])


def test_markdown_to_the_letter():
    wanted = ("4-3-1, float64", "dense 8 x 16 x 4", "empty ufunc call")
    found = bench([problem for problem in everything() if problem.title in wanted], missing=())
    assert markdown.render("Benchmark", sections(found)[:-1]) == MARKDOWN


def test_every_section_says_what_was_measured(whole):
    text = markdown.render("Benchmark", sections(whole))
    for heading in ("In short", "Training steps", "Kernels", "Checks", "Notebooks", "What no code can beat"):
        assert f"\n## {heading}\n" in text
    for name in notebooks.NOTEBOOKS:
        assert f"\n### {name}\n" in text
    assert "left out: jax, scikit-learn, numba (pip install" in text
    assert "| sigmoid | float64 | 144 us | 3.00 | 6.00 | 2.00 | 1.50 x torch |" in text
    assert "| dense 64 x 256 x 256 | 82,176 | 98.6 us | 400 | 100 | 7 | 7 |" in text
    assert "| best batch step, beside peers | 0.36 x torch by hand |" in text
    assert "| full | 1.00 (1.00) |" in text  # planted times are proportional to the size
    assert "| matrix products | 75.0% | 116 ms |" in text
    assert "processor | P <1>, 2 cores" in text


def test_a_report_of_a_part_leaves_the_rest_out():
    found = bench([problem for problem in everything() if problem.section in ("limits", "checks")])
    assert [section.title for section in sections(found)] == [
        "In short",
        "Checks",
        "What no code can beat",
        "How it was measured",
    ]
    assert set(plots(found)) == {"checks"}
    assert summary(bench(limits.problems())) is None


def test_what_changed_comes_first(whole):
    slower = bench(everything(), times=1.5)
    first = sections(slower, compare(whole, slower))[0]
    assert first.title == "What changed"
    assert len(first.tables[0].rows) == sum(len(each.ours) for each in slower.measured)
    assert {row[0] for row in first.tables[0].rows} == {"SLOWER"}
    assert html.render("", [first], {}).count('<tr class="slower">') == len(first.tables[0].rows)


class Page(HTMLParser):
    """Keeps the open tags, the ids, what is linked to and loaded, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.loads, self.text = [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [attrs[name] for name in ("src", "data", "action") if name in attrs]
        self.links += [value for name, value in attrs.items() if name in ("href", "xlink:href")]
        self.ids += [attrs["id"]] if "id" in attrs else []
        assert tag not in ("script", "link", "img", "iframe")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def drawn(whole):
    return plots(whole)


@pytest.fixture(scope="module")
def page(whole, drawn):
    return html.render("Benchmark <of> it", sections(whole), drawn)


def test_page_is_well_formed_and_loads_nothing(page):
    parsed = Page()
    parsed.feed(page)
    parsed.close()
    assert not parsed.open
    assert not parsed.loads
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert all(link.startswith("#") and link[1:] in parsed.ids for link in parsed.links)
    assert "url(http" not in page
    assert "@import" not in page
    for text in ("Benchmark <of> it", "It <learns>.", "P <1>", "dense 64 x 256 x 256"):
        assert text in parsed.text


def test_page_has_every_plot_in_its_own_colours(page, drawn):
    assert set(drawn) == {"steps", "roofline", "checks", *(f"loss {name}" for name in notebooks.NOTEBOOKS)}
    assert page.count("<svg") == len(drawn)
    for svg in drawn.values():
        assert not re.search(r"#0[1234]0[0-9a-f]{3}", svg), "a stand-in that no variable replaced"
        assert "var(--ink)" in svg
        assert re.match(r"<svg (?![^>]* width=)[^>]*viewBox", svg)
    for variable in set(re.findall(r"var\((--\w+)\)", "".join(drawn.values()))):
        assert f"{variable}:" in page
    assert f"--c{len(COLOURS) - 1}:" in page
    for text in ("row-major", "torch by hand", "MLP loss, full", "exponent 1.00", "roof: product", "sigmoid_backward"):
        assert text in page


def test_plots_are_the_same_each_time():
    found = bench([], shown=[notebook("parity")])
    assert plots(found) == plots(found)


MARKDOWN = """\
# Benchmark

## In short

To check a right gradient in full takes 400 times one forward and one backward, in fast mode 100.

**Training steps, in times of their matrix products**

| step | products | row-major | column-major | class-based | best peer |
| --- | ---: | ---: | ---: | ---: | ---: |
| 4-3-1, float64 | 86.4 ns | 1.25 | 1.50 | 1.75 | 3.50 torch by hand |

## Training steps

One step of a network with one hidden layer, ReLU and sigmoid under the cross-entropy: forward, backward, update. Sizes are examples, inputs and hidden units. A step cannot take less than the matrix products that it consists of: 1 is the limit.

**In times of the matrix products, float64**

| step | 4-3-1 |
| --- | ---: |
| the matrix products alone | 86.4 ns |
| row-major | 1.25 |
| column-major | 1.50 |
| class-based | 1.75 |
| per-sample | 2.00 |
| per-sample, numba | 2.25 |
| row-major as written | 2.50 |
| column-major as written | 2.75 |
| class-based as written | 3.00 |
| per-sample as written | 3.25 |
| torch by hand | 3.50 |
| torch autograd | 3.75 |
| jax.jit | 4.00 |
| best batch step, beside peers | 0.36 x torch by hand |

## Checks

What it costs to check right gradients: times of one forward and one backward. Full judges every entry, fast judges projections. Entries that reach different outputs share forwards; those of a loss cannot.

**In times of one forward and one backward**

| gradient | entries | forward and backward | full | fast | forwards, full | forwards, fast |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| dense 8 x 16 x 4 | 196 | 235 ns | 400 | 100 | 7 | 7 |

## What no code can beat

The limits of this machine, measured in the same run on one thread: all else is relative to them. That of a check, one forward and one backward, stands beside it.

**Limits**

| limit | time | rate |
| --- | ---: | ---: |
| empty ufunc call | 1.2 us | 833,000 a second |
"""
