"""What TF may raise, from a stand-in for tf2_ros: at the poses, and over DDS at the node."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from node_rig import SECOND, START, cloud_message, image_message, stamp, wait_until

from lircdepth_ros.tf_poses import TfPoses
from lircdepth_ros.transforms import PoseMayComeError, PoseUnavailableError

pytestmark = pytest.mark.timed

TOPIC = "/depth/input/radar"
UNCOMPENSATED = "answered without: ego motion not compensated"
NO_TRANSFORM = f"answered without: no transform for {TOPIC}"
STILL, MOVED = 2.0, 3.0
"""Metres from camera to radar along its optical axis, by the extrinsics and with ego motion."""


class TransformException(Exception):  # noqa: N818 the names are tf2's
    """As in tf2_py, the base of all others."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Two frames are in different trees."""


class ExtrapolationException(TransformException):
    """A stamp lies outside of what is kept."""


class InvalidArgumentException(TransformException):
    """A frame's name or a quaternion is malformed."""


class TimeoutException(TransformException):
    """It did not come in time."""


FUTURE = ExtrapolationException(
    "Lookup would require extrapolation into the future. Requested time 2.0 but the latest data "
    "is at time 1.0, when looking up transform from frame [base_link] to frame [map]"
)
PAST = ExtrapolationException(
    "Lookup would require extrapolation into the past. Requested time 1.0 but the earliest data "
    "is at time 2.0, when looking up transform from frame [base_link] to frame [map]"
)
LASTING = [
    LookupException('"CAM_FRONT" passed to lookupTransform argument target_frame does not exist.'),
    ConnectivityException("Could not find a connection: they are not part of the same tree."),
    InvalidArgumentException("Invalid argument passed to lookupTransform argument source_frame"),
    TimeoutException("the transform was not available in time"),
    TransformException("something else"),
    PAST,
]
NAMES = [type(error).__name__ for error in LASTING]


class Buffer:
    """A tf2_ros.Buffer that knows the extrinsics and the motion, or raises what it is told to."""

    made: Buffer

    def __init__(self):
        Buffer.made = self
        self.fixed_frames = {"map"}
        self.motion_error = self.static_error = None
        self.asked = self.cleared = 0
        self.jump_handle = SimpleNamespace(unregister=lambda: None)

    def can_transform(self, target, source, at):
        return source in self.fixed_frames

    def lookup_transform_full(self, target, target_time, source, source_time, fixed_frame):
        self.asked += 1
        if self.motion_error is not None:
            raise self.motion_error
        return radar_ahead(MOVED)

    def lookup_transform(self, target, source, at):
        if self.static_error is not None:
            raise self.static_error
        return radar_ahead(STILL)

    def clear(self):
        self.cleared += 1


class TransformListener:
    """A tf2_ros.TransformListener that subscribes to nothing."""

    def __init__(self, buffer, node, *, spin_thread):
        pass

    def callback(self, data):
        pass

    def unregister(self):
        pass


def radar_ahead(distance):
    message = TransformStamped()
    message.transform.translation.z = distance
    rotation = message.transform.rotation  # x forward becomes z, y left becomes -x
    rotation.x, rotation.y, rotation.z, rotation.w = 0.5, -0.5, 0.5, 0.5
    return message


@pytest.fixture(autouse=True)
def tf2(monkeypatch):
    """The stand-in, in place of a real tf2_ros too."""
    module = ModuleType("tf2_ros")
    module.__spec__ = ModuleSpec("tf2_ros", None)
    for member in (Buffer, TransformListener, TransformException, LookupException,
                   ConnectivityException, ExtrapolationException, InvalidArgumentException,
                   TimeoutException):  # fmt: skip
        setattr(module, member.__name__, member)
    monkeypatch.setitem(sys.modules, "tf2_ros", module)


@pytest.fixture
def now(monkeypatch):
    """The monotonic clock, seconds."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.seconds)
    return clock


def ask(poses, final=False):
    return poses.radar_pose("CAM_FRONT", START, "RADAR_FRONT", START, final=final)


def hear(poses):
    """As the subscription to /tf does."""
    poses._listener.callback(SimpleNamespace(transforms=[]))


def hear_of(poses, *stamps):
    """Transforms of one frame, nanoseconds."""
    for at in stamps:
        transform = TransformStamped(child_frame_id="base_link")
        transform.header.stamp = stamp(at)
        poses._listener.callback(SimpleNamespace(transforms=[transform]))


def distance(pose):
    return pose.camera_from_radar[2, 3]


@pytest.mark.parametrize("error", LASTING, ids=NAMES)
def test_what_tf_raises_is_waited_for_in_the_first_second_only(now, error):
    poses = TfPoses(None)
    Buffer.made.motion_error = error
    with pytest.raises(PoseMayComeError) as raised:
        ask(poses)
    assert str(error) in str(raised.value)
    pose = ask(poses, final=True)
    assert (distance(pose), pose.uncompensated) == (STILL, f"TF: {error}")
    now.seconds += 1.1
    hear(poses)
    pose = ask(poses)
    assert (distance(pose), pose.uncompensated) == (STILL, f"TF: {error}")
    Buffer.made.motion_error = None
    pose = ask(poses)
    assert (distance(pose), pose.uncompensated) == (MOVED, None)


def test_a_stamp_after_the_last_transform_is_waited_for_while_tf_comes(now):
    poses = TfPoses(None)
    Buffer.made.motion_error = FUTURE
    for _ in range(3):
        with pytest.raises(PoseMayComeError):
            ask(poses)
        now.seconds += 0.9
        hear(poses)
    now.seconds += 1.1
    pose = ask(poses)
    assert (distance(pose), pose.uncompensated) == (STILL, f"TF: {FUTURE}")


def test_stamps_of_a_frame_that_jump_back_are_told_and_tf_is_waited_for_anew(now):
    told = []
    poses = TfPoses(None, on_jump=lambda *jump: told.append(jump))
    Buffer.made.motion_error = LASTING[0]
    with pytest.raises(PoseMayComeError):
        ask(poses)
    now.seconds += 5.0
    hear_of(poses, START, START + SECOND)
    assert ask(poses).uncompensated == f"TF: {LASTING[0]}"
    hear_of(poses, START - 2 * SECOND)
    assert told == [("base_link", False)]
    assert Buffer.made.cleared == 1
    with pytest.raises(PoseMayComeError):
        ask(poses)


def test_two_publishers_of_one_frame_keep_no_image_waiting(now):
    told = []
    poses = TfPoses(None, on_jump=lambda *jump: told.append(jump))
    Buffer.made.motion_error = PAST
    waited = 0
    for _ in range(30):
        now.seconds += 0.1
        hear_of(poses, START, START - 10 * SECOND)
        try:
            ask(poses)
        except PoseMayComeError:
            waited += 1
    assert told == [("base_link", False)] + 29 * [("base_link", True)]
    assert Buffer.made.cleared == 1, "what other frames have is kept"
    assert waited <= 11, "in the first second only"


@pytest.mark.parametrize("leap", [2, 1000], ids=["a slow frame", "a first stamp of zero"])
def test_a_bag_that_loops_after_a_leap_of_tf_is_a_new_time(now, leap):
    told = []
    poses = TfPoses(None, on_jump=lambda *jump: told.append(jump))
    for heard in (START - leap * SECOND, START, START + SECOND // 2):
        now.seconds += 0.5
        hear_of(poses, heard)
    now.seconds += 10
    hear_of(poses, START - leap * SECOND - 5 * SECOND)
    assert told == [("base_link", False)]
    assert Buffer.made.cleared == 1


@pytest.mark.parametrize("error", [*LASTING, FUTURE], ids=[*NAMES, "future"])
def test_without_extrinsics_there_is_no_pose_whatever_tf_raises(now, error):
    poses = TfPoses(None)
    Buffer.made.motion_error = LASTING[0]
    Buffer.made.static_error = error
    with pytest.raises(PoseMayComeError):
        ask(poses)
    with pytest.raises(PoseUnavailableError) as raised:
        ask(poses, final=True)
    assert not isinstance(raised.value, PoseMayComeError)
    assert str(error) in str(raised.value)


def send(rig, at):
    # Where the stamps are equal, nothing is missing without ego motion.
    rig.radar(cloud_message(at + 1, [[20.0, 0.0, 0.0, 5.0, -1.0, 0.0]]))
    rig.images.publish(image_message(at))


def distance_seen(rig, predictor, at):
    """How far ahead of the camera the radar is, as an image is answered; None without radar."""
    send(rig, at)
    rig.answer_to(at)
    radar = predictor.calls[-1].radar
    return None if radar is None else radar.position[0, 2] - 20.0


def expect(rig, key, count):
    wait_until(lambda: rig.diagnostics.get(key) == str(count), what=f"{key}: {count}")


@pytest.mark.parametrize("error", [*LASTING, FUTURE], ids=[*NAMES, "future"])
def test_the_node_answers_without_ego_motion_and_says_what_tf_raised(make_rig, predictor, error):
    rig = make_rig(calibration_file="", radar_wait=0.3)
    Buffer.made.motion_error = error
    for number in range(2):
        seen = distance_seen(rig, predictor, START + number * SECOND)
        assert seen == pytest.approx(STILL)
    expect(rig, UNCOMPENSATED, 2)
    assert str(error) in rig.message
    assert rig.level == DiagnosticStatus.WARN
    Buffer.made.motion_error = None
    assert distance_seen(rig, predictor, START + 3 * SECOND) == pytest.approx(MOVED)
    expect(rig, UNCOMPENSATED, 2)
    assert rig.counts() == {"received": 3, "answered": 3}


@pytest.mark.parametrize("error", LASTING[:2], ids=NAMES[:2])
def test_the_node_answers_from_the_camera_alone_where_tf_knows_no_extrinsics(
    make_rig, predictor, error
):
    rig = make_rig(calibration_file="", radar_wait=0.3)
    Buffer.made.motion_error = Buffer.made.static_error = error
    assert distance_seen(rig, predictor, START) is None
    expect(rig, NO_TRANSFORM, 1)
    assert str(error) in rig.message
    Buffer.made.motion_error = Buffer.made.static_error = None
    assert distance_seen(rig, predictor, START + SECOND) == pytest.approx(MOVED)
    expect(rig, NO_TRANSFORM, 1)


@pytest.mark.parametrize("error", [FUTURE, LASTING[0]], ids=["late", "not yet known"])
def test_the_node_waits_for_tf_that_is_late(make_rig, predictor, error):
    rig = make_rig(calibration_file="", radar_wait=8.0, radar_silence=8.0)
    buffer = Buffer.made
    buffer.motion_error = error
    send(rig, START)
    wait_until(lambda: buffer.asked > 3, what="the node to ask again")
    assert not rig.depths
    buffer.motion_error = None
    rig.answer_to(START, timeout=5.0)
    assert predictor.calls[-1].radar.position[0, 2] == pytest.approx(20.0 + MOVED)
    assert UNCOMPENSATED not in rig.diagnostics


def test_the_node_does_without_ego_motion_until_tf_knows_a_fixed_frame(make_rig, predictor):
    rig = make_rig(calibration_file="", radar_wait=0.3)
    Buffer.made.fixed_frames = set()
    assert distance_seen(rig, predictor, START) == pytest.approx(STILL)
    wait_until(lambda: "TF knows none of odom, map" in rig.message, what="the reason")
    Buffer.made.fixed_frames = {"odom"}
    assert distance_seen(rig, predictor, START + SECOND) == pytest.approx(MOVED)


def test_an_error_that_is_not_of_tf_drops_the_image_and_the_next_is_answered(make_rig, predictor):
    rig = make_rig(calibration_file="", radar_wait=0.3)
    Buffer.made.motion_error = RuntimeError("the buffer broke")
    send(rig, START)
    wait_until(lambda: rig.counts().get("dropped: synchronising failed") == 1)
    wait_until(lambda: "the buffer broke" in (rig.message or ""), what="the reason")
    Buffer.made.motion_error = None
    assert distance_seen(rig, predictor, START + SECOND) == pytest.approx(MOVED)
