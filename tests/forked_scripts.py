"""Runs scripts one by one, each in a fork of a process in which the slow imports are done.

    with ForkedScripts(ready=["torch"], env=os.environ, log=folder / "log") as scripts:
        done = scripts.run([script, "--help"], folder)  # a subprocess.CompletedProcess

A script finds what it would find in a Python of its own: its name is __main__, its folder stands
first in sys.path, and nothing of what another script imported or did is there. This file is the
process too: it reads orders, a line of JSON each, and answers each with an exit status.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# macOS has a fork too, but its frameworks do not survive one
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin"
SECONDS = 600  # for a script: hangs are found, slow machines are not


class ForkedScripts:
    """A process that has imported the modules `ready` and forks for each script."""

    def __init__(self, ready: Iterable[str], env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)
        self.log = log  # what the process itself complains of
        with log.open("w") as told:
            self.process = subprocess.Popen(
                [sys.executable, __file__, *ready],
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
            )
        self._answer()

    def __enter__(self) -> "ForkedScripts":
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # closes its input, which ends it, and waits
            pass

    def run(self, command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a script with its arguments in a folder."""
        argv = [str(part) for part in command]
        with tempfile.TemporaryDirectory() as kept:
            out, err = Path(kept, "out"), Path(kept, "err")
            order = {"argv": argv, "folder": str(folder), "out": str(out), "err": str(err)}
            print(json.dumps(order), file=self.process.stdin, flush=True)
            status = int(self._answer())
            return subprocess.CompletedProcess(argv, status, out.read_text(), err.read_text())

    def _answer(self) -> str:
        answer = self.process.stdout.readline()
        if not answer:
            self.__exit__()
            raise RuntimeError(f"the process that forks has ended: {self.log.read_text()}")
        return answer


class SeparateScripts:
    """The same where a process cannot fork: each script in a Python of its own."""

    def __init__(self, ready: Iterable[str], env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)

    def __enter__(self) -> "SeparateScripts":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a script with its arguments in a folder."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def serve(ready: Sequence[str]) -> None:
    """Import modules, then run the scripts of the orders on the standard input, one by one."""
    for name in ready:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        with warnings.catch_warnings():  # that importing has begun threads: they do nothing yet
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            os._exit(ended(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def ended(order: Mapping) -> int:
    """Be the script of an order, and return the exit status."""
    signal.alarm(SECONDS)
    for path, mode, number in (
        (os.devnull, "r", 0),
        (order["out"], "w", 1),
        (order["err"], "w", 2),
    ):
        with open(path, mode) as file:
            os.dup2(file.fileno(), number)
    os.chdir(order["folder"])
    sys.argv = order["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status & 0xFF


if __name__ == "__main__":
    serve(sys.argv[1:])
