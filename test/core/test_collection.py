"""The tests can be collected, and those that can be run, wherever README installs the package."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NOT_BROUGHT_ALONG = (
    *("webdataset", "torchmetrics", "tensorboard", "moderngl", "embreex", "mapbox_earcut"),
    *("onnx", "onnxscript", "onnxruntime", "openvino"),
)
"""Of what the extras name, by README's steps with ROS."""

COLLECT = """
import sys
import pytest

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"]))
"""


def test_without_the_extras_of_training_and_export_no_test_file_fails():
    command = [sys.executable, "-c", COLLECT, " ".join(NOT_BROUGHT_ALONG)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "test/ros/test_depth_node.py" in done.stdout
    assert "test/core/test_camera.py" in done.stdout
