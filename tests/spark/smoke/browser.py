"""A headless Chromium that opens a page and tells what a person would see."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_NETWORK = "MAP * ~NOTFOUND"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=3000",
    "--dump-dom",
]
# Runs when the page and all its images have loaded or failed to. `innerText` is what is visible: no closed fold.
PROBE = """
<pre id="probe" hidden></pre>
<script>addEventListener("load", () => {
  const text = document.body.innerText;
  document.getElementById("probe").textContent = JSON.stringify({
    title: document.title, text: text, owned: window.owned === true,
    rows: [...document.querySelectorAll("tbody tr")].map(row => row.innerText).filter(row => row.trim()),
  });
});</script>
"""


@dataclass(frozen=True)
class Seen:
    """The title, all visible text, each visible row of a table, and whether a script planted in a name has run."""

    title: str
    text: str
    rows: list[str]
    owned: bool


def look_at(page: Path, work: Path) -> Seen:
    """Open a stored page without a network, and look at it."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip("no Chromium on the PATH: install Debian's package chromium, or run tools/browser as CI does")
    probed = work / f"probed-{page.name}"
    probed.write_text(page.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    command = [browser, *FLAGS, f"--host-resolver-rules={NO_NETWORK}", f"--user-data-dir={work / 'profile'}"]
    done = subprocess.run([*command, probed.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="probe"[^>]*>(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page did not load: {done.stderr[-500:]}"
    return Seen(**json.loads(html.unescape(found[1])))
