"""Is the HTML page complete, self-contained and safe, and is it clear what to do without jinja2?"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gradcheck import MissingDependencyError
from gradcheck.report import Verdict, Violation
from gradcheck.report.html import render
from gradcheck.report.merge import merge

VOID = {"meta", "link", "br", "img", "hr"}


class Balanced(HTMLParser):
    """Keeps the open tags, the attributes that load something and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.tags, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parse(page):
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


@pytest.mark.parametrize("verdict", Verdict)
def test_page_of_each_verdict_is_well_formed_and_complete(example_reports, verdict):
    report = example_reports[verdict.value]
    page = parse(render(report))
    assert verdict.value.upper() in page.text
    assert report.name in page.text
    for line in report.summaries:
        assert str(line.shape) in page.text
    for row in report.comparisons:
        assert row.entry in page.text
        assert f"{row.analytic:.12e}" in page.text
    for text in (*report.violations, *report.notes, report.reproduce):
        assert text in page.text


def test_page_loads_nothing_and_runs_nothing(example_reports):
    page = render(merge("layers", example_reports.values()))
    found = parse(page)
    assert found.loads == []
    assert "script" not in {tag for tag, _ in found.tags}
    assert not re.search(r"url\(|@import|https?://", page)


def test_page_has_light_and_dark_colours(example_reports):
    page = render(example_reports["match"])
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="color-scheme" content="light dark">' in page


def test_text_from_the_user_is_escaped(example_reports):
    nasty = "<script>alert(1)</script>"
    report = replace(
        example_reports["mismatch"], name=nasty, notes=(nasty,), violations=(Violation(nasty),), reproduce=nasty
    )
    page = render(merge(nasty, [report]))
    assert nasty not in page
    assert "&lt;script&gt;" in page


def test_failures_are_open_and_first(example_reports):
    sections = [attrs for tag, attrs in parse(render(merge("all", example_reports.values()))).tags if tag == "details"]
    assert [("open" in attrs) for attrs in sections] == [True, True, True, False, False]


def test_file_is_utf8(example_reports, tmp_path):
    replace(example_reports["match"], name="σ_backward").to_html(tmp_path / "report.html")
    assert "σ_backward" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_without_jinja2_the_message_says_what_to_install(example_reports, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "gradcheck\[report\]"'):
        example_reports["match"].to_html(tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
