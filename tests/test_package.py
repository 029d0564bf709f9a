"""Facts about the package as a whole."""

import subprocess
import sys

import skmixup


def test_designs_and_searches_come_without_torch():
    code = "import sys, skmixup.design, skmixup.tuning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in skmixup.__version__.split("."))


def test_every_public_name_is_there():
    for name in skmixup.__all__:
        assert getattr(skmixup, name).__name__ == name
    assert set(skmixup.__all__) <= set(dir(skmixup))
