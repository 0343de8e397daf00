from hypothesis import given
from hypothesis import strategies as st

from negset.publishing.html import document, tag, text


@given(st.text())
def test_no_text_opens_a_tag_or_leaves_an_attribute(value):
    element = tag("p", text(value), title=value)
    inside = element.removeprefix('<p title="').removesuffix("</p>")
    assert inside.count("<") == 0
    assert inside.count('"') == 1
    assert inside.count(">") == 1


def test_names_of_attributes_follow_html():
    assert tag("meta", http_equiv="X", class_="y") == '<meta http-equiv="X" class="y">'
    assert tag("rect", x=1) == '<rect x="1"></rect>'


def test_a_page_loads_nothing_and_runs_nothing():
    page = document("a < b", "p { }", tag("p"))
    assert "default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;" in page
    assert "<title>a &lt; b</title>" in page
