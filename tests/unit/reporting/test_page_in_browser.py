"""The page of a report in a real browser, narrow and wide, light and dark.

Proves that nothing is cut off or scrolls sideways at 390 and 1440 pixels, that text is large enough and has contrast in
both colour schemes, and that the browser loads nothing but the page. Skipped if there is no Chromium. Not proven:
that it looks good.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reporting import page
from tests.support.report_findings import OPEN_PORT, cost, duration, findings
from tests.unit.reporting.test_page import RECORD, RESOURCES

pytestmark = pytest.mark.process

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
TIMEOUT = 120  # seconds, on a busy machine
WIDTHS = (390, 1440)

# The page has no scripts, so another one inspects it in a frame, which can also be narrower than a window.
_INSPECTOR = """<!doctype html><html><body style="margin:0"><pre id="out"></pre>
<iframe id="frame" src="/page.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>
const luminance = colour => {{
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(
    c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}};
const behind = (element, view) => {{
  for (; element; element = element.parentElement) {{
    const colour = view.getComputedStyle(element).backgroundColor;
    if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
  }}
  return 'rgb(255, 255, 255)';
}};
window.onload = () => {{
  const frame = document.getElementById('frame'), page = frame.contentDocument, view = frame.contentWindow;
  const scrolls = element => element.closest('.scroll, nav ul');
  const wide = [], pale = [], small = [];
  for (const element of page.querySelectorAll('body *')) {{
    const box = element.getBoundingClientRect();
    const isCut = box.width && box.right > view.innerWidth + 1 && !scrolls(element);
    if (isCut) wide.push(element.tagName + '.' + element.className);
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !box.width || element.closest('svg')) continue;
    const style = view.getComputedStyle(element);
    const [one, other] = [luminance(style.color), luminance(behind(element, view))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) pale.push([element.textContent.trim().slice(0, 40), contrast.toFixed(2)]);
    if (parseFloat(style.fontSize) < 11) small.push(element.textContent.trim().slice(0, 40));
  }}
  document.getElementById('out').textContent = JSON.stringify({{
    width: view.innerWidth, scroll: page.documentElement.scrollWidth, wide, pale, small,
    background: view.getComputedStyle(page.body).backgroundColor,
    sections: page.querySelectorAll('section').length,
    bars: [...page.querySelectorAll('.gantt .critical .track i')].map(bar => bar.getBoundingClientRect().width),
    loaded: view.performance.getEntriesByType('resource').map(entry => entry.name),
  }});
}};
</script></body></html>
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page, and for each width a page that inspects it; the address of the server."""
    folder = tmp_path_factory.mktemp("pages")
    long_name = "a-resource-with-a-name-that-is-longer-than-a-narrow-screen-is-wide-" * 3
    content: dict[str, Any] = {
        "violations": [OPEN_PORT],
        "cost": cost(),
        "duration": duration(40),
        "resources": RESOURCES,
        "record": RECORD,
        "refusals": {long_name: long_name},
        "not_rehearsed": [long_name],
    }
    (folder / "page.html").write_text(page.render(findings(**content)))
    for width in WIDTHS:
        (folder / f"{width}.html").write_text(_INSPECTOR.format(width=width))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        pass


def inspect_page(address: str, width: int, profile: Path, *, dark: bool) -> dict[str, Any]:
    """The measurements of the page in the browser."""
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    scheme = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    place = [f"--user-data-dir={profile}", "--window-size=1600,1000", "--virtual-time-budget=10000", "--dump-dom"]
    reply = subprocess.run(
        [*command, *scheme, *place, f"{address}/{width}.html"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    found = re.search(r'<pre id="out">(.*?)</pre>', reply.stdout, re.DOTALL)
    assert found, reply.stderr
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.mark.skipif(BROWSER is None, reason=f"there is no browser: none of {', '.join(BROWSERS)} is on PATH")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_readable(address: str, tmp_path: Path, width: int, dark: bool) -> None:
    seen = inspect_page(address, width, tmp_path, dark=dark)
    assert seen["width"] == width
    assert seen["scroll"] <= width
    assert seen["wide"] == []
    assert seen["pale"] == []
    assert seen["small"] == []
    assert seen["sections"] == 8
    assert len(seen["bars"]) == 40
    assert min(seen["bars"]) >= 3
    assert seen["loaded"] == []
    brightness = sum(map(int, re.findall(r"\d+", seen["background"])[:3]))
    assert (brightness < 200) == dark
