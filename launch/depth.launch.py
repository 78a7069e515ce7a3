"""Start the depth node; on request also a bag's replay and RViz.

`ros2 launch lircdepth depth.launch.py --show-args` lists the arguments.
"""

from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription

PACKAGE = "lircdepth"
SHARE = Path(get_package_share_directory(PACKAGE))
SHOWN = ("depth_color", "uncertainty_color")
RESPAWN_DELAY = 2.0
"""Seconds, in which DDS and a device let go of what ended."""
LOADING_TIMEOUT = 600
"""Seconds for which replay waits for the node, which may build an engine, or be started by hand."""
AS_FILE = "Empty: as in params_file."


class Argument(NamedTuple):
    """A launch argument, and the node's parameter or topic that it sets where it is not empty."""

    name: str
    default: str
    description: str
    parameter: type | None = None
    topic: str = ""


ARGUMENTS = (
    Argument(
        "image",
        "/CAM_FRONT/image_rect_compressed",
        "Topic of the rectified image, Image or CompressedImage.",
        topic="~/input/image",
    ),
    Argument(
        "camera_info",
        "/CAM_FRONT/camera_info",
        "Topic of the image's CameraInfo.",
        topic="~/input/camera_info",
    ),
    Argument(
        "radar",
        "/RADAR_FRONT",
        "PointCloud2 topics of the radars, separated by commas or spaces; none: camera alone. "
        "None or several set the parameter radar_topics.",
    ),
    Argument(
        "odometry",
        "/odom",
        "Topic of the Odometry that gives ego motion where TF is not used.",
        topic="~/input/odometry",
    ),
    Argument("model", "", f"Model folder or the name of an installed model. {AS_FILE}", str),
    Argument("device", "", f"auto, cpu, cuda or cuda:N. {AS_FILE}", str),
    Argument("backend", "", f"What runs the network. {AS_FILE}", str),
    Argument("autostart", "", f"true: configure and activate at start. {AS_FILE}", bool),
    Argument("use_sim_time", "", f"true: take the time from /clock. {AS_FILE}", bool),
    Argument("params_file", str(SHARE / "config" / "depth.yaml"), "YAML file of parameters."),
    Argument("namespace", "", "Namespace of the node."),
    Argument(
        "respawn",
        "false",
        "true: start the node again when it ends, as it does with the parameter exit_when_hung.",
    ),
    Argument("log_level", "info", "debug, info, warn, error or fatal."),
    Argument(
        "bag", "", "Bag to replay once the node listens to its image topic; sets use_sim_time."
    ),
    Argument("rviz", "false", "true: show inputs and outputs in RViz."),
    Argument(
        "fastdds_profile",
        str(SHARE / "config" / "fastdds.xml"),
        "Fast DDS profile with room for images, for the processes started here; none: without. The "
        "environment's own profile wins.",
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The arguments of the table and what they start."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    argument.name,
                    default_value=argument.default,
                    description=argument.description,
                    choices=choices_of(argument),
                )
                for argument in ARGUMENTS
            ),
            OpaqueFunction(function=processes),
        ]
    )


def choices_of(argument: Argument) -> list[str] | None:
    """What may be given; None for anything."""
    if argument.name in ("respawn", "rviz"):
        return ["true", "false"]
    # Else launch says what cannot be converted, but not of which argument.
    return ["", "true", "false", "True", "False"] if argument.parameter is bool else None


def processes(context: LaunchContext) -> list[Node]:
    """The node and, where asked for, replay and RViz."""
    given = {argument.name: context.launch_configurations[argument.name] for argument in ARGUMENTS}
    environment = fastdds_environment(given["fastdds_profile"], context.environment)
    started: list[Node] = []
    if given["rviz"] == "true":
        # First: where RViz is missing, launch stops here and leaves no node behind.
        simulated = bool(given["bag"]) or given["use_sim_time"].lower() == "true"
        started.append(
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=given["namespace"],  # that of the node, also below a parent's
                arguments=["-d", str(SHARE / "config" / "depth.rviz")],
                # RViz knows a compressed image by its topic ending in /compressed.
                remappings=[
                    *((f"/depth/debug/{name}", f"depth/debug/{name}") for name in SHOWN),
                    ("/CAM_FRONT/image_rect/compressed", given["image"]),
                    *(("/RADAR_FRONT", topic) for topic in radar_topics(given)[:1]),
                ],
                parameters=[{"use_sim_time": True}] if simulated else [],
                additional_env=environment,
            )
        )
    started.append(
        LifecycleNode(
            package=PACKAGE,
            executable="lircdepth_node",
            name="depth",
            namespace=given["namespace"],
            parameters=[existing("params_file", given["params_file"]), node_parameters(given)],
            remappings=node_remappings(given),
            ros_arguments=["--log-level", given["log_level"]],
            additional_env=environment,
            respawn=given["respawn"] == "true",
            respawn_delay=RESPAWN_DELAY,
            output="screen",
        )
    )
    if given["bag"]:
        started.append(
            Node(
                package=PACKAGE,
                executable="lircdepth_replay",
                arguments=[
                    *(existing("bag", given["bag"]), "--clock"),
                    # It subscribes to these last; of radars a params_file may name others.
                    *("--wait", given["image"], given["camera_info"]),
                    *("--wait-timeout", str(LOADING_TIMEOUT)),
                ],
                additional_env=environment,
                output="screen",
            )
        )
    return started


def node_parameters(given: dict[str, str]) -> dict[str, ParameterValue | list[str] | str | bool]:
    """What the arguments set over the parameters file."""
    parameters: dict[str, ParameterValue | list[str] | str | bool] = {
        argument.name: ParameterValue(
            LaunchConfiguration(argument.name), value_type=argument.parameter
        )
        for argument in ARGUMENTS
        if argument.parameter and given[argument.name]
    }
    if given["bag"]:
        parameters["use_sim_time"] = True
    radars = radar_topics(given)
    if len(radars) != 1:
        parameters["radar_topics"] = radars or [""]
    bag = Path(given["bag"])
    calibration = (bag if bag.is_dir() else bag.parent) / "calibration.yaml"
    # Without a Python type for tf2_msgs, replay has to leave TF out.
    if given["bag"] and find_spec("tf2_msgs") is None and calibration.is_file():
        parameters["calibration_file"] = str(calibration)
    return parameters


def node_remappings(given: dict[str, str]) -> list[tuple[str, str]]:
    """From the node's private input topics to those that the arguments name."""
    topics = {argument.topic: given[argument.name] for argument in ARGUMENTS if argument.topic}
    radars = radar_topics(given)
    if len(radars) == 1:
        topics["~/input/radar"] = radars[0]
    return [(private, topic) for private, topic in topics.items() if topic]


def radar_topics(given: dict[str, str]) -> list[str]:
    """The radar argument, split."""
    return [] if given["radar"] == "none" else given["radar"].replace(",", " ").split()


def fastdds_environment(profile: str, environment: dict[str, str]) -> dict[str, str]:
    """The variable by which Jazzy's Fast DDS finds the profile.

    None if another RMW, a profile of the user's own or other transports are set, or the machine's
    shared memory (a container's is often 64 MB) has no room for several segments: Fast DDS would do
    without any. What later distributions call FASTDDS_DEFAULT_PROFILES_FILE, Jazzy's does not read.
    """
    variable = "FASTRTPS_DEFAULT_PROFILES_FILE"
    fast_dds = environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")
    chosen = variable in environment or "FASTDDS_BUILTIN_TRANSPORTS" in environment
    if profile == "none" or chosen or not fast_dds or disk_usage("/dev/shm").free < 2**28:
        return {}
    return {variable: existing("fastdds_profile", profile)}


def existing(argument: str, path: str) -> str:
    """The path, if it exists; launch itself goes on without a missing parameters file."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{argument}:={path}: no such file; give a path that exists")
    return path
