"""A script that runs in a fork finds, and leaves, what it would in a Python of its own."""

import json
import os
import re

import pytest

from tests.forked_scripts import CAN_FORK, ForkedScripts, SeparateScripts

WAYS = [SeparateScripts, *([ForkedScripts] if CAN_FORK else [])]
FACTS = """
import json, os, sys
import neighbour
print(json.dumps({
    "name": __name__,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "file": __file__,
    "arguments": sys.argv,
    "path": sys.path,
    "folder": os.getcwd(),
    "neighbour": neighbour.__file__,
    "input": sys.stdin.read(),
    "arrived": "decimal" in sys.modules,
    "left": [getattr(json, "left", None), os.environ.get("LEFT")],
}))
json.left = os.environ["LEFT"] = "by a script"
sys.modules["decimal"] = None
"""
ENDS = {
    "pass": (0, ""),
    "raise SystemExit": (0, ""),
    "raise SystemExit(3)": (3, ""),
    "raise SystemExit('no such data set')": (1, "no such data set\n"),
    "import os; os._exit(4)": (4, ""),
    "import os; os.kill(os.getpid(), 9)": (-9, ""),
    "def f():\n    1 / 0\nf()": (1, "ZeroDivisionError: division by zero\n"),
    "1 +": (1, "SyntaxError: invalid syntax\n"),
    "import sys; sys.stdout.write('ä'); sys.stderr.write('ö')": (0, "ö"),
}


def started(way, tmp_path, ready=("json",)):
    return way(ready, env={**os.environ, "PYTHONUTF8": "1"}, log=tmp_path / "log")


@pytest.fixture
def script(tmp_path):
    """A function that writes a script into a folder that is not the one where it runs."""

    def written(code):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / "neighbour.py").touch()
        path = tmp_path / "code" / "script.py"
        path.write_text(code, "utf-8")
        return path

    return written


def test_it_finds_the_same(script, tmp_path):
    told = []
    for way in WAYS:
        with started(way, tmp_path, ["json", "decimal"]) as scripts:
            for _ in range(2):  # the first leaves nothing to the second
                done = scripts.run([script(FACTS), "--some", "1"], tmp_path)
                assert done.returncode == 0, done.stderr
                told.append(json.loads(done.stdout))
    assert [facts.pop("arrived") for facts in told] == [False, False, True, True][: len(told)]
    assert all(facts == told[0] for facts in told)
    assert told[0]["name"] == "__main__"
    assert told[0]["left"] == [None, None]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", ENDS)
def test_it_ends_with_the_same(way, code, script, tmp_path):
    status, told = ENDS[code]
    with started(way, tmp_path) as scripts:
        done = scripts.run([script(code)], tmp_path)
        assert scripts.run([script("print(1)")], tmp_path).stdout == "1\n"
    assert done.returncode == status
    assert re.search(re.escape(told) + "$", done.stderr)
    assert done.stdout == ("ä" if "ä" in code else "")


@pytest.mark.skipif(not CAN_FORK, reason="each script has a Python of its own")
def test_what_the_process_itself_complains_of_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="No module named 'there_is_none'"):
        started(ForkedScripts, tmp_path, ["there_is_none"])
