"""The browser of examples, in a real browser: every control, the console, the network, texts that bring markup."""

import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.browser import chromium, find_chromium
from negset.audit.votes import read_votes
from negset.errors import InputError
from negset.publishing.html import data_block
from negset.publishing.parts import read_parts

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine (name one in CHROMIUM)")

EVIL = """<script>window.ran = 1</script><img src=x onerror="window.ran = 2">"""


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def tab(downloads):
    """Give one browser for all tests: it takes a second to start."""
    with chromium(downloads) as opened:
        yield opened


@pytest.fixture(scope="module")
def version(tiny_set, tmp_path_factory):
    """Give the folder of the tiny set's version, published once for all tests."""
    place = tmp_path_factory.mktemp("pages")
    draft = tiny_set.draft_of(tiny_set.stage(place / "staged"))
    at = tiny_set.datetime(2026, 1, 2, tzinfo=tiny_set.UTC)
    return Path(tiny_set.publish_set(draft, place / "sets", by="ada", at=at).path)


@pytest.fixture
def page(tab, version):
    """Open the page of the tiny set, and hold it to a clean console and a quiet network."""
    tab.said.clear()
    tab.asked.clear()
    address = f"file://{version / 'report.html'}"
    tab.open(address)
    yield tab
    tab.run("localStorage.clear()")
    assert tab.said == []
    assert set(tab.asked) == {address}
    assert tab.run("window.ran") is None


def texts(tab, selector):
    return tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)")


def put(tab, name, value):
    tab.run(
        f"(() => {{ const one = document.getElementById('{name}'); one.value = {json.dumps(value)};"
        "one.dispatchEvent(new Event('input')); })()"
    )


def click(tab, selector):
    tab.run(f"document.querySelector({json.dumps(selector)}).click()")


def asked(tab):
    return texts(tab, "#card header code")


def test_the_most_suspicious_is_shown_first_beside_its_positive(page):
    """q1 is kept with d05 at 0.8 of 0.9: the least gap of all. d01 and d02 are its positives."""
    assert page.run("document.getElementById('browser').hidden") is False
    assert texts(page, "#found") == ["Found 7 negatives of 4 queries."]
    assert asked(page) == ["q1"]
    assert texts(page, "#card .positive code") == ["d01"]
    assert texts(page, "#card .negative code") == ["d05", "d06"]
    assert (
        "dense at rank 4 · scores 0.800, 0.100 below its positive, 89% of it · dense 0.800"
        in texts(page, "#card .negative small")[0]
    )
    assert texts(page, "#card .negative[aria-current] code") == ["d05"]
    gaps = [line.split("·")[1].strip() for line in texts(page, "#matches small")]
    assert gaps[:3] == ["0.1000 below its positive", "0.1500 below its positive", "0.2000 below its positive"]
    assert gaps[-1] == "no score"


def test_markup_in_a_text_stays_text(page):
    assert texts(page, "#card .negative p")[0] == "green is a colour <script>alert('d05')</script>"
    put(page, "search", EVIL)
    assert texts(page, "#matches li") == []
    assert page.run("document.querySelectorAll('#browser script, #browser img').length") == 0


def test_stepping_goes_through_all_and_stops_at_the_ends(page):
    assert page.run("document.getElementById('previous').disabled") is True
    seen = []
    for _ in range(7):
        seen.append((*asked(page), *texts(page, "#card .negative[aria-current] code")))
        click(page, "#next")
    assert len(set(seen)) == 7
    assert seen[1] == ("q2", "d05")
    assert texts(page, "#place") == ["7 of 7"]
    assert page.run("document.getElementById('next').disabled") is True
    click(page, "#previous")
    assert texts(page, "#place") == ["6 of 7"]
    click(page, "#matches li:nth-child(2) button")
    assert asked(page) == ["q2"]
    assert page.run("document.querySelector('#matches [aria-current=true]').textContent").startswith("what is")


@pytest.mark.parametrize(
    ("search", "found"),
    [("swim", ["q3", "q5"]), ("SHARKS", ["q5"]), ("q4", ["q4"]), ("fish swim", ["q5"]), ("wine", ["q1", "q2"])],
)
def test_a_search_finds_words_of_queries_documents_and_ids(page, search, found):
    put(page, "order", "query")
    put(page, "search", search)
    lines = page.run("document.querySelectorAll('#matches li').length")
    seen = []
    for place in range(lines):
        click(page, f"#matches li:nth-child({place + 1}) button")
        seen += asked(page)
    assert seen == found


def test_filters_by_rule_and_fate(page):
    put(page, "rule", "percent_of_positive")
    assert texts(page, "#found") == ["Found 2 negatives of 1 query."]
    assert page.run("document.querySelector('#card details').open") is True
    row = texts(page, "#card .rejections tbody td")
    assert row[0].startswith("percent_of_positive")
    assert row[1] == "value 0.870limit 0.855dense 3"
    assert "wine may be red" in row[2]
    put(page, "rule", "")
    put(page, "order", "query")
    for fate, ids in (("dropped", "q4"), ("short", "q5")):
        put(page, "fate", fate)
        assert asked(page) == [ids]
    assert "short · 1 of 2 · percent_of_positive" in texts(page, "#card .chip")
    put(page, "search", "no such word")
    assert texts(page, "#found") == ["Nothing found: try fewer words, or other filters."]
    assert texts(page, "#card article") == []


def test_votes_come_back_through_the_reader_of_negset_audit(page, version, downloads):
    negatives = read_parts(version, "negatives")
    click(page, "#save")
    assert texts(page, "#done") == ["write who votes first"]
    put(page, "rater", 'ann "the first", =1+1')
    click(page, "#save")
    assert texts(page, "#done") == ["vote on a negative first"]
    click(page, "#card .negative .votes [value=yes]")
    click(
        page, "#card .negative:nth-of-type(3) .votes [value=unsure], #card .negative:last-of-type .votes [value=unsure]"
    )
    assert texts(page, "#done") == ["2 votes"]
    click(page, "#save")
    file = waited(downloads / "votes-ann_the_first_1_1.csv")
    votes = read_votes([file], version.name, negatives)
    assert votes.rows() == [
        ("q1", "d05", 'ann "the first", =1+1', "yes", False),
        ("q1", "d06", 'ann "the first", =1+1', "unsure", False),
    ]
    with pytest.raises(InputError, match="the vote is on version"):
        read_votes([file], "0" * 16, negatives)


def test_the_lot_chose_as_far_as_one_came_in_its_order(page, version, downloads):
    """A suspicious negative counts as drawn only once the rater has come past its place in the draw."""
    rows = read_parts(version, "negatives")
    lot = page.run("orders.lot.map((item) => voteKey(item).split('\\u0000'))")
    assert len(lot) == 7
    last, first, second = lot[-1], lot[0], lot[1]

    def vote_in(order, pair):
        put(page, "order", order)
        place = page.run(f"found.findIndex((item) => voteKey(item) === {json.dumps(pair)}.join('\\u0000'))")
        click(page, f"#matches li:nth-child({place + 1}) button")
        click(page, "#card .negative[aria-current] .votes [value=yes]")

    def saved(name):
        put(page, "rater", name)
        click(page, "#save")
        votes = read_votes([waited(downloads / f"votes-{name}.csv")], version.name, rows)
        return {(query, doc): drawn for query, doc, _, _, drawn in votes.iter_rows()}

    vote_in("near", last)
    vote_in("near", first)
    assert saved("picking") == {tuple(last): False, tuple(first): False}
    put(page, "search", second[0])
    vote_in("lot", second)  # with a filter one still picks
    assert saved("searching")[tuple(second)] is False
    click(page, "#card .negative[aria-current] .votes [value=yes]")  # taken back
    put(page, "search", "")
    vote_in("lot", second)
    assert saved("drawing") == {tuple(last): False, tuple(first): True, tuple(second): True}
    page.open(f"file://{version / 'report.html'}")
    assert saved("reloaded") == {tuple(last): False, tuple(first): True, tuple(second): True}


def altered(version, path, change):
    """Write the page to `path` with `change` made to the data that its script reads, and give its address."""
    html = (version / "report.html").read_text()
    block = re.search('<script type="application/json" id="shown">(.*?)</script>', html)
    held = json.loads(block.group(1))
    change(held["queries"][0])
    path.write_text(html.replace(block.group(), data_block("shown", held)))
    return f"file://{path}"


def test_a_negative_that_was_not_drawn_is_none_of_the_lot(tab, version, tmp_path):
    """The page of a large set, where most negatives were not drawn: here q1's second one was not."""
    tab.open(altered(version, tmp_path / "large.html", lambda query: query["negatives"][1].__setitem__(8, None)))
    put(tab, "order", "lot")
    assert texts(tab, "#found") == ["Found 6 negatives of 4 queries."]


def test_a_filter_by_rule_shows_what_that_rule_rejected(tab, version, tmp_path):
    def reject_another(query):
        query["rejected"].append([3, "margin", "dense", 9, 0.5, 0.5, 0.4])
        query["ends"].append(["margin", 1])

    tab.open(altered(version, tmp_path / "rules.html", reject_another))
    assert len(texts(tab, "#card .rejections tbody tr")) == 2
    put(tab, "rule", "percent_of_positive")
    assert texts(tab, "#card .rejections tbody .chip") == ["percent_of_positive"]


def waited(path):
    """Wait for a download: the browser renames it when it is whole."""
    for _ in range(100):
        if path.exists():
            return path
        threading.Event().wait(0.05)
    raise AssertionError(sorted(path.parent.iterdir()))


def test_votes_are_kept_over_a_reload_filtered_by_and_cleared(page, version):
    put(page, "rater", "bob")
    click(page, "#card .negative .votes [value=no]")
    assert texts(page, "#matches small")[0].endswith("voted no")
    click(page, "#card .negative .votes [value=no]")
    assert texts(page, "#done") == ["0 votes"]  # pressed twice: taken back
    click(page, "#card .negative .votes [value=no]")
    page.open(f"file://{version / 'report.html'}")
    assert page.run("document.getElementById('rater').value") == "bob"
    assert page.run("document.querySelector('#card .votes [value=no]').ariaPressed") == "true"
    put(page, "fate", "voted")
    assert texts(page, "#found") == ["Found 2 negatives of 1 query."]
    click(page, "#clear")
    assert texts(page, "#done") == ["0 votes"]
    put(page, "fate", "voted")
    assert texts(page, "#matches li") == []


def test_all_of_it_works_by_keyboard(page):
    page.run("document.querySelector('#matches li button').focus()")
    page.press("j")
    assert texts(page, "#place") == ["2 of 7"]
    assert page.run("document.activeElement.getAttribute('aria-current')") == "true"
    page.press("k")
    page.press("y")
    assert texts(page, "#done") == ["1 vote"]
    assert page.run("document.querySelector('#card .votes [value=yes]').ariaPressed") == "true"
    assert page.run("document.activeElement.closest('#browser') !== null") is True
    page.run("document.getElementById('search').focus()")
    page.press("y")  # a letter in a field is a letter
    assert page.run("document.getElementById('search').value") == "y"
    assert texts(page, "#done") == ["1 vote"]
    page.run("document.getElementById('search').focus()")
    reached = []
    for _ in range(12):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id || document.activeElement.textContent"))
    assert reached[:4] == ["order", "fate", "rule", "next"]


def test_every_control_has_a_name_and_the_page_fits_a_phone(page):
    unnamed = page.run(
        "[...document.querySelectorAll('input, select, button')].filter((one) =>"
        "!one.labels?.length && !one.textContent.trim() && !one.ariaLabel).map((one) => one.outerHTML)"
    )
    assert unnamed == []
    page.call("Emulation.setDeviceMetricsOverride", width=375, height=800, deviceScaleFactor=1, mobile=True)
    try:
        assert page.run("document.documentElement.scrollWidth") == 375
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_a_step_brings_its_negative_into_sight(page):
    page.call("Emulation.setDeviceMetricsOverride", width=375, height=500, deviceScaleFactor=1, mobile=True)
    try:
        page.run("window.scrollTo(0, 0)")
        for _ in range(3):
            click(page, "#next")
            top, bottom, tall = page.run(
                "(() => { const box = document.querySelector('#card [aria-current]').getBoundingClientRect();"
                "return [box.top, box.bottom, innerHeight]; })()"
            )
            assert 0 <= top < bottom <= tall
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_words_stand_out_from_their_ground_in_light_and_dark(page):
    """WCAG 2.2 AA: 4.5 to 1 for text, measured on the colours that the browser computes."""
    for scheme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        faint = page.run(CONTRAST)
        assert faint == [], scheme
    page.call("Emulation.setEmulatedMedia", features=[])


CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parts(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = new Set();
  for (const one of document.querySelectorAll("main *, footer *")) {
    const said = [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!said || one.closest("svg, script, noscript, .unseen, :disabled") || !one.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(one.tagName + "." + one.className + " " + ratio.toFixed(2));
  }
  return [...faint];
})()"""


def test_the_page_asks_for_nothing_over_http_either(tab, version):
    """A server counts what is asked of it; a favicon is the browser's own wish."""
    wanted = []

    class Counting(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            wanted.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(version))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.said.clear()
        tab.open(f"http://127.0.0.1:{server.server_port}/report.html")
        assert texts(tab, "#found") == ["Found 7 negatives of 4 queries."]
        server.shutdown()
    assert set(wanted) <= {"/report.html", "/favicon.ico"}
    assert [line for line in tab.said if "favicon" not in line] == []
