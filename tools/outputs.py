"""Compare a notebook's checked outputs with the stored ones, as `pytest --nbval-lax` does: by nbval's own comparison.

`make tutorial` writes pages from outputs that this machine made. Where a checked cell says something other than the
stored notebook, the prose beside it may be wrong, so nothing is published.
"""

from __future__ import annotations

import copy
import difflib
from types import SimpleNamespace

from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, coalesce_streams, find_comment_markers, find_metadata_tags, nocolors

# What nbval leaves out by default, pictures included.
SKIPPED = (
    "metadata", "traceback", "prompt_number", "output_type", "name", "execution_count",
    "application/vnd.jupyter.widget-view+json", "image/png", "image/jpeg", "image/svg+xml",
)  # fmt: skip


def is_checked(cell: NotebookNode) -> bool:
    """Whether nbval would compare this cell: it is marked, by a tag or a comment, and was run when it was stored."""
    options = dict(find_metadata_tags(cell.metadata)) | dict(find_comment_markers(cell.source))
    return bool(options.get("check")) and cell.execution_count is not None


def changed(stored: NotebookNode, executed: NotebookNode) -> tuple[int, str] | None:
    """The first checked cell whose output is not the stored one.

    Args:
        stored: the notebook as it was, with its outputs.
        executed: the same notebook after a run.

    Returns:
        Index of the cell among all cells, and the difference as lines that begin with - and +; None if there is none.
    """
    for index, (before, after) in enumerate(zip(stored.cells, executed.cells, strict=True)):
        if before.cell_type == "code" and is_checked(before):
            difference = compare(before.outputs, after.outputs)
            if difference is not None:
                return index, difference
    return None


def compare(stored: list[NotebookNode], executed: list[NotebookNode]) -> str | None:
    """How the outputs of one cell differ, or None."""
    before, after = (coalesce_streams(copy.deepcopy(outputs)) for outputs in (stored, executed))
    lines: list[str] = []

    def show(key: str, left: object, right: object) -> None:
        lines.extend(difflib.ndiff(str(left).splitlines(), str(right).splitlines()))

    # nbval compares in a method of a pytest item; this has what that method uses.
    item = SimpleNamespace(
        colors=nocolors, parent=SimpleNamespace(skip_compare=SKIPPED), sanitize=lambda text: text,
        format_output_compare=show, comparison_traceback=[],
    )  # fmt: skip
    if IPyNbCell.compare_outputs(item, after, before):
        return None
    return "\n".join(line for line in [*item.comparison_traceback, *lines] if not line.startswith("?"))
