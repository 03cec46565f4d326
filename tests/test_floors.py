"""The table of floors in README: every room of the package is in it, and imports only go down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from imports import import_statements

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "litehrnet"
DOORS = {"__init__", "__main__", "_version"}  # the front doors, and a number that everybody may read


def floors() -> dict[str, int]:
    """Room to floor, as README's table says it: {"cli": 9, "sizes": 0, ...}."""
    table = re.findall(r"^\| (\d+) \| (.*?) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {room: int(floor) for floor, rooms in table for room in re.findall(r"\(litehrnet/(\w+)", rooms)}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package itself, lazy ones included, but not those for type checkers."""
    package = ("litehrnet", *path.relative_to(PACKAGE).parts[:-1])
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        else:
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            modules = [[*base, alias.name] for alias in node.names]
        for module in modules:
            if module[0] == "litehrnet" and len(module) > 1:
                yield node.lineno, module[1]


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in DOORS)


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in MODULES} == set(floors())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    table, own = floors(), room_of(path)
    climbs = [
        f"line {line}: {own} (floor {table[own]}) imports {room}, on floor {table[room]}"
        for line, room in imported_rooms(path)
        if room in table and room != own and table[room] >= table[own]
    ]
    assert not climbs, "\n".join(climbs)
