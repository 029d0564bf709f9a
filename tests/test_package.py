"""Facts about the package as a whole."""

import subprocess
import sys

import skmixup


def test_design_never_imports_torch():
    code = "import sys, skmixup.design; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in skmixup.__version__.split("."))
