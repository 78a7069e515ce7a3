"""The launch file under launch_testing: the node starts, is ready, and ends cleanly."""

from __future__ import annotations

import os
import unittest
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.timed

if find_spec("launch_testing") is None or find_spec("launch_ros") is None:
    # launch_testing's plugin imports this file while it collects: it must not skip itself.
    @pytest.mark.skip(reason="launch_testing and launch_ros come with ROS 2, there is no wheel")
    def test_the_launch_file_under_launch_testing() -> None:
        pass

else:
    # The environment is the node's too; `launch_test` reads no conftest.
    os.environ.setdefault("LIRCDEPTH_BACKEND", "torch")

    import launch_testing
    import launch_testing.actions
    from ament_index_python.packages import get_package_share_directory
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    import launch

    @pytest.mark.launch_test
    def generate_test_description() -> launch.LaunchDescription:
        """The shipped launch file without arguments."""
        share = Path(get_package_share_directory("lircdepth"))
        included = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(share / "launch" / "depth.launch.py"))
        )
        return launch.LaunchDescription([included, launch_testing.actions.ReadyToTest()])

    class TestRunning(unittest.TestCase):
        """While it runs."""

        def test_it_answers_images_of_the_nuscenes_topics(self, proc_output) -> None:
            proc_output.assertWaitFor(
                "answering images of /CAM_FRONT/image_rect_compressed", timeout=120
            )

    @launch_testing.post_shutdown_test()
    class TestEnded(unittest.TestCase):
        """After it was shut down."""

        def test_the_node_ended_cleanly(self, proc_info) -> None:
            launch_testing.asserts.assertExitCodes(proc_info)
