import base64
import hashlib
import json
import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from negset.publishing.html import data_block, document, tag, text


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


def test_a_page_loads_nothing_and_its_policy_names_its_style_and_script():
    page = document("a < b", "p { }", tag("p"), "let a = 1;")
    digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in ("p { }", "let a = 1;")]
    policy = unescape(re.search('content="(default-src[^"]*)"', page).group(1)).split("; ")
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digests[0]}'" in policy
    assert f"script-src 'sha256-{digests[1]}'" in policy
    assert "unsafe" not in page
    assert "<title>a &lt; b</title>" in page


@given(st.text() | st.sampled_from(["</script>", "<!--<script>", "</SCRIPT ", "\u2028"]))
def test_no_text_ends_a_block_of_data(value):
    block = data_block("d", {"text": value})
    inside = block.removeprefix('<script type="application/json" id="d">').removesuffix("</script>")
    assert "<" not in inside
    assert json.loads(inside) == {"text": value}
