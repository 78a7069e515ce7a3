"""The one thread that turns images and their radar into depth."""

from __future__ import annotations

import threading
import time
from array import array
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lircdepth_core.errors import InputError
from lircdepth_core.radar import RadarReturns
from lircdepth_ros.calibration_poses import CalibrationPoses
from lircdepth_ros.conversions import (
    MAX_BYTES_PER_RETURN,
    CameraModel,
    FloatImage,
    RadarFields,
    SensorReturns,
    camera_from_message,
    radar_from_message,
    rectified_image,
)
from lircdepth_ros.sensors import RadarSweeps, Sweep, radar_is_complete
from lircdepth_ros.stamps import JUMP_BACK_NANOSECONDS, jumped_back, stamp_nanoseconds
from lircdepth_ros.transforms import (
    PoseMayComeError,
    PoseSource,
    PoseUnavailableError,
    RadarPose,
)
from lircdepth_ros.waiting_images import Taken, WaitingImage, WaitingImages

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from nav_msgs.msg import Odometry
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

    from lircdepth_core.camera import Camera
    from lircdepth_core.inference import CpuFallback, Prediction, Predictor
    from lircdepth_ros.health import Health

_POSE_POLL_SECONDS = 0.01
"""TF tells nobody when it has heard more, so it is asked this often."""

_UNSEEN_SECONDS = 3.0
"""That radar without a return in the image may last: an empty road has none for a moment."""

_STOP_SECONDS = 6.0
"""The image in work is waited for this long: launch kills ten seconds after SIGINT."""


@dataclass(frozen=True)
class Answer:
    """A prediction, the image it is for, and the images that it was written into.

    The next image is written into the same: it holds only while it is published.
    """

    image: Image | CompressedImage
    frame: str
    prediction: Prediction
    depth: FloatImage
    sigma: FloatImage


@dataclass(frozen=True)
class _Inputs:
    """What belongs to an image, and what is to be told of it; or what failed."""

    info: CameraInfo
    frame: str
    sweeps: list[tuple[Sweep, RadarPose]] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None


class Work(NamedTuple):
    """What is being done to an image.

    Attributes:
        stage: preparing, inference or publishing.
        seconds: since it was begun.
        may_build: no image of its size at the network was answered of late, so a back end may
            still build what it needs for one.
    """

    stage: str
    seconds: float
    may_build: bool


class DepthWorker:
    """Takes messages from callbacks, which only store them, and answers images in its thread.

    Every image given to it ends as one call of `publish` or one `health.image_dropped`.

    Args:
        predictor: the network.
        poses: where radars are.
        radar_topics: resolved names of the radars' topics.
        parameters: returns the current parameter values (see depth_node_parameters.yaml).
        health: counters.
        publish: called in the worker's thread with each answer.
        age_clock: the clock, in nanoseconds, that image age counts by against the stamp; None
            where it counts from reception.
        image_topic: resolved name of the image's topic.
    """

    def __init__(
        self,
        predictor: Predictor | CpuFallback,
        poses: PoseSource,
        radar_topics: list[str],
        parameters: Callable[[], SimpleNamespace],
        health: Health,
        publish: Callable[[Answer], None],
        age_clock: Callable[[], int | None],
        image_topic: str = "",
    ) -> None:
        self._predictor = predictor
        self._poses = poses
        self._parameters = parameters
        self._health = health
        self._publish = publish
        self._age_clock = age_clock
        self._image_topic = image_topic
        self._changed = threading.Condition()
        self._radars = {topic: RadarSweeps(topic) for topic in radar_topics}
        self._info: CameraInfo | None = None
        self._waiting: WaitingImages[_Inputs] = WaitingImages()
        self._poses_may_come = False
        self._conditions: set[str] = set()  # names of those that it told
        self._unseen: list[float] = []  # times of the first, the last but one and the last image
        self._first_image: float | None = None
        self._last_stamp: int | None = None
        self._may_have_jumped = False
        self._stopping = False
        self._stage = ""
        self._work_began: float | None = None
        self._may_build = True
        self._abandoned = False
        self._camera_model: tuple[tuple, CameraModel] | None = None
        self._hidden: tuple[CameraModel, Camera, np.ndarray | None] | None = None
        self._maps: tuple[FloatImage, FloatImage] | None = None
        self._thread = threading.Thread(target=self._run, name="depth worker", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return not self._thread.is_alive()

    @property
    def in_work(self) -> Work | None:
        """What is being done to an image.

        None while there is none, and while one waits for what belongs to it.
        """
        began = self._work_began
        if began is None:
            return None
        return Work(self._stage, time.monotonic() - began, self._may_build)

    def expect_building(self) -> None:
        """The network is about to be loaded anew, amid an image, and builds what it needs."""
        self._may_build = True
        self._work_began = time.monotonic()

    def stop(self) -> None:
        """End after the image in work; those that wait are counted as dropped.

        Work that has not ended within 6 s is left alone: see `has_ended`. Its answer will not be
        published.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        with self._changed:
            self._abandoned = self._thread.is_alive()
        for _ in range(self._waiting.clear()):
            self._health.image_dropped("node stopped")
        for name in self._conditions:
            self._health.condition(name, None)
        self._health.forget("notes", "radar points in the image", "radar age [ms]")

    def on_image(self, message: Image | CompressedImage) -> None:
        """Store an image."""
        self._store(
            WaitingImage(message, stamp_nanoseconds(message.header.stamp), time.monotonic())
        )

    def on_synchronised(
        self, message: Image | CompressedImage, clouds: tuple[tuple[str, PointCloud2], ...]
    ) -> None:
        """Store an image whose sweeps a synchroniser chose, as (topic, cloud)."""
        sweeps = tuple(
            Sweep(topic, stamp_nanoseconds(cloud.header.stamp), cloud) for topic, cloud in clouds
        )
        stamp = stamp_nanoseconds(message.header.stamp)
        self._store(WaitingImage(message, stamp, time.monotonic(), sweeps))

    def on_camera_info(self, message: CameraInfo) -> None:
        """Store the camera's calibration."""
        with self._changed:
            self._info = message
            self._changed.notify_all()

    def on_radar(self, topic: str, cloud: PointCloud2) -> None:
        """Store a sweep."""
        self.limit_cloud(topic, cloud)
        stamp = stamp_nanoseconds(cloud.header.stamp)
        with self._changed:
            # What will be read of it is kept with it.
            size = len(cloud.data) + MAX_BYTES_PER_RETURN * cloud.width * cloud.height
            if self._radars[topic].add(stamp, cloud, time.monotonic(), size):
                self._health.event(f"{topic}: stamps jumped back")
            self._changed.notify_all()

    def limit_cloud(self, topic: str, cloud: PointCloud2) -> None:
        """Count a cloud beyond the limits as dropped: of it only the stamp is kept.

        Its size in points then is 0, as that of a radar that saw nothing.
        """
        points, size = cloud.width * cloud.height, len(cloud.data)
        values = self._parameters()
        for limit, detail, found in (
            ("max_cloud_points", f"{points} points in a cloud", points),
            ("max_cloud_bytes", f"{size} bytes in a cloud", size),
        ):
            if found > getattr(values, limit):
                self._health.message_dropped(topic, f"more than {limit}", detail)
                cloud.data, cloud.width, cloud.height = array("B"), 0, 0
                return

    def on_odometry(self, message: Odometry) -> None:
        """Store the vehicle's pose, where a calibration file is used instead of TF."""
        assert isinstance(self._poses, CalibrationPoses)
        try:
            jumped = self._poses.add_odometry(message)
        except InputError as error:
            self._health.message_dropped("odometry", "unusable", str(error))
            return
        if jumped:
            self._health.event("odometry: stamps jumped back")
        with self._changed:
            self._changed.notify_all()

    def _store(self, job: WaitingImage) -> None:
        self._health.image_received()
        with self._changed:
            newest = self._waiting.newest
            if newest is not None and 0 < newest.stamp - job.stamp <= JUMP_BACK_NANOSECONDS:
                self._health.image_dropped("came after a newer one")
                return
            self._look_for_a_jump(job.stamp)
            if self._first_image is None:
                self._first_image = job.received
            # While one is in the network, those that nobody will wait for any more are not kept.
            limit = self._parameters().radar_wait
            self._replaced(self._waiting.drop_before_overdue(job.received, limit))
            self._replaced(self._waiting.add(job))
            self._changed.notify_all()

    def _look_for_a_jump(self, stamp: int) -> None:
        """Forget what is of another time, once a second image tells of it: one may be wrong."""
        last, jumped = self._last_stamp, self._may_have_jumped
        self._may_have_jumped = not jumped and jumped_back(stamp, last)
        if self._may_have_jumped:
            return
        self._last_stamp = stamp
        if jumped and last is not None and stamp < last:
            self._health.event("images: stamps jumped back")
            self._poses.forget_after(stamp)
            for radar in self._radars.values():
                radar.forget_after(stamp)

    def _run(self) -> None:
        while (taken := self._next_or_none()) is not None:
            try:
                self._answer(taken.image, taken.inputs, self._parameters())
            except Exception as error:  # noqa: BLE001 whatever fails, the next image is tried
                detail = _told(error)
                self._health.image_dropped(f"{self._stage} failed", detail)
            finally:
                self._work_began = None

    def _answer(self, job: WaitingImage, inputs: _Inputs, values: SimpleNamespace) -> None:
        self._stage = "synchronising"
        if inputs.error is not None:
            raise inputs.error
        started = time.monotonic()
        if self._is_too_old(job, started, values.max_image_age):
            self._health.image_dropped("older than max_image_age")
            return
        self._stage = "preparing"
        self._work_began = started
        try:
            model = self._model_of(inputs.info, values)
            self._predictor.output_camera(model.camera)  # raises if the network cannot see so
        except InputError as error:
            self._health.image_dropped("unusable camera_info", str(error))
            return
        try:
            image = rectified_image(job.message, model, values.max_image_bytes)
        except InputError as error:
            self._health.image_dropped("unusable image", str(error))
            return
        radar = self._radar_of(inputs, _radar_fields(values))
        prepared = time.monotonic()
        self._stage = "inference"
        self._may_build = not self._predictor.is_ready_for(model.camera)
        depth, sigma = self._maps_for(model.camera)
        prediction = self._predictor(image, model.camera, radar, (depth.pixels, sigma.pixels))
        predicted = time.monotonic()
        self._may_build = False
        with self._changed:
            if self._abandoned:
                self._health.image_dropped("node stopped")
                return
        hidden = self._unseen_by(prediction.camera, model)
        if hidden is not None:
            depth.pixels[hidden] = sigma.pixels[hidden] = np.nan
        if self._is_too_old(job, predicted, values.max_image_age):
            self._health.image_dropped("older than max_image_age", "when the network was done")
            return
        self._stage = "publishing"
        self._publish(Answer(job.message, inputs.frame, prediction, depth, sigma))
        published = time.monotonic()
        for notice in inputs.notices:
            self._health.notice(*notice)
        self._health.fact("notes", "; ".join(prediction.notes))
        self._condition("depth may be wrong", "; ".join(prediction.doubts) or None)
        self._health.fact("radar points in the image", prediction.radar_points)
        self._tell_of_unseen_radar(inputs, radar, prediction.radar_points, published)
        self._health.fact(
            "radar age [ms]",
            ", ".join(
                f"{sweep.topic}: {(job.stamp - sweep.stamp) / 1e6:.0f}"
                for sweep, _ in inputs.sweeps
            ),
        )
        stages = prediction.stage_seconds
        self._health.image_answered(
            {
                "wait": started - job.received,
                "prepare": prepared - started + stages["prepare"],
                "infer": stages["infer"],
                "publish": published - predicted + stages["restore"],
                "in all": published - job.received,
            }
        )

    def _next_or_none(self) -> Taken[_Inputs] | None:
        """The same as `_next`; what fails there costs the images that wait, not the thread."""
        while True:
            try:
                return self._next()
            except Exception as error:  # noqa: BLE001 whatever fails, the next image is tried
                detail = _told(error)
                with self._changed:
                    for _ in range(self._waiting.clear()):
                        self._health.image_dropped("synchronising failed", detail)

    def _next(self) -> Taken[_Inputs] | None:
        """Wait for the next image that is to be answered; None when the worker is to stop."""
        idle = False
        with self._changed:
            while not self._stopping:
                now, values = time.monotonic(), self._parameters()
                if self._info is None:
                    self._wait_for_camera_info(now, values.camera_info_wait)
                    continue
                self._replaced(self._waiting.drop_before_overdue(now, values.radar_wait))
                inputs_of = partial(self._inputs_of, self._info, values, now)
                self._poses_may_come = False
                taken, replaced = self._waiting.take(now, values.radar_wait, inputs_of, idle)
                self._replaced(replaced)
                if taken is not None:
                    return taken
                idle = True
                rest = self._waiting.next_overdue(now, values.radar_wait)
                if rest is not None and self._poses_may_come:
                    rest = min(rest, _POSE_POLL_SECONDS)
                self._changed.wait(rest)
        return None

    def _wait_for_camera_info(self, now: float, limit: float) -> None:
        """Until it or another image comes; the newest image alone may wait, and not for ever."""
        newest = self._waiting.newest
        if newest is None:
            self._changed.wait()
            return
        rest = newest.received + limit - now
        for _ in range(len(self._waiting) - (rest > 0)):
            self._waiting.drop_oldest()
            self._health.image_dropped("no camera_info")
        if rest > 0:
            self._changed.wait(rest)

    def _replaced(self, count: int) -> None:
        for _ in range(count):
            self._health.image_dropped("replaced by newer")

    def _inputs_of(
        self,
        info: CameraInfo,
        values: SimpleNamespace,
        now: float,
        image: WaitingImage,
        final: bool,
    ) -> _Inputs | None:
        """What belongs to an image; None if more of it may come and it is not `final`."""
        if not final and not self._radar_is_complete(image, now, values.radar_silence):
            return None
        try:
            return self._choose(image, info, values, final)
        except PoseMayComeError:
            self._poses_may_come = True
            return None
        except Exception as error:  # noqa: BLE001 told when its turn comes
            return _Inputs(info, "", error=error)

    def _radar_is_complete(self, job: WaitingImage, now: float, silence: float) -> bool:
        if job.sweeps is not None:
            return True
        since = job.received if self._first_image is None else self._first_image
        return radar_is_complete(list(self._radars.values()), job.stamp, now, silence, since)

    def _choose(
        self, job: WaitingImage, info: CameraInfo, values: SimpleNamespace, final: bool
    ) -> _Inputs:
        """The image's sweeps and their poses; PoseMayComeError unless `final`."""
        frame = job.message.header.frame_id or info.header.frame_id or values.camera_frame
        chosen: dict[str, list[Sweep]] = {}
        if job.sweeps is not None:
            chosen = {sweep.topic: [sweep] for sweep in job.sweeps}
        else:
            max_age = round(values.max_radar_age * 1e9)
            for topic, radar in self._radars.items():
                chosen[topic] = radar.select(job.stamp, max_age, values.radar_sweeps)
        placed: list[tuple[Sweep, RadarPose]] = []
        failures: list[tuple[str, str]] = []
        for topic, sweeps in chosen.items():
            for sweep in sweeps:
                try:
                    pose = self._pose_of(sweep, job.stamp, frame, final)
                except PoseMayComeError:
                    raise
                except PoseUnavailableError as error:
                    failures.append((topic, str(error)))
                    break
                placed.append((sweep, pose))
                if pose.uncompensated is not None:
                    break  # older sweeps would be misplaced all the more
        notices = [
            (f"no sweep of {topic} within max_radar_age", "")
            for topic, sweeps in chosen.items()
            if not sweeps
        ]
        notices += [(f"no transform for {topic}", reason) for topic, reason in failures]
        notices += [
            ("ego motion not compensated", pose.uncompensated)
            for sweep, pose in placed
            if pose.uncompensated is not None and sweep.stamp != job.stamp
        ]
        return _Inputs(info, frame, placed, notices)

    def _pose_of(self, sweep: Sweep, image_stamp: int, frame: str, final: bool) -> RadarPose:
        radar_frame = sweep.cloud.header.frame_id
        if not frame:
            raise PoseUnavailableError("image and camera_info name no frame; set camera_frame")
        if not radar_frame:
            raise PoseUnavailableError("the cloud names no frame; set its frame_id in the driver")
        # ROS 1 frames begin with a slash, which TF refuses.
        return self._poses.radar_pose(
            frame.lstrip("/"), image_stamp, radar_frame.lstrip("/"), sweep.stamp, final=final
        )

    def _tell_of_unseen_radar(
        self, inputs: _Inputs, radar: RadarReturns | None, seen: int, now: float
    ) -> None:
        """Warn where for some seconds sweeps were placed and none of their returns was in view."""
        if not inputs.sweeps or seen:
            self._unseen.clear()
        else:
            self._unseen = [*self._unseen[:1], *self._unseen[-1:], now]
        detail = None
        if len(self._unseen) > 2 and now - self._unseen[0] > _UNSEEN_SECONDS:
            detail = "their clouds have no points that radar_filter and the limits let pass"
            if radar is not None and len(radar):
                behind = np.count_nonzero(radar.position[:, 2] <= 0)
                frames = {sweep.cloud.header.frame_id for sweep, _ in inputs.sweeps}
                detail = (
                    f"of {len(radar)} returns in {', '.join(sorted(frames))} {behind} lie behind "
                    f"the camera {inputs.frame}; if that is not so, check the extrinsics, and that "
                    "the image's frame is the optical one, z forward (REP 103)"
                )
        self._condition("no radar return is in the image", detail)

    def _condition(self, name: str, detail: str | None) -> None:
        """A condition of the images that come, which ends with them."""
        self._conditions.add(name)
        self._health.condition(name, detail)

    def _is_too_old(self, job: WaitingImage, now: float, limit: float) -> bool:
        if limit <= 0:
            return False
        clock = self._age_clock()
        age = now - job.received
        # No clock yet, or a stamp of the future: they tell no age.
        if clock is not None and 0 < job.stamp <= clock:
            age = (clock - job.stamp) / 1e9
        return age > limit

    def _model_of(self, info: CameraInfo, values: SimpleNamespace) -> CameraModel:
        """The camera model, made anew only when the calibration changes."""
        roi = info.roi
        key = (
            info.width,
            info.height,
            info.distortion_model,
            tuple(info.d),
            tuple(info.k),
            tuple(info.p),
            (info.binning_x, info.binning_y),
            (roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        if self._camera_model is None or self._camera_model[0] != key:
            rectified = values.input_rectified
            model = camera_from_message(info, rectified, values.max_image_pixels)
            self._camera_model = (key, model)
            remedy = "the image is taken as rectified; if it is not, set input_rectified: false"
            distorted = rectified and any(info.d)
            for name, unsure in (
                ("camera_info has distortion and no P", info.p[0] <= 0),
                # P is the same for the image before and after: the name alone tells.
                (f"{self._image_topic} has distortion and is named raw", self._is_named_raw),
            ):
                self._condition(name, remedy if distorted and unsure else None)
        return self._camera_model[1]

    @property
    def _is_named_raw(self) -> bool:
        return "image_raw" in self._image_topic

    def _maps_for(self, camera: Camera) -> tuple[FloatImage, FloatImage]:
        """Depth and sigma of this camera's images, made anew only when their size changes."""
        wanted = self._predictor.output_camera(camera)
        size = (wanted.height, wanted.width)
        if self._maps is None or self._maps[0].pixels.shape != size:
            self._maps = FloatImage(*size), FloatImage(*size)
        return self._maps

    def _unseen_by(self, camera: Camera, model: CameraModel) -> np.ndarray | None:
        """Where the maps show what rectification found nowhere in the image; None for nowhere."""
        if model.rectifier is None:
            return None
        if self._hidden is None or self._hidden[0] is not model or self._hidden[1] != camera:
            self._hidden = (model, camera, model.rectifier.unseen_by(camera))
        return self._hidden[2]

    def _radar_of(self, inputs: _Inputs, fields: RadarFields) -> RadarReturns | None:
        """All sweeps in the camera's frame; None without any."""
        parts = []
        for sweep, pose in inputs.sweeps:
            returns = self._returns_of(sweep, fields)
            if returns is not None:
                parts.append(
                    RadarReturns.from_sensor(
                        returns.position,
                        returns.rcs,
                        returns.velocity,
                        pose.camera_from_radar,
                        sweep.stamp / 1e9,
                    )
                )
        return RadarReturns.concatenate(parts) if parts else None

    def _returns_of(self, sweep: Sweep, fields: RadarFields) -> SensorReturns | None:
        """What a sweep holds, read once; None if it cannot be used."""
        if sweep.returns is None or sweep.returns[0] != fields:
            try:
                returns = radar_from_message(sweep.cloud, fields)
            except InputError as error:
                self._health.message_dropped(sweep.topic, "unusable cloud", str(error))
                sweep.returns = (fields, None)
                return None
            sweep.returns = (fields, returns)
            for name, remedy in returns.missing:
                self._health.notice(f"{sweep.topic} tells no {name}", remedy)
        return sweep.returns[1]


def _radar_fields(values: SimpleNamespace) -> RadarFields:
    kept: tuple[tuple[str, tuple[int, ...]], ...] = ()
    if values.radar_filter:
        kept = (
            ("invalid_state", tuple(values.radar_invalid_states)),
            ("dyn_prop", tuple(values.radar_dynprop_states)),
            ("ambig_state", tuple(values.radar_ambiguity_states)),
        )
    forward, left = values.radar_velocity_fields
    return RadarFields(
        (forward, left),
        tuple(values.radar_doppler_fields),
        tuple(values.radar_rcs_fields),
        kept,
        values.max_cloud_points,
    )


def _told(error: Exception) -> str:
    """One line of any exception."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
