"""The imports of a Python file, for the tests that ask what depends on what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def import_statements(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import of a file, lazy ones included, but not what only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in for_checkers:
            yield node
