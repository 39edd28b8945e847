"""A report in words: columns for what there is, and intervals where they matter."""

from tests.lab.routers.reports import report

from motet.lab.routers.text import headings, row


def test_columns_are_those_that_somebody_fills():
    whole, bare = report(), report(costs=False)
    titles = headings(whole.judgements)
    assert {"over tasks %", "USD/1000", "fit s"} <= set(titles)
    assert "USD/1000" not in headings(bare.judgements)
    timed = whole.of("first")
    cells = dict(zip(titles, row(timed, titles), strict=True))
    assert cells["fit s"] == "1.5" and cells["ms"] == "0.20"
    figure = timed.figures["gain_over_best_single"]
    assert (
        cells["gain"]
        == f"{100 * figure.value:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    )
    assert row(whole.of("second"), ["fit s"]) == [""]
