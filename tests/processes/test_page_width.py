"""Pages as a browser lays them out: no wider than its window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dbx_cd import Manifest, html
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.dbt.diff import diff_manifests
from dbx_cd.dbt.timeline import timeline
from recorded_dbt import RECORDED

PROBE = """<pre id="probe"></pre><script>
document.querySelectorAll("details").forEach(fold => fold.open = true);
document.getElementById("probe").textContent =
  document.documentElement.scrollWidth + " of " + document.documentElement.clientWidth;
</script>"""
LONG = "a_name_without_any_place_to_break_it_" * 12


def page() -> str:
    """All parts in one page, some with a name that is longer than a line."""
    before, after = (Manifest.load(RECORDED / name / "manifest.json") for name in ("compared", "compared_after"))
    runs = [RunResults.load(RECORDED / f"timed_{n}" / "run_results.json") for n in (1, 2)]
    ran = timeline(Manifest.load(RECORDED / "timed_1" / "manifest.json"), runs[1], last=runs[0])
    boxes = [html.Box(f"n{n}", LONG if n == 3 else f"model_{n}", "model", "modified") for n in range(40)]
    made = html.page(
        "All parts",
        html.trusted(diff_manifests(before, after).to_html()),
        html.trusted(ran.to_html()),
        html.lineage_picture(boxes, [(f"n{n}", f"n{n + 1}") for n in range(12)]),
        html.table(("name", "what"), [(LONG, "x"), ("y", LONG)]),
        html.code_diff([f"+{LONG}"]),
        html.code(LONG),
    )
    return str(made)


@pytest.mark.parametrize("width", [800, 1280])
def test_no_page_part_is_wider_than_the_window(tmp_path: Path, width: int) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on the PATH: install Debian's package chromium")
    (tmp_path / "page.html").write_text(page() + PROBE, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    places = [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [browser, *flags, *places, f"--window-size={width},900", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="probe">(\d+) of (\d+)</pre>', done.stdout)
    assert found, done.stderr[-500:]
    needed, there = map(int, found.groups())
    assert width - 20 <= there <= width
    assert needed <= there
