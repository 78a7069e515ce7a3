"""The stand-ins are found where nothing else is; real packages win wherever they come from."""

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = ["cv_bridge", "message_filters", "sensor_msgs_py"]
SOURCE = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    any(find_spec(tool) is None for tool in ("pip", "setuptools"))
    or tuple(map(int, version("setuptools").split(".")[:2])) < (70, 1),
    reason="installing needs pip and setuptools 70.1, which builds wheels by itself",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that sees the system's packages and holds this distribution."""
    root = tmp_path_factory.mktemp("pip_ros")
    # pip builds beside the sources, which must stay clean.
    source = shutil.copytree(
        SOURCE, root / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "test")
    )
    offline = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", root, source], check=True
    )
    environment = root / "venv"
    venv.create(environment, system_site_packages=True, with_pip=False, symlinks=True)
    (wheel,) = root.glob("*.whl")
    python = environment / "bin/python"
    subprocess.run([*pip, "--python", python, "install", *offline, wheel], check=True)
    return environment


def origins(environment: Path, prelude: str = "", **variables: str) -> list[Path]:
    """Return the files that a new Python of the environment would import, in a clean shell."""
    program = f"{prelude}\nfrom importlib.util import find_spec\n"
    program += f"for name in {PACKAGES}: print(find_spec(name).origin)"
    result = subprocess.run(
        [environment / "bin/python", "-c", program],
        env={"PATH": os.defpath, "PYTHONNOUSERSITE": "", **variables},
        cwd=environment,
        text=True,
        capture_output=True,
        check=True,
    )
    assert result.stderr == ""
    return [Path(line) for line in result.stdout.splitlines()]


def site_packages(prefix: Path) -> Path:
    return prefix / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def make_real_packages(folder: Path) -> list[Path]:
    files = [folder / name / "__init__.py" for name in PACKAGES]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    return files


def test_without_others_the_stand_ins_are_found(environment: Path) -> None:
    packages = site_packages(environment) / "lircdepth_pip_ros/packages"
    assert origins(environment) == [packages / name / "__init__.py" for name in PACKAGES]


def test_real_packages_on_pythonpath_win(environment: Path, tmp_path: Path) -> None:
    real = make_real_packages(tmp_path)
    assert origins(environment, PYTHONPATH=str(tmp_path)) == real


def test_real_packages_in_the_same_site_packages_win(environment: Path, tmp_path: Path) -> None:
    later = shutil.copytree(environment, tmp_path / "venv", symlinks=True)
    real = make_real_packages(site_packages(later))
    assert origins(later) == real


def test_real_packages_of_the_system_win(environment: Path, tmp_path: Path) -> None:
    """The user's site-packages come after the environment's, as the system's do."""
    real = make_real_packages(site_packages(tmp_path))
    assert origins(environment, PYTHONUSERBASE=str(tmp_path)) == real


def test_real_packages_added_while_python_runs_win(environment: Path, tmp_path: Path) -> None:
    real = make_real_packages(tmp_path)
    assert origins(environment, prelude=f"import sys; sys.path.append({str(tmp_path)!r})") == real


def test_one_real_package_does_not_hide_the_other_stand_ins(
    environment: Path, tmp_path: Path
) -> None:
    real, *_ = make_real_packages(tmp_path)
    for name in PACKAGES[1:]:
        shutil.rmtree(tmp_path / name)
    found = origins(environment, PYTHONPATH=str(tmp_path))
    assert found[0] == real
    assert all("lircdepth_pip_ros" in file.parts for file in found[1:])
