"""Lifecycle node `depth`: camera images and radar clouds in, dense depth and uncertainty out."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from lircdepth_core.errors import InputError
from lircdepth_core.inference import CpuFallback, Predictor, release_device_memory
from lircdepth_core.inference.colour import colourise
from lircdepth_ros.approximate_sync import ApproximateSync, check_queue_size
from lircdepth_ros.calibration_poses import CalibrationPoses
from lircdepth_ros.conversions import (
    camera_info_message,
    colour_image_message,
)
from lircdepth_ros.health import Health
from lircdepth_ros.meanwhile import meanwhile
from lircdepth_ros.parameters import NodeParameters
from lircdepth_ros.subscriptions import InputSubscription
from lircdepth_ros.tf_poses import TfPoses, tf_is_installed
from lircdepth_ros.transforms import PoseSource
from lircdepth_ros.worker import Answer, DepthWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

_REVIEW_PERIOD_SECONDS = 0.2
_BUILDING_FACTOR = 10
"""How much longer the first image of a size, and loading the model, may take before they hang."""
_IMAGE_TYPES = {
    "raw": (Image,),
    "compressed": (CompressedImage,),
    "auto": (Image, CompressedImage),
}


class DepthNode(LifecycleNode):
    """The node.

    Configure loads the model and warms it up, activate subscribes and answers images, deactivate
    stops, cleanup forgets the model. Parameters: depth_node_parameters.yaml.

    Attributes:
        gave_up: something hangs, and the parameter `exit_when_hung` is set: the process should end.

    Raises:
        InputError, rclpy.exceptions.ParameterException: a parameter cannot be used.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("depth", **kwargs)
        self._settings = NodeParameters(self)
        for name in self._settings.unknown:
            hint = self._settings.alike(name)
            self.get_logger().warning(f"parameter {name} is unknown and ignored{hint}")
        self._state = "unconfigured"
        self._failure = ""
        self._configuring_since: float | None = None
        self._abandoned: DepthWorker | None = None
        self.gave_up = False
        self._health = Health(warn=self.get_logger().warning)
        self._predictor: Predictor | CpuFallback | None = None
        self._poses: PoseSource | None = None
        self._worker: DepthWorker | None = None
        self._synchroniser: ApproximateSync | None = None
        self._input_subscriptions: list[InputSubscription] = []
        self._outputs: dict[str, Any] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # On simulated time they would stand still with the clock, which may wait for them.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = self._settings.values.diagnostics_period
        self.create_timer(period, self._publish_diagnostics, clock=steady)
        self.create_timer(_REVIEW_PERIOD_SECONDS, self._review, clock=steady)

    def start(self, stop: threading.Event) -> None:
        """Configure and activate, if the parameter `autostart` says so.

        Args:
            stop: if it is set meanwhile, the node is not activated.
        """
        if not self._settings.values.autostart:
            return
        configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured and not stop.is_set():
            self.trigger_activate()

    @property
    def is_loading(self) -> bool:
        """Whether the model is being loaded."""
        return self._configuring_since is not None

    @property
    def has_unfinished_image(self) -> bool:
        """Whether an image of before it was deactivated is still in the network."""
        return self._abandoned is not None and not self._abandoned.has_ended

    @property
    def hang(self) -> str:
        """What takes longer than `hang_after` allows, and since when; empty if nothing does."""
        return self._loading_hang() or self._hang()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model; advertise. Diagnostics are published meanwhile."""
        self._configuring_since = time.monotonic()
        try:
            with meanwhile(self._publish_diagnostics, self._settings.values.diagnostics_period):
                return self._transition("configure", self._configure, "inactive", self._cleanup)
        finally:
            self._configuring_since = None

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and answer."""
        work = partial(self._activate, state)
        return self._transition("activate", work, "active", self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the image in work."""
        result = self._transition("deactivate", self._deactivate, "inactive")
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model and the outputs."""
        return self._transition("cleanup", self._cleanup, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop from any state."""
        return self._transition("shutdown", self.close, "finalized")

    def close(self) -> None:
        """Stop answering and free everything; may be called twice."""
        self._deactivate()
        self._cleanup()

    def _transition(
        self,
        name: str,
        work: Callable[[], None],
        new_state: str,
        undo: Callable[[], None] | None = None,
    ) -> TransitionCallbackReturn:
        # rclpy swallows what a lifecycle callback raises, so it is said here.
        try:
            work()
        except InputError as error:
            self._failure = f"{name} failed: {error}"
        except Exception as error:  # noqa: BLE001 a failed transition must be told, not raised
            text = " ".join(str(error).split())
            self._failure = f"{name} failed: {type(error).__name__}: {text}"
        else:
            self._state, self._failure = new_state, ""
            return TransitionCallbackReturn.SUCCESS
        self.get_logger().fatal(self._failure)
        if undo is not None:
            undo()
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        values = self._settings.values
        self._forget_abandoned()
        if values.sync == "approximate":
            radars = [topic for topic in values.radar_topics if topic]
            check_queue_size(values.approximate_queue_size, len(radars))
        load = partial(
            Predictor.load,
            values.model,
            max_network_pixels=values.max_network_pixels,
            max_sigma=values.max_sigma or None,
            at_network_size=values.output_size == "network",
            report=self.get_logger().info,
            warn=partial(self._tell_of_replacement, "back end"),
        )
        if values.cpu_fallback:
            self._predictor = CpuFallback.load(
                load, values.device, values.backend, partial(self._tell_of_replacement, "GPU")
            )
        else:
            self._predictor = load(device=values.device, backend=values.backend)
        self.get_logger().info(self._predictor.description)
        self._predictor.warm_up()
        self._poses = self._make_pose_source()
        for name, message_type in (
            ("~/output/depth/image_rect", Image),
            ("~/output/uncertainty/image_rect", Image),
            ("~/output/depth/camera_info", CameraInfo),
            ("~/debug/depth_color", Image),
            ("~/debug/uncertainty_color", Image),
        ):
            self._outputs[name] = self.create_lifecycle_publisher(message_type, name, 10)

    def _tell_of_replacement(self, failed: str, reason: str) -> None:
        self._health.condition(failed, reason)
        worker = self._worker
        if worker is not None:
            worker.expect_building()

    def _make_pose_source(self) -> PoseSource:
        values = self._settings.values
        if values.calibration_file:
            return CalibrationPoses(values.calibration_file, values.radar_silence)
        if tf_is_installed():
            return TfPoses(self, values.fixed_frame, values.radar_silence, self._tell_of_jump)
        raise InputError(
            "tf2_ros is not installed and parameter calibration_file is empty; give the "
            "calibration file (`lircdepth bag` writes calibration.yaml into the bag's folder)"
        )

    def _tell_of_jump(self, frame: str, two_clocks: bool) -> None:
        problem = "two publishers of it have other clocks; stop one" if two_clocks else ""
        self._health.event(f"TF: stamps of {frame} jumped back", problem=problem)

    def _activate(self, state: LifecycleState) -> None:
        assert self._predictor is not None
        assert self._poses is not None
        if self.has_unfinished_image:
            raise InputError("an image of before still hangs in the network; start the node again")
        values = self._settings.values
        radars = self._resolve_inputs([topic for topic in values.radar_topics if topic])
        self._worker = worker = DepthWorker(
            self._predictor,
            self._poses,
            list(radars.values()),
            lambda: self._settings.values,
            self._health,
            self._publish,
            self._age_clock,
            self.resolve_topic_name("~/input/image"),
        )
        images = _IMAGE_TYPES[values.image_type]
        if values.sync == "approximate":
            self._subscribe_synchronised(worker, images, radars)
        else:
            self._subscribe("~/input/image", images, worker.on_image)
            for topic, name in radars.items():
                self._subscribe(topic, (PointCloud2,), partial(worker.on_radar, name))
        info = worker.on_camera_info
        self._subscribe("~/input/camera_info", (CameraInfo,), info, latched=True)
        if isinstance(self._poses, CalibrationPoses):
            # Odometry comes in bursts of hundreds of messages a second.
            self._subscribe("~/input/odometry", (Odometry,), worker.on_odometry, depth=200)
        for name in self._settings.unused_qos_overrides:
            image = self.resolve_topic_name("~/input/image")
            self.get_logger().warning(
                f"parameter {name} is ignored: no input has it; its form is "
                f"qos_overrides.{image}.subscription.reliability (or depth), with the topic's "
                "resolved name"
            )
        self._poses.begin()
        super().on_activate(state)
        self._health.begin()
        worker.start()
        self.get_logger().info(
            f"answering images of {self.resolve_topic_name('~/input/image')} with radar of "
            f"{', '.join(radars.values()) or 'no topic'}"
        )

    def _resolve_inputs(self, radar_topics: list[str]) -> dict[str, str]:
        """Resolved names of the radar topics; each input needs a name of its own."""
        try:
            radars = {topic: self.resolve_topic_name(topic) for topic in radar_topics}
        except NameValidationException as error:
            text = " ".join(str(error).split())
            raise InputError(f"parameter radar_topics: {text}") from error
        others = ("~/input/image", "~/input/camera_info", "~/input/odometry")
        names = [self.resolve_topic_name(topic) for topic in others] + list(radars.values())
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"topic {name} is named for two inputs; check remaps and radar_topics"
                )
        return radars

    def _subscribe_synchronised(
        self, worker: DepthWorker, images: tuple[type, ...], radar_topics: dict[str, str]
    ) -> None:
        values = self._settings.values
        self._synchroniser = sync = ApproximateSync(
            values.approximate_queue_size,
            values.approximate_slop,
            worker.on_synchronised,
            self._drop_unmatched,
        )
        image = self._subscribe("~/input/image", images, sync.saw_image)

        def saw_cloud(name: str, cloud: PointCloud2) -> None:
            worker.limit_cloud(name, cloud)
            sync.saw_cloud(name, cloud)

        radars = [
            self._subscribe(topic, (PointCloud2,), partial(saw_cloud, name))
            for topic, name in radar_topics.items()
        ]
        sync.connect(image, radars)

    def _subscribe(
        self,
        topic: str,
        usable: tuple[type, ...],
        callback: Callable[[Any], None],
        **kwargs: Any,
    ) -> InputSubscription:
        subscription = InputSubscription(self, topic, usable, callback, self._health, **kwargs)
        self._input_subscriptions.append(subscription)
        return subscription

    def _drop_unmatched(self, for_want_of_clouds: bool) -> None:
        self._health.image_received()
        reason = "no radar to synchronise with" if for_want_of_clouds else "node stopped"
        self._health.image_dropped(reason)

    def _age_clock(self) -> int | None:
        """Nanoseconds of the node's clock, where image age counts by stamps."""
        if self._settings.values.age_from_stamps or self.get_parameter("use_sim_time").value:
            return self.get_clock().now().nanoseconds
        return None

    def _review(self) -> None:
        for subscription in self._input_subscriptions:
            subscription.review()
        self.give_up_if_hung()

    def give_up_if_hung(self) -> None:
        """Set `gave_up` if something hangs and the process is to end then."""
        hang = self.hang
        if hang and self._settings.values.exit_when_hung and not self.gave_up:
            self.get_logger().fatal(f"{hang}; ending, as exit_when_hung asks for")
            self.gave_up = True

    def _publish(self, answer: Answer) -> None:
        values, prediction = self._settings.values, answer.prediction
        header = Header(stamp=answer.image.header.stamp, frame_id=answer.frame)
        depth, sigma = prediction.depth, prediction.sigma
        outputs = self._outputs
        outputs["~/output/depth/camera_info"].publish(
            camera_info_message(prediction.camera, header)
        )
        outputs["~/output/depth/image_rect"].publish(answer.depth.message(header))
        outputs["~/output/uncertainty/image_rect"].publish(answer.sigma.message(header))
        self._publish_colours("~/debug/depth_color", depth, values.debug_depth_range, header)
        # The other way round: what is uncertain is red.
        limits = values.debug_sigma_range[::-1]
        self._publish_colours("~/debug/uncertainty_color", sigma, limits, header)

    def _publish_colours(
        self, name: str, picture: np.ndarray, limits: Sequence[float], header: Header
    ) -> None:
        """Colours for those who listen."""
        publisher = self._outputs[name]
        if publisher.get_subscription_count():
            publisher.publish(colour_image_message(colourise(picture, *limits), header))

    def _deactivate(self) -> None:
        for subscription in self._input_subscriptions:
            subscription.destroy()
        self._input_subscriptions = []
        if self._synchroniser is not None:
            self._synchroniser.close()
            self._synchroniser = None
        if self._worker is not None:
            self._worker.stop()
            self._abandoned = None if self._worker.has_ended else self._worker
            self._worker = None

    def _cleanup(self) -> None:
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        if self._poses is not None:
            self._poses.close()
        self._poses = None
        self._predictor = None
        self._forget_abandoned()
        if not self.has_unfinished_image:  # of a card that hangs, this would wait for it
            release_device_memory()
        self._health.forget_model()

    def _forget_abandoned(self) -> None:
        """Let go of a worker whose image has ended: it holds the predictor too."""
        if not self.has_unfinished_image:
            self._abandoned = None

    def _publish_diagnostics(self) -> None:
        device = ""
        if (predictor := self._predictor) is not None:
            device = predictor.device
            self._health.fact("model", predictor.description)
            self._health.fact("device", device)
            self._health.fact("back end", predictor.backend)
        name = self.get_fully_qualified_name().lstrip("/")
        state = "configuring" if self.is_loading else self._state
        period = self._settings.values.diagnostics_period
        failure = self.hang or self._failure
        array = self._health.diagnostics(name, state, device, failure, period)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _loading_hang(self) -> str:
        """Since when loading the model hangs; empty if it does not."""
        since, limit = self._configuring_since, self._settings.values.hang_after
        if since is None or limit == 0:
            return ""
        seconds = time.monotonic() - since
        if seconds < limit * _BUILDING_FACTOR:
            return ""
        return f"loading the model hangs: the node has been configuring for {seconds:.0f} s"

    def _hang(self) -> str:
        """Which image hangs and since when; empty if none does."""
        limit = self._settings.values.hang_after
        worker = self._worker or self._abandoned
        work = None if worker is None else worker.in_work
        if work is None or limit == 0:
            return ""
        if work.seconds < limit * (_BUILDING_FACTOR if work.may_build else 1):
            return ""
        return f"{work.stage} hangs: an image has been in work for {work.seconds:.0f} s"
