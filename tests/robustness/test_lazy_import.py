"""Facts about importing the folder."""

import subprocess
import sys

import pytest

import skmixup.robustness


def test_labels_and_calibration_need_no_torch():
    code = (
        "import sys; from skmixup.robustness import corrupt_labels, expected_calibration_error; "
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there_and_no_other():
    for name in skmixup.robustness.__all__:
        assert getattr(skmixup.robustness, name).__name__ == name
    assert set(skmixup.robustness.__all__) <= set(dir(skmixup.robustness))
    with pytest.raises(AttributeError, match="no attribute 'pgd'"):
        _ = skmixup.robustness.pgd
