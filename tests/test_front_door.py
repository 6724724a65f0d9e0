"""The Makefile, the README and the environment say the same things."""

import re
import subprocess

import pytest
import yaml

from workflow.notebook import ROOT

TARGETS = {
    *("reproduce", "test", "lab", "refresh", "why", "new"),
    *("controls", "assets", "report", "bench", "lint", "clean"),
}


def test_help_is_the_default_and_lists_every_target():
    run = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^  make (\w+)", run.stdout, re.M)
    assert set(listed) >= TARGETS


def test_the_readme_names_only_targets_files_and_links_that_exist():
    text = (ROOT / "README.md").read_text("utf8")
    makefile = (ROOT / "Makefile").read_text("utf8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link.startswith("https://arxiv.org/abs/") or (ROOT / link).exists(), link


def test_every_dependency_is_pinned_once():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    names = [re.fullmatch(r"([a-z0-9-]+)==[0-9.]+", line)[1] for line in pip["pip"][:-1]]
    assert len(names) == len(set(names)) and pip["pip"][-1] == "-e ."
    assert {"jupyterlab", "papermill", "torch", "transformers", "nbval", "seaborn"} <= set(names)


@pytest.mark.parametrize("name", ["default", "slurm", "kubernetes"])
def test_profiles_are_read_by_snakemake_and_go_on_past_a_failure(name):
    text = (ROOT / "workflow" / "profiles" / name / "config.yaml").read_text("utf8")
    profile = yaml.safe_load(text)
    assert profile["keep-going"] and profile["nolock"] and profile["rerun-triggers"] == ["mtime"]
    if name != "default":
        assert profile["executor"] == name and f"snakemake-executor-plugin-{name}" in text


def test_ci_calls_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "test.yml").read_text()
