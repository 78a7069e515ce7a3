"""Package metadata. It lives here, not in pyproject.toml, because colcon reads it from here."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "lircdepth"
# colcon build --symlink-install runs this file from its build folder.
README = Path(__file__).resolve().parent / "README.md"


def share(*folders: str) -> list[tuple[str, list[str]]]:
    """Every file below the folders, to be installed at the same place in share/lircdepth."""
    files = sorted(path for folder in folders for path in Path(folder).rglob("*") if path.is_file())
    targets: dict[str, list[str]] = {}
    for path in files:
        targets.setdefault(f"share/{PACKAGE}/{path.parent}", []).append(str(path))
    return sorted(targets.items())


BAG = [
    "rosbags>=0.11.9,<0.12",  # reads and writes ROS 1 and ROS 2 bags without ROS
    "ruamel.yaml.clib",  # with it, rosbags reads a bag's metadata in a fifth of the time
    "nuscenes-devkit>=1.2,<1.3",  # the official nuScenes reader
]
TRAIN = [
    "nuscenes-devkit>=1.2,<1.3",  # the official nuScenes reader
    "threadpoolctl>=3",  # one BLAS thread in each of many workers
    "scipy",  # triangulation and rotations
    "scikit-learn",  # isotonic regression, for calibration
    "webdataset>=1,<2",  # shards as tar files, from disk or a URL
    "torchmetrics>=1.4,<2",  # error measures with the usual definitions
    "matplotlib",  # curves of an evaluation
    "jinja2",  # the page of an evaluation
    "tqdm",  # progress
    "tensorboard",  # curves of a training run
]
DRIVE = [
    "embreex",  # ray casting for lidar, radar and visibility
    "moderngl",  # renders images, on a graphics card or Mesa's software
    "shapely>=2",  # street plans
    "mapbox-earcut",  # areas of street plans as triangles
    "threadpoolctl>=3",  # one BLAS thread in each of many workers
]
EXPORT = [
    "onnx>=1.17",  # the file format
    "onnxscript>=0.5",  # torch's exporter writes it with this
]
ONNXRUNTIME = ["onnxruntime>=1.20", *EXPORT]  # runs networks on processors of any make
OPENVINO = ["openvino>=2024.6", *EXPORT]  # the fastest on Intel's processors
TEST = [
    "pytest>=8,<9",  # pytest 9 breaks Jazzy's own launch_testing plugin
    "hypothesis>=6",  # property tests of the parsers
    *BAG,
    *DRIVE,
    *TRAIN,
    *ONNXRUNTIME,
    *OPENVINO,
]

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Dense metric depth and its uncertainty from one camera and automotive radar",
    long_description=README.read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="Lircdepth developers",
    maintainer="Lircdepth developers",
    maintainer_email="lircdepth@users.noreply.github.com",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["lircdepth_core*", "lircdepth_ros*"]),
    package_data={"lircdepth_core": ["evaluation/*.j2"], "lircdepth_ros": ["*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *share("launch", "config", "models", "env_hooks"),
    ],
    install_requires=[
        "setuptools",
        "numpy",  # arrays
        "torch>=2.6",  # the networks; before, weights_only could be tricked
        "safetensors>=0.4",  # weights that are data, never code
        "pyyaml",  # model.yaml and parameters
        "opencv-python-headless",  # resizing, image decoding, undistortion
    ],
    extras_require={
        "test": TEST,
        "bag": BAG,
        "train": TRAIN,
        "ray": ["ray>=2"],  # preparation on a cluster
        "drive": DRIVE,
        "bench": ["matplotlib"],  # the plot
        "export": ONNXRUNTIME,  # what is exported is compared with torch
        "quantise": [*TRAIN, *ONNXRUNTIME],  # samples, and what makes integers of the network
        "onnxruntime": ONNXRUNTIME,
        # in the same folder as onnxruntime, so never both
        "onnxruntime-gpu": ["onnxruntime-gpu>=1.20", *EXPORT],
        "openvino": OPENVINO,
        "dev": [
            *TEST,
            "pytest-rerunfailures",  # what fails by the clock of a busy machine is tried once more
            "pytest-xdist",  # tests side by side
            "ruff",  # lint and format
            "mypy",  # type checks of the public API
            "import-linter",  # imports point one way
            "types-PyYAML",
        ],
    },
    entry_points={
        "console_scripts": [
            "lircdepth = lircdepth_core.cli:main",
            "lircdepth_node = lircdepth_ros.main:main",
            "lircdepth_replay = lircdepth_ros.replay:main",
        ]
    },
    zip_safe=True,
)
