from __future__ import annotations

from html.parser import HTMLParser

import pytest

from dbx_cd import html

HOSTILE = """<script>alert("x")</script> ' onmouseover='x' {} {0} & </td>"""

PARTS = {
    "badge": lambda text: html.badge(text),
    "code": lambda text: html.code(text),
    "fold body": lambda text: html.fold("summary", text),
    "fold summary": lambda text: html.fold(text, "body"),
    "join": lambda text: html.join(["a", text]),
    "page part": lambda text: html.page("title", text),
    "page title": lambda text: html.page(text),
    "paragraph": lambda text: html.paragraph(text),
    "section part": lambda text: html.section("title", text),
    "section title": lambda text: html.section(text),
    "table cell": lambda text: html.table(("a",), [(text,)]),
    "table header": lambda text: html.table((text,), [("a",)]),
}


class Document(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(str(markup))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("part", PARTS)
def test_hostile_text_stays_text(part: str) -> None:
    seen = Document(PARTS[part](HOSTILE))
    assert "script" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert HOSTILE in seen.text


@pytest.mark.parametrize("part", ["fold body", "fold summary", "join", "page part", "section part", "table cell"])
def test_parts_of_parts_are_escaped_once(part: str) -> None:
    assert HOSTILE in Document(PARTS[part](html.badge(HOSTILE))).text


def test_trusted_markup_is_not_escaped_again() -> None:
    assert "<b>x</b>" in html.paragraph(html.trusted("<b>x</b>"))


@pytest.mark.parametrize(("status", "tone"), [("pass", "good"), ("error", "bad"), ("skipped", "warn"), ("other", "")])
def test_badge_has_the_tone_of_its_status(status: str, tone: str) -> None:
    assert dict(Document(html.badge(status)).attributes)["class"] == f"badge {tone}"


def test_none_is_an_empty_cell() -> None:
    assert html.table(("a",), [(None,), (0,)]).count("<td></td>") == 1


def test_fold_is_closed_unless_asked() -> None:
    assert html.fold("a", "b").startswith("<details>")
    assert html.fold("a", "b", opened=True).startswith("<details open>")


def test_page_is_a_whole_document() -> None:
    page = html.page("title", "body")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>")
    assert '<meta charset="utf-8">' in page


@pytest.mark.parametrize("values", [[], [1.0]])
def test_sparkline_of_fewer_than_two_values_is_nothing(values: list[float]) -> None:
    assert html.sparkline(values) == ""


def test_sparkline_spans_its_box() -> None:
    assert 'points="0.0,24.0 60.0,0.0 120.0,12.0"' in html.sparkline([0, 2, 1])


def test_sparkline_of_equal_values_is_flat() -> None:
    assert 'points="0.0,24.0 120.0,24.0"' in html.sparkline([5, 5])
