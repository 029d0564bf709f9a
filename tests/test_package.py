"""Facts about the package as a whole."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skmixup

PACKAGE = Path(skmixup.__file__).parent

# What each room may import, of this package and of the libraries that it stands apart from.
ROOMS = {
    "design": {"design"},
    "effects": {"effects", "design", "lazy_frames"},
    "tuning": {"tuning", "design", "constraints", "lazy_frames", "quiet", "optuna", "sklearn"},
    "randomness": {"randomness", "torch", "sklearn"},
    "networks": {"networks", "torch", "sklearn"},
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
        "constraints",
        "labels",
        "lazy_frames",
        "quiet",
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
        "constraints",
        "labels",
        "quiet",
        "sklearn",
    },
    "robustness": {"robustness", "randomness", "labels", "quiet", "torch", "skorch", "sklearn"},
}


def imports_of(file: Path, *, at_once: bool = False) -> Iterator[str]:
    """Names that a file imports; with `at_once`, those it imports when it is imported itself."""
    tree = ast.parse(file.read_text())
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
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


def test_no_module_imports_itself_through_others():
    files = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file
        for file in PACKAGE.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): file for name, file in files.items()}

    def module_of(name: str) -> str:  # a.b for a.b.f, where f is no module
        return name if name in modules or "." not in name else name.rpartition(".")[0]

    graph = {
        module: {module_of(name) for name in imports_of(file, at_once=True)}
        for module, file in modules.items()
    }
    assert set(modules) <= set(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(("folder", "most"), [(PACKAGE, 400), (Path(__file__).parent, 499)])
def test_no_file_is_long(folder, most):
    """A file has one subject, and one that is longer has more."""
    lengths = {file: len(file.read_text().splitlines()) for file in folder.rglob("*.py")}
    assert {str(file): length for file, length in lengths.items() if length > most} == {}


def test_every_room_has_its_rule():
    assert {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def run_alone(code):
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_designs_effects_and_searches_come_without_torch():
    code = (
        "import sys, skmixup.design, skmixup.effects, skmixup.tuning; "
        "sys.exit('torch' in sys.modules)"
    )
    run_alone(code)


def test_it_runs_where_the_system_does_not_fork():
    """On Windows, whose `os` lacks what is taken away here once other libraries are imported."""
    code = (
        "import importlib, os, pkgutil, sys\n"
        "import joblib, matplotlib, optuna, pandas, scipy.stats, sklearn, skorch, torch\n"
        "for name in {'chown', 'fork', 'getloadavg', 'getpgid', 'killpg', 'lockf', 'mkfifo',\n"
        "             'nice', 'posix_spawn', 'register_at_fork', 'sched_getaffinity', 'setsid',\n"
        "             'sysconf', 'uname', 'wait', 'wait4'} & set(dir(os)):\n"
        "    delattr(os, name)\n"
        "import skmixup\n"
        "for module in pkgutil.walk_packages(skmixup.__path__, 'skmixup.'):\n"
        "    importlib.import_module(module.name)\n"
        "X, y = [[0.0], [1.0]] * 10, [0, 1] * 10\n"
        "skmixup.MixupClassifier(max_epochs=2, random_state=0).fit(X, y).predict(X)\n"
    )
    run_alone(code)


def test_samplers_come_without_scikit_learn_and_scipy():
    """They take half a second to import, as long as many trials of another sampler."""
    code = (
        "import sys, optuna\n"
        "study = optuna.create_study(sampler=optuna.samplers.RandomSampler())\n"
        "study.optimize(lambda t: t.suggest_float('x', 0, 1), n_trials=1)\n"
        "known = set(sys.modules)\n"
        "from skmixup.tuning import UniformDesignSampler\n"
        "for then in (None, 'augment', 'zoom'):\n"
        "    study = optuna.create_study(sampler=UniformDesignSampler(n_runs=6, then=then))\n"
        "    study.optimize(lambda t: t.suggest_float('x', 0, 1) ** 2, n_trials=12)\n"
        "sys.exit(', '.join({'sklearn', 'scipy'} & (set(sys.modules) - known)) or None)"
    )
    run_alone(code)


def test_version_is_a_release_number_that_changelog_and_citation_have():
    version, root = skmixup.__version__, PACKAGE.parent
    assert all(part.isdigit() for part in version.split("."))
    assert f"\n## [{version}]" in (root / "CHANGELOG.md").read_text()
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text()


def test_every_public_name_is_there():
    for name in skmixup.__all__:
        assert getattr(skmixup, name).__name__ == name
    assert set(skmixup.__all__) <= set(dir(skmixup))


# The files that import private names of libraries; each says why.
INTERNALS = {
    "ensemble/sklearn_internals.py",
    "constraints.py",
    "training/optimizers.py",
    "tuning/sklearn_internals.py",
}


def test_private_names_of_libraries_are_imported_where_it_is_said_why():
    homes = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and not str(node.module).startswith("skmixup"):
                names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                if any(name.startswith("_") and name != "__future__" for name in names):
                    homes.add(file.relative_to(PACKAGE).as_posix())
    assert homes == INTERNALS
