"""What a push or a tag sets off stands in workflows that do not run here: that they can."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import skmixup

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="a source distribution has no workflows")


def jobs(workflow: Path) -> dict[str, Any]:
    return yaml.safe_load(workflow.read_text())["jobs"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_workflows_make_can_be_made(workflow):
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    steps = [step for job in jobs(workflow).values() for step in job["steps"]]
    made = [step["run"].split()[1] for step in steps if step.get("run", "").startswith("make ")]
    assert made
    assert set(made) <= set(targets)


def test_all_jobs_wait_for_jobs_that_exist():
    for workflow in WORKFLOWS:
        names = jobs(workflow)
        assert all(job.get("needs", name) in names for name, job in names.items())


def test_the_matrix_has_what_the_classifiers_promise():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = [re.search(r"Python :: (3\.\d+)$", c) for c in project["classifiers"]]
    matrix = jobs(ROOT / ".github" / "workflows" / "tests.yml")["tests"]["strategy"]["matrix"]
    assert matrix["python"] == [found[1] for found in promised if found]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.skipif(sys.platform == "win32", reason="the step runs in bash on Linux")
@pytest.mark.parametrize(("tag", "passes"), [(skmixup.__version__, True), ("99.0.0", False)])
def test_a_tag_has_to_be_the_version(tag, passes):
    steps = jobs(ROOT / ".github" / "workflows" / "release.yml")["build"]["steps"]
    script = next(step["run"] for step in steps if step.get("name") == "The tag is the version")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "GITHUB_REF_NAME": f"v{tag}"}
    done = subprocess.run(["bash", "-ec", script], cwd=ROOT, env=env, check=False)
    assert (done.returncode == 0) is passes


def test_hooks_of_this_repository_exist():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    own = [hook for repo in config["repos"] if repo["repo"] == "local" for hook in repo["hooks"]]
    assert own
    assert all((ROOT / hook["entry"].split()[1]).exists() for hook in own)
