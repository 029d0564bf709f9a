"""The benchmarks' scripts start, their pages can be found, and a stopped run goes on."""

import ast
import lzma
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from benchmarks import records
from benchmarks.designs import lattices, symmetric
from benchmarks.training import gpu
from tests.forked_scripts import CAN_FORK, ForkedScripts, SeparateScripts

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.rglob("*.py")
    if "__main__" in path.read_text()
)
README = (FOLDER / "README.md").read_text()
PAGES = sorted(path.name for path in FOLDER.glob("results/*.md"))
SLOW_TO_IMPORT = ["torch", "optuna", "skrub", "sklearn.ensemble", "skmixup.robustness"]
HEAVY = {"catboost", "pytabkit", "rtdl_num_embeddings", "matplotlib", "tabm"}


def imported_at_once(path):
    """The top-level packages that a module imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Run scripts, without the seconds in which each would import the same packages again."""
    run_scripts = ForkedScripts if CAN_FORK else SeparateScripts
    env, log = {**os.environ, "PYTHONPATH": str(ROOT)}, tmp_path_factory.mktemp("scripts") / "log"
    with run_scripts(SLOW_TO_IMPORT, env, log) as scripts:
        yield scripts


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_answers_help(script, scripts, tmp_path):
    done = scripts.run([FOLDER / script, "--help"], tmp_path)  # from anywhere
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(f"usage: {Path(script).name} ")
    assert not list(tmp_path.iterdir())


def test_the_script_for_a_gpu_can_be_tried_without_one(tmp_path):
    done = subprocess.run(
        [sys.executable, FOLDER / "training" / "gpu.py", "--dry-run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    numbers = re.findall(r"(?<=\| )\d+(?:\.\d+)?(?= \|)", done.stdout)
    assert len(numbers) >= 12


def test_measurements_of_a_gpu_stay_where_there_is_none(monkeypatch):
    written = []
    monkeypatch.setattr(gpu, "write_page", lambda *page: written.append(page))
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="no CUDA device: the page stays as it is"):
        gpu.main()
    assert not written


def test_no_module_needs_what_it_compares_with_before_it_does():
    modules = list(FOLDER.rglob("*.py"))
    assert len(modules) > len(SCRIPTS) > 10
    for path in modules:
        assert not HEAVY & set(imported_at_once(path)), path


def test_no_module_imports_in_a_circle():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in FOLDER.rglob("*.py")
    }
    left = {
        name: {
            found
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmarks")
            for found in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if found in modules
        }
        for name, path in modules.items()
    }
    assert left["benchmarks.tuning.tuning_regret"] > {"benchmarks.tuning.report"}
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        assert free, left
        left = {name: needs for name, needs in left.items() if name not in free}


@pytest.mark.parametrize("page", PAGES)
def test_page_stands_in_the_readme_beside_its_script(page):
    (row,) = (line for line in README.splitlines() if f"](results/{page})" in line)
    script = re.match(r"\| `([\w/]+\.py)`", row)[1]
    assert script in SCRIPTS
    named = re.findall(
        r"`(?:python )?(benchmarks/\S+\.py)", (FOLDER / "results" / page).read_text()
    )
    assert all((ROOT / path).exists() for path in named)
    assert not named or f"benchmarks/{script}" in named


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_stands_in_the_readme(script):
    assert f"`{script}`" in README or f"({script})" in README


def test_links_and_paths_to_the_benchmarks_exist():
    seen = 0
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *FOLDER.rglob("*.md")]
    for source in sources:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", source.read_text()):
            target = (source.parent / link).resolve()
            if FOLDER in target.parents and "://" not in link:
                assert target.exists(), (source, link)
                seen += 1
    assert seen > 30
    code = [ROOT.glob("skmixup/**/*.py"), ROOT.glob("examples/*.py"), FOLDER.rglob("*.py")]
    for source in [*sources, *chain(*code), *FOLDER.glob("*/*.c")]:
        for path in re.findall(r"(?<![\w/])benchmarks/[\w/]+\.(?:py|md|c)\b", source.read_text()):
            assert (ROOT / path).exists(), (source, path)


def test_results_over_100_kb_are_compressed():
    for path in FOLDER.glob("results/*"):
        assert path.stat().st_size <= records.LARGEST or path.suffix == ".xz", path


def test_a_stopped_run_goes_on(tmp_path):
    planned = [(name, seed) for name in ("a", "b") for seed in range(3)]
    asked = []

    def measure(name, seed):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append((name, seed))
        return [seed / 3, None]

    first = records.Records("some", n_keys=2, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        first.run(planned, measure)
    file = tmp_path / "some.jsonl"
    file.write_bytes(file.read_bytes()[:-9])  # as if the machine had stopped within the last line
    asked.clear()
    second = records.Records("some", n_keys=2, folder=tmp_path)
    assert list(second.rows) == planned[:2]
    second.append(planned[2], [7, "ä"])
    assert list(records.Records("some", n_keys=2, folder=tmp_path).rows) == planned[:3]
    second.run(planned, measure)
    assert asked == planned[3:]
    kept = records.Records("some", n_keys=2, folder=tmp_path).rows
    assert kept == second.rows
    assert list(kept) == planned
    assert kept["a", 2] == [7, "ä"]
    assert kept["b", 2] == [2 / 3, None]


def test_large_results_are_compressed_and_added_to(tmp_path):
    some = records.Records("some", n_keys=1, folder=tmp_path)
    some.append((0,), [0.1])
    some.pack()
    assert not some.packed.exists()
    some.append((1,), ["x" * records.LARGEST])
    some.pack()
    assert some.packed.stat().st_size < 1000
    assert not some.plain.exists()
    records.Records("some", n_keys=1, folder=tmp_path).append((2,), [0.3])
    again = records.Records("some", n_keys=1, folder=tmp_path)
    assert list(again.rows) == [(0,), (1,), (2,)]
    again.pack()
    assert len(lzma.decompress(again.packed.read_bytes()).splitlines()) == 3
    assert not again.plain.exists()
    again.forget(lambda key: key[0] == 1)
    assert not again.packed.exists()
    assert records.Records("some", n_keys=1, folder=tmp_path).rows == {(0,): [0.1], (2,): [0.3]}


@pytest.mark.parametrize("size", [(28, 8, 4), (36, 9, 6), (15, 6, 3), (17, 16, 17)])
def test_designs_to_start_from_are_balanced_and_symmetric_as_they_say(size):
    n, _, q = size
    rng = np.random.default_rng(size)
    levels = (np.arange(n) * q // n)[:, None]
    assert (np.sort(lattices.start(size, rng), axis=0) == levels).all()
    n_symmetric = 0
    for symmetry in symmetric.symmetries(size, 40):
        design = symmetric.random_symmetric(size, symmetry, rng)
        if design is None:
            continue
        n_symmetric += 1
        assert (np.sort(design, axis=0) == levels).all()
        for rows, columns, mirrors in zip(*symmetry.elements(), strict=True):
            image = np.empty_like(design)
            image[rows[:, None], columns] = np.where(mirrors, q - 1 - design, design)
            assert (image == design).all()
    assert n_symmetric > 5
