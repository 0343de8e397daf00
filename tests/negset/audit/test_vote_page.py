import base64
import hashlib
import re
from html.parser import HTMLParser

from negset.audit.sampling import Question
from negset.audit.vote_page import render_votes

EVIL = """</p><script>alert(1)</script>" onclick="alert(2)"""


class Seen(HTMLParser):
    """Collect tags with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def read(page):
    seen = Seen()
    seen.feed(page)
    return seen


def test_texts_are_shown_and_never_run():
    page = render_votes([Question(EVIL, EVIL, "p", EVIL, EVIL, EVIL)], EVIL, "v1")
    seen = read(page)
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    assert seen.words.count(EVIL) >= 4
    article = next(attributes for tag, attributes in seen.tags if tag == "article")
    assert article["data-query"] == article["data-doc"] == EVIL


def test_the_page_loads_nothing_and_its_policy_names_its_one_script():
    page = render_votes([Question("q", "d", "p", "a", "b", "c")], "set", "v1")
    script = re.search("<script>(.*?)</script>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for tag, a in read(page).tags if tag == "meta" and "content" in a)
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"(src|href)=", page)


def test_there_is_a_button_for_each_vote_of_each_question():
    page = render_votes([Question(f"q{n}", "d", "p", "a", "b", "c") for n in range(3)], "set", "v1")
    buttons = [a.get("value") for tag, a in read(page).tags if tag == "button" and "value" in a]
    assert buttons == ["yes", "no", "unsure"] * 3
    main = next(a for tag, a in read(page).tags if tag == "main")
    assert main["data-version"] == "v1"
