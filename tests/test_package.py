"""Facts about the package as a whole."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import skmixup

PACKAGE = Path(skmixup.__file__).parent

# What each room may import, of this package and of the libraries that it stands apart from.
ROOMS = {
    "design": {"design"},
    "effects": {"effects", "design"},
    "tuning": {"tuning", "design", "optuna", "sklearn"},
    "randomness": {"randomness", "torch", "sklearn"},
    "networks": {"networks", "torch"},
    "vicinal": {"vicinal", "networks", "torch", "sklearn"},
    "training": {
        "training",
        "vicinal",
        "networks",
        "randomness",
        "torch",
        "skorch",
        "sklearn",
    },
    "estimators": {
        "estimators",
        "training",
        "vicinal",
        "networks",
        "randomness",
        "labels",
        "torch",
        "skorch",
        "sklearn",
    },
    "ensemble": {
        "ensemble",
        "tuning",
        "design",
        "estimators",
        "networks",
        "training",
        "labels",
        "sklearn",
    },
    "robustness": {"robustness", "randomness", "labels", "torch", "skorch", "sklearn"},
}


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_imports_upward(room):
    apart = {"torch", "skorch", "sklearn", "optuna"}
    for file in (PACKAGE / room).rglob("*.py"):
        for name in imports_of(file):
            top, *rest = name.split(".")
            used = rest[0] if top == "skmixup" and rest else top
            if top == "skmixup" or top in apart:
                assert used in ROOMS[room], f"{file.name} imports {name}"


def test_nothing_imports_the_ensemble():
    assert not any("ensemble" in rule for room, rule in ROOMS.items() if room != "ensemble")


def test_every_room_has_its_rule():
    assert {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_designs_effects_and_searches_come_without_torch():
    code = (
        "import sys, skmixup.design, skmixup.effects, skmixup.tuning; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in skmixup.__version__.split("."))


def test_every_public_name_is_there():
    for name in skmixup.__all__:
        assert getattr(skmixup, name).__name__ == name
    assert set(skmixup.__all__) <= set(dir(skmixup))
