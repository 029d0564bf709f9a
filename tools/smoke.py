"""Build wheel and sdist, install each into an empty environment, and try it there: `make smoke`.

    python tools/smoke.py [--reuse]

``--reuse`` lets the empty environments see the dependencies of this one instead of installing them
again (torch alone is hundreds of megabytes). The builds stay in dist/.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
NEEDED = ("conftest.py", "README.md", "Makefile", "constraints.txt", "tests/test_package.py")

PROGRAM = """
import pickle, sys
import numpy as np
from importlib.metadata import version
from pathlib import Path

import skmixup
from skmixup.design import discrepancy, uniform_design
from skmixup.effects import design_effects
from skmixup.tuning import UniformDesignSearchCV

home = Path(skmixup.__file__).parent
assert str(home).startswith(sys.prefix), home
assert version("skmixup") == skmixup.__version__
assert (home / "py.typed").exists()
assert discrepancy(uniform_design(30, 5)) < 0.02  # a shipped design
X = np.random.default_rng(0).normal(size=(120, 4))
y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
clf = skmixup.ManifoldMixupClassifier(random_state=0)
search = UniformDesignSearchCV(clf, {"alpha": [0, 0.2, 1], "lr": [1e-3, 1e-2]}, n_runs=6, cv=2)
search.fit(X, y)
design_effects(search)
again = pickle.loads(pickle.dumps(search.best_estimator_))
assert (again.predict(X) == search.predict(X)).all()
print("skmixup", skmixup.__version__, "accuracy", search.score(X, y))
"""


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command; what it prints is seen, and a failure ends all."""
    print("$", *command, flush=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=clean)


def build() -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def check_sdist(sdist: Path) -> None:
    """Everything that the tests need is in the sdist."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in NEEDED if name not in names]
    assert not missing, f"the sdist lacks {missing}"


def try_in_empty_environment(package: Path, *, reuse: bool) -> None:
    """Install a package into a new environment and run the program there, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "env"
        venv.create(home, with_pip=True)
        python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
        if reuse:
            (site,) = home.glob("lib/python*/site-packages")
            ours = Path(sysconfig.get_path("purelib"))
            paths = [str(ours), *(line for f in ours.glob("*.pth") for line in _folders(f))]
            (site / "zz_reuse.pth").write_text("\n".join(paths) + "\n")
            run(python, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps",
                "--force-reinstall", package, cwd=Path(folder))  # fmt: skip
        else:
            run(python, "-m", "pip", "install", "--quiet", f"skmixup @ {package.as_uri()}")
        program = Path(folder) / "program.py"
        program.write_text(PROGRAM)
        run(python, program, cwd=Path(folder))


def _folders(file: Path) -> list[str]:
    """Return the folders that a .pth file adds, without those of this project."""
    lines = file.read_text().splitlines()
    return [line for line in lines if Path(line).is_dir() and Path(line) != ROOT]


def main() -> None:
    """Build, look, install, try."""
    wheel, sdist = build()
    check_sdist(sdist)
    for package in (wheel, sdist):
        try_in_empty_environment(package, reuse="--reuse" in sys.argv)
    print(f"{wheel.name} and {sdist.name} build, install and work")


if __name__ == "__main__":
    main()
