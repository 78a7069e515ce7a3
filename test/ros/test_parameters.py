"""One description of the parameters: declared, documented and used from the same YAML."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lircdepth_ros.parameters import describe_parameters

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_holds_the_parameters_as_described():
    command = [sys.executable, "tools/update_readme.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_shipped_parameter_file_names_only_parameters_with_values_they_take():
    described = {entry.name: entry for entry in describe_parameters()}
    shipped = yaml.safe_load((ROOT / "config" / "depth.yaml").read_text())["/**"]["ros__parameters"]
    for name, value in shipped.items():
        assert described[name].fault(value) is None
        assert value == described[name].default, f"{name} differs from its default"


@pytest.mark.parametrize("entry", describe_parameters(), ids=lambda entry: entry.name)
def test_each_default_follows_its_own_rules(entry):
    assert entry.fault(entry.default) is None
    assert entry.description.endswith(".")
    if "bounds<>" in entry.validation:
        low, high = entry.validation["bounds<>"]
        assert low <= entry.default <= high


def _environment():
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
