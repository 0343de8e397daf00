import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest


class Page(HTMLParser):
    """Collect tags, attributes and what is not closed."""

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(published):
    return (published / "report.html").read_text()


def test_the_page_loads_nothing_and_is_well_formed(page):
    parsed = Page()
    parsed.feed(page)
    assert parsed.open == []
    assert all(address.startswith("#") for address in parsed.addresses)
    assert parsed.seen.count("script") == 2  # data and what reads them
    assert "style=" not in page
    assert not re.search(r"@import|url\(", page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {address[1:] for address in parsed.addresses} <= set(ids)


def test_texts_are_shown_and_never_run(page):
    """A document, the description and a check's description bring markup."""
    assert len(re.findall("<script", page)) == 2
    assert "&lt;script&gt;alert(&#x27;d05&#x27;)&lt;/script&gt;" in page
    assert "\\u003cscript>alert('d05')\\u003c/script>" in page
    assert "&lt;script&gt;alert(&#x27;description&#x27;)" in page
    assert "rows &lt;b&gt;" in page


def test_who_hears_the_page_finds_landmarks_headings_and_names(page):
    for part in ("<main>", "<nav ", "<footer>", 'lang="en"', 'class="skip"', "prefers-reduced-motion"):
        assert part in page
    levels = [int(level) for level in re.findall(r"<h([1-6])", page.split("<noscript>")[0])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(after - before for before, after in pairwise(levels)) <= 1
    for found in re.findall(r"<table.*?</table>", page):
        if "rejections" not in found:
            assert "<caption" in found
            assert 'scope="col"' in found
    assert page.count("<svg") == page.count('aria-hidden="true"><rect') + page.count('role="img"')


def test_the_page_says_why(page):
    assert "dense at rank 4 · scores 0.800 · 0.100 below its positive at 0.900, 89% of it" in page
    assert "value 0.870" in page
    assert "limit 0.855" in page
    assert "dropped: no_candidates" in page
    assert "random · passed 1 rules, taken by top" in page
    assert "3 rejected, 1 survived but were not sampled" in page


def test_the_page_is_the_same_wherever_and_whenever_it_is_made(tiny_set, page, tmp_path):
    draft = tiny_set.draft_of(tiny_set.stage(tmp_path / "again", parts=4))
    ref = tiny_set.publish_set(draft, tmp_path / "elsewhere", by="bob", at=tiny_set.datetime(2031, 1, 1))
    assert (tmp_path / "elsewhere" / "tiny" / "versions" / ref.fingerprint / "report.html").read_text() == page


def test_the_five_statistics_of_the_queries_are_on_the_page(page):
    """The mean over the three published queries of train of their negatives' mean score: .75, .65 and .3."""
    assert "negative log mean exp" in page
    assert f">{(0.75 + 0.65 + 0.3) / 3:.4f}<" in page
    assert "Each query as a loss at temperature 0.05 sees it" in page
