"""Private parts of Optuna are touched in the files that say why, nowhere else."""

import ast
from pathlib import Path

import pytest

import skmixup

HOMES = {
    "storage.py": {"_storage", "_study_id", "_trial_id"},
    "loops.py": {"_study", "_thread_local", "_stop_flag"},
}
OPTUNA = set().union(*HOMES.values())
PACKAGE = Path(skmixup.__file__).parent
FILES = [
    file for room in ("design", "effects", "tuning") for file in (PACKAGE / room).glob("*.py")
]


def attributes_of_others(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) != "self":
            yield node.attr


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_private_parts_stay_in_their_files(file):
    tree = ast.parse(file.read_text())
    assert OPTUNA.intersection(attributes_of_others(tree)) <= HOMES.get(file.name, set())
