"""Build this package with colcon as a user would, test it, and fail unless tests were counted.

colcon runs no tests and reports success where pytest is missing from the package's extras; that is
why the count is checked here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK_TESTS = ["test/core/test_camera.py", "test/core/test_radar.py", "test/ros/test_depth_node.py"]
IGNORED = (".git", "out", "build", "install", "log", "*.egg-info", "__pycache__")


def ignored(folder: str, names: list[str]) -> set[str]:
    """What of a folder is no source: results, and virtual environments of any name."""
    environments = {name for name in names if (Path(folder) / name / "pyvenv.cfg").exists()}
    return shutil.ignore_patterns(*IGNORED)(folder, names) | environments


def main() -> None:
    """Build, test and count in a temporary workspace."""
    environment = {**os.environ, "COLCON_DEFAULTS_FILE": os.devnull}
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        source = workspace / "src" / "lircdepth"
        shutil.copytree(ROOT, source, ignore=ignored)

        def colcon(*arguments: str) -> None:
            command = [sys.executable, "-m", "colcon", *arguments]
            subprocess.run(command, cwd=workspace, env=environment, check=True)

        colcon("build")
        script = (
            "set -e; . install/setup.sh; lircdepth --help > /dev/null; "
            'test "$(command -v lircdepth)" = "$PWD/install/lircdepth/lib/lircdepth/lircdepth"'
        )
        subprocess.run(["sh", "-c", script], cwd=workspace, env=environment, check=True)
        # As the Makefile does with tests of nodes that answer in time.
        arguments = ("--reruns", "1", *QUICK_TESTS)
        colcon("test", "--return-code-on-test-failure", "--pytest-args", *arguments)
        counted = sum(
            int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
            for report in (workspace / "build").rglob("pytest.xml")
            for suite in ElementTree.parse(report).getroot().iter("testsuite")
        )
    if counted == 0:
        sys.exit("colcon test ran no test: is pytest in the extra named `test` of setup.py?")
    print(f"colcon: {counted} passed, 0 failed")


if __name__ == "__main__":
    main()
