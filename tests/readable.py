"""What every drawn figure must be: a sentence that says what to see, and text that can be read."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.text import Text

from litehrnet.course.draw import CourseFigure

SMALLEST = 8  # points


def shown(figure: CourseFigure) -> Iterator[Text]:
    """Every text of a figure but the numbers on its axes, of which matplotlib keeps some that it does not draw."""
    yield from (child for child in figure.get_children() if isinstance(child, Text))
    for axes in figure.axes:
        yield from (child for child in axes.get_children() if isinstance(child, Text))
        yield from axes.get_legend().get_texts() if axes.get_legend() else ()
        if axes.axison:
            yield from (axes.xaxis.label, axes.yaxis.label)


def check_readable(figure: CourseFigure) -> None:
    """Assert that a figure has its sentence, and that no text is tiny or cut off."""
    figure.draw_without_rendering()
    texts = [text for text in shown(figure) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    assert figure.sentence.endswith((".", "?"))
    assert "\n" not in figure.sentence
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 > -2, text
        assert box.x1 < width + 2, text
        assert box.y0 > -2, text
        assert box.y1 < height + 2, text
