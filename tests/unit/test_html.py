from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from dbx_cd import html

HOSTILE = """<script>alert("x")</script> ' onmouseover='x' {} {0} & </td>"""

BOX = html.Box("a", "orders", "model", "modified", "production")
PARTS = {
    "badge": lambda text: html.badge(text),
    "code": lambda text: html.code(text),
    "code of a diff": lambda text: html.code_diff([f"+{text}", text]),
    "fold body": lambda text: html.fold("summary", text),
    "fold summary": lambda text: html.fold(text, "body"),
    "join": lambda text: html.join(["a", text]),
    "kind of a node": lambda text: html.lineage_picture([replace(BOX, kind=text)], []),
    "label of a node": lambda text: html.lineage_picture([replace(BOX, label=text)], []),
    "mark of a node": lambda text: html.lineage_picture([replace(BOX, mark=text)], []),
    "marked line": lambda text: html.marked(text),
    "marked list": lambda text: html.marked_list([f"~ {text}"]),
    "name of a bar": lambda text: html.timeline_picture([html.Span(text, 1, 0, 1)], seconds=1),
    "note of a bar": lambda text: html.timeline_picture([html.Span("a", 1, 0, 1, text)], seconds=1),
    "page part": lambda text: html.page("title", text),
    "page title": lambda text: html.page(text),
    "place of a node": lambda text: html.lineage_picture([replace(BOX, place=text)], []),
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


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_loaded_from_elsewhere(part: str) -> None:
    page = html.page("title", PARTS[part]("text"))
    seen = Document(page)
    assert not {name for name, _ in seen.attributes} & {"src", "href", "action"}
    assert not {"script", "link", "img", "iframe"} & set(seen.tags)
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("part", ["fold body", "fold summary", "join", "page part", "section part", "table cell"])
def test_parts_of_parts_are_escaped_once(part: str) -> None:
    assert HOSTILE in Document(PARTS[part](html.badge(HOSTILE))).text


def test_trusted_markup_is_not_escaped_again() -> None:
    assert "<b>x</b>" in html.paragraph(html.trusted("<b>x</b>"))


@pytest.mark.parametrize(
    ("status", "tone"),
    [("pass", "good"), ("error", "bad"), ("skipped", "warn"), ("modified", "warn"), ("consent", "bad"), ("other", "")],
)
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


@pytest.mark.parametrize(
    ("line", "tone"), [("+ a", "plus"), ("- a", "minus"), ("~ a", "changed"), ("@@ -1 +1 @@", "place"), (" a", "same")]
)
def test_line_has_the_colour_of_its_sign_and_keeps_the_sign(line: str, tone: str) -> None:
    seen = Document(html.marked(line))
    assert dict(seen.attributes)["class"] == tone
    assert seen.text == line


def test_lines_that_a_diff_leaves_out_are_counted() -> None:
    assert "7 more lines are left out" in html.code_diff(["+a"], left_out=7)
    assert "left out" not in html.code_diff(["+a"])
    assert html.code_diff([]) == html.marked_list([]) == ""


def colours(markup: str) -> list[Mapping[str, str]]:
    """The variables of the style sheet: by day, and by night."""
    return [dict(re.findall(r"--([\w-]+):(#[0-9a-f]+)", part)) for part in markup.split("prefers-color-scheme:dark")]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(d * 2 for d in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *(("ink", ground) for ground in ("paper", "soft", "plus-bg", "minus-bg", "changed-bg")),
        *((name, f"{name}-bg") for name in ("plus", "minus", "changed")),
        *(("faint", ground) for ground in ("paper", "soft")),
    ],
)
def test_text_can_be_read_by_day_and_by_night(text: str, ground: str, night: bool) -> None:
    """A contrast of 4.5 at least (Web Content Accessibility Guidelines 2.2, 1.4.3)."""
    used = colours(html.page("title"))[night]
    light, dark = sorted((luminance(used[text]), luminance(used[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_every_colour_is_said_by_day_and_by_night() -> None:
    day, night = colours(html.page("title"))
    assert day.keys() == night.keys()
    assert set(re.findall(r"var\(--([\w-]+)", html.page("title"))) == day.keys()


def many_spans(count: int, rows: int = 8) -> list[html.Span]:
    seconds = [0.05 if n % 7 else 4.0 for n in range(count)]
    return [html.Span(f"model_{n}", n % rows + 1, n // rows * 1.1, s, "success") for n, s in enumerate(seconds)]


@pytest.mark.parametrize("count", [1000, 20_000])
def test_timeline_of_many_nodes_stays_small_and_says_what_it_put_together(count: int) -> None:
    picture = html.timeline_picture(many_spans(count), seconds=count / 8 * 1.1 + 4)
    assert len(picture) < 300_000
    merged = re.search(r"(\d+) that are too short to be seen are drawn together", picture)
    assert merged
    alone = picture.count('class="bar"')
    assert int(merged[1]) + alone == count


def test_what_failed_or_is_in_the_slowest_chain_is_drawn_however_short() -> None:
    spans = [
        html.Span("long", 1, 0, 1000),
        html.Span("short", 1, 1000, 0.1),
        html.Span("broken", 1, 1000.2, 0.1, failed=True),
        html.Span("chained", 1, 1000.4, 0.1, slowest=2),
    ]
    titles = re.findall(r"<g><title>(.*?)</title>", html.timeline_picture(spans, seconds=1000.5))
    assert titles == ["long: 1000.0 s", "1 short one in 0.1 s", "broken: 0.1 s", "chained: 0.1 s"]


def test_bars_lie_in_the_row_of_their_thread_at_their_time() -> None:
    picture = html.timeline_picture([html.Span("a", 1, 0, 5), html.Span("b", 2, 5, 5)], seconds=10)
    bars = re.findall(r'<rect class="bar" x="([\d.]+)" y="(\d+)" width="([\d.]+)"', picture)
    assert bars == [("24.0", "2", "367.0"), ("391.0", "26", "367.0")]


def test_time_before_is_a_line_and_makes_room_where_it_was_longer() -> None:
    picture = html.timeline_picture([html.Span("a", 1, 0, 5)], seconds=5, before=10)
    assert "<title>the time before: 10.0 s</title>" in picture
    assert 'width="367.0"' in picture
    assert "the time before" not in html.timeline_picture([html.Span("a", 1, 0, 5)], seconds=5)


def test_pictures_say_in_words_what_they_show() -> None:
    pictures = [
        html.timeline_picture([html.Span("a", 1, 0, 5)], seconds=5),
        html.lineage_picture([html.Box("a", "a", "model"), html.Box("b", "b", "model")], [("a", "b")]),
    ]
    said = [re.search(r'role="img" aria-label="(.*?)"><title>(.*?)</title>', picture) for picture in pictures]
    assert [found and found[1] for found in said] == ["1 bars in 1 rows, 5.0 seconds", "2 nodes and 1 edges"]
    assert html.timeline_picture([], seconds=0) == html.lineage_picture([], []) == ""


def places(picture: str) -> dict[str, tuple[float, float]]:
    """Where each box is, by the first word of its title."""
    found = re.findall(r'<g><title>([^,<]*)[^<]*</title><rect class="[^"]*" x="([\d.]+)" y="([\d.]+)"', picture)
    return {name: (float(x), float(y)) for name, x, y in found}


def boxes(*names: str, kind: str = "model", mark: str = "unchanged") -> list[html.Box]:
    return [html.Box(name, name, kind, mark) for name in names]


def test_lineage_goes_from_sources_at_the_left_to_exposures_at_the_right() -> None:
    nodes = [*boxes("page", kind="exposure", mark=""), *boxes("c", "b", "a"), *boxes("s", kind="source", mark="")]
    at = places(html.lineage_picture(nodes, [("s", "a"), ("a", "b"), ("b", "c"), ("a", "page")]))
    assert at["s"][0] < at["a"][0] < at["b"][0] < at["c"][0] == at["page"][0]


def test_boxes_of_a_wide_and_deep_lineage_do_not_cover_one_another_nor_leave_the_picture() -> None:
    names = [f"n{n}" for n in range(60)]
    edges = [(f"n{n}", f"n{n + 1}") for n in range(20)] + [("n0", f"n{n}") for n in range(21, 60)]
    picture = html.lineage_picture(boxes(*names), edges)
    at = list(places(picture).values())
    assert len(at) == 60
    assert all(abs(x1 - x2) > 100 or abs(y1 - y2) > 34 for n, (x1, y1) in enumerate(at) for x2, y2 in at[:n])
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture)[0])
    assert max(x for x, _ in at) < width - 100
    assert max(y for _, y in at) < height - 34


@pytest.mark.parametrize(("mark", "letter"), [("new", "N"), ("modified", "M"), ("removed", "R"), ("unchanged", "=")])
def test_change_of_a_node_is_a_letter_and_not_a_colour_alone(mark: str, letter: str) -> None:
    picture = html.lineage_picture(boxes("orders", mark=mark), [])
    assert f">{letter} orders</text>" in picture
    assert f'<rect class="{mark}"' in picture


def test_parent_says_where_it_is_read_and_one_that_needs_a_look_has_a_dashed_border() -> None:
    parent = html.Box("p", "sites", "model", place="staging", elsewhere=True)
    picture = html.lineage_picture([parent], [])
    assert ">staging, model</text>" in picture
    assert '<rect class="elsewhere"' in picture


def test_of_many_nodes_those_that_change_and_their_neighbours_are_drawn_and_the_rest_is_counted() -> None:
    names = [f"n{n}" for n in range(300)]
    nodes = [replace(box, mark="modified") if box.key == "n250" else box for box in boxes(*names)]
    picture = html.lineage_picture(nodes, [("n299", "n250"), ("n250", "n280")])
    drawn = places(picture)
    assert len(drawn) == 60
    assert {"n250", "n280", "n299"} <= drawn.keys()
    assert "Not drawn: 240 unchanged models." in picture
    assert len(re.findall("<tr><td>", picture)) == 300, "the text has all of them"


def test_edges_in_a_circle_end() -> None:
    assert len(places(html.lineage_picture(boxes("a", "b"), [("a", "b"), ("b", "a")]))) == 2
