"""Stand-ins for three ROS 2 packages that have no wheel; see README.md."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NAME = "lircdepth_pip_ros"


class BuildWithPathFile(build_py):
    """Adds the .pth file, which setuptools has no word for, beside the package."""

    def run(self) -> None:
        """Copy the packages, then the .pth file."""
        super().run()
        self.copy_file(f"{NAME}.pth", str(Path(self.build_lib) / f"{NAME}.pth"))


setup(
    name="lircdepth-pip-ros",
    version="0.1.0",
    description="Stand-ins for message_filters, sensor_msgs_py and cv_bridge (ROS 2 Jazzy)",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="Lircdepth developers",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        NAME,
        f"{NAME}.packages.cv_bridge",
        f"{NAME}.packages.message_filters",
        f"{NAME}.packages.sensor_msgs_py",
    ],
    install_requires=["numpy", "opencv-python-headless"],
    cmdclass={"build_py": BuildWithPathFile},
    zip_safe=False,
)
