"""The page: whole, self-contained, and safe to open."""

import re
from html.parser import HTMLParser

import numpy as np
from tests.lab.routers.reports import EVIL, report
from tests.lab.routers.synthetic import synthetic

from motet.lab.routers import page, plots
from motet.lab.routers.evaluate import outcome_of
from motet.lab.routers.report import judge
from motet.routers.learned.base import Estimate


def hopeless():
    table = synthetic()
    quality = 1 - table.scores
    estimate = Estimate(quality=quality, error=np.ones_like(quality), cost=table.costs)
    return judge(table, [outcome_of("hopeless", estimate, table.experts)], draws=50)


class Tags(HTMLParser):
    """Counts tags and sees that they close in order."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags.seen


def test_the_page_is_whole_and_asks_nothing_of_the_network():
    found = report()
    pictures = plots.pictures(found)
    text = page.page(found, pictures)
    images = [attributes for tag, attributes in parsed(text) if tag == "img"]
    assert len(images) == len(pictures) == 6
    assert all(a["src"].startswith("data:image/png;base64,") and a["alt"] for a in images)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)
    assert "prefers-color-scheme: dark" in text
    for said in (
        "first",
        "second",
        "best single expert",
        "oracle",
        "control",
        "1.5",
        "95%",
        "riddles",
    ):
        assert said in text


def test_what_a_table_says_is_escaped():
    found = report((EVIL, "other"))
    text = page.page(found, plots.pictures(found))
    assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text
    parsed(text)


def test_the_summary_says_whether_anything_is_proven():
    good = " ".join(page.summary(report()))
    assert "beats the best single expert by +" in good and "of its cost" in good
    none = " ".join(page.summary(hopeless()))
    assert "does not beat the best single expert with 95% confidence" in none


def test_many_routers_and_no_routers():
    many = report(tuple(f"router {number}" for number in range(9)))
    assert parsed(page.page(many, plots.pictures(many)))
    table = synthetic(queries=False, costs=False)
    nobody = judge(table.of(["both"]), [], draws=10)
    assert parsed(page.page(nobody, plots.pictures(nobody)))
