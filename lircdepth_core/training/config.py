"""What a training run is told. The defaults are LiRCDepth's published recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from lircdepth_core.dataset.augmentation import InputSpec
from lircdepth_core.dataset.reader import DenseFrom
from lircdepth_core.errors import InputError
from lircdepth_core.radar import RADAR_CHANNELS

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""What networks are run in; their parameters and the losses stay in float32. `auto` is half
precision where the device computes it faster, see `usable_precision`."""


@dataclass(frozen=True)
class RadarDropout:
    """How often a sample's radar is taken away, so that the network learns to do without.

    Attributes:
        all_returns: probability that every return goes.
        half_of_returns: probability, of what is left, that each return goes at 0.5.
    """

    all_returns: float = 0.0
    half_of_returns: float = 0.0

    def __post_init__(self) -> None:
        for name in ("all_returns", "half_of_returns"):
            _within(name, getattr(self, name), 0, 1)


@dataclass(frozen=True)
class ExposureFaults:
    """How often an image shows next to nothing, so that the head learns to say so.

    Attributes:
        black: probability that it is almost black.
        saturated: probability that it is almost white.
        veiled: probability that it is grey and has next to no contrast, as of a lens that is
            fogged up or covered.
    """

    black: float = 0.0
    saturated: float = 0.0
    veiled: float = 0.0

    def __post_init__(self) -> None:
        left = 1.0
        for name in ("black", "saturated", "veiled"):
            _within(name, getattr(self, name), 0, left)
            left -= getattr(self, name)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where samples come from and what is made of them.

    Attributes:
        train: folders of `lircdepth prepare`, shards, patterns or URLs.
        validation: the same, of other scenes; see `Record.choose` for what they decide.
        truth: which of a sample's depths validation compares with; `dense` is the lidar's.
        height: rows of the crop, a multiple of 32.
        width: columns of the crop, a multiple of 32.
        focal_length: pixels, to which images are scaled before they are cropped. The network
            learns its scale.
        interpolation: how images are scaled.
        dense_from: what dense depth is learned from: `lidar`, its accumulated sweeps, filled in;
            `exact`, which only generated drives have and which needs no sweeps; or `single_scan`,
            where there is nothing else: a teacher's radar depth, confidence and intermediate
            depths then learn from that. A student has no dense depth then: `loss.depth_single`
            is its own, and it cannot learn a teacher's intermediate depths.
        batch_size: samples that a process takes at a time.
        workers: processes that load samples, for each process that trains; 0 for none.
        radar_dropout: see there.
        exposure_faults: see there.
        other_cameras: probability that an image looks as if another camera had taken it: tone,
            white balance, sharpness, noise, JPEG; see `with_other_cameras`.
        padding: probability that the last rows, or columns, of a sample are padding, as the
            Predictor gives it where an image is no multiple of 32: a network that has never
            seen any is worse there.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    truth: Literal["exact", "dense", "single_scan"]
    height: int = 352
    width: int = 704
    focal_length: float
    interpolation: Literal["area", "area_linear", "linear", "cubic"] = "area"
    dense_from: DenseFrom = "lidar"
    batch_size: int = 6
    workers: int = 2
    radar_dropout: RadarDropout = field(default_factory=RadarDropout)
    exposure_faults: ExposureFaults = field(default_factory=ExposureFaults)
    other_cameras: float = 0.0
    padding: float = 0.0

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            if not getattr(self, name):
                raise InputError(f"{name}: give at least one place")
        _at_least("batch_size", self.batch_size, 1)
        _at_least("workers", self.workers, 0)
        _positive("focal_length", self.focal_length)
        _within("other_cameras", self.other_cameras, 0, 1)
        _within("padding", self.padding, 0, 1)
        try:
            _ = self.spec
        except InputError as error:
            raise InputError(f"height, width: {error}") from error

    @property
    def batch_bytes(self) -> int:
        """Of a batch's image, radar and three depth maps, in float32."""
        return 4 * (3 + len(RADAR_CHANNELS) + 3) * self.batch_size * self.height * self.width

    @property
    def spec(self) -> InputSpec:
        """The size of what the network is given."""
        return InputSpec(self.height, self.width, self.focal_length, self.interpolation)


@dataclass(frozen=True)
class ImageNet:
    """Files of torchvision's ImageNet weights for the backbones; null for none.

    Attributes:
        mobilenet_v2: for both of the student's encoders; for the small student's of images.
        resnet34: for the teacher's image encoder.
        resnet18: for the teacher's two radar encoders.
    """

    mobilenet_v2: str | None = None
    resnet34: str | None = None
    resnet18: str | None = None


@dataclass(frozen=True)
class Start:
    """What the parameters are at first.

    Attributes:
        model: a model folder or a published checkpoint to go on from; null starts from scratch.
        image_encoder: a student's model folder, whose MobileNetV2 a small student's image encoder
            starts as, if there is no model.
        imagenet: for the backbones, if there is neither.
    """

    model: str | None = None
    image_encoder: str | None = None
    imagenet: ImageNet = field(default_factory=ImageNet)

    def __post_init__(self) -> None:
        if self.model is not None and self.imagenet != ImageNet():
            given = [name for name, path in vars(self.imagenet).items() if path is not None]
            raise InputError(
                f"imagenet.{given[0]}: the model has its own backbones; give null or no model"
            )
        if self.model is not None and self.image_encoder is not None:
            raise InputError("image_encoder: the model has its own; give null or no model")
        if self.image_encoder is not None and self.imagenet.mobilenet_v2 is not None:
            raise InputError("imagenet.mobilenet_v2: image_encoder is given; give one of them")


@dataclass(frozen=True)
class Length:
    """When training ends: at the first of those that are not null.

    Attributes:
        epochs: times that all samples are seen; of streamed shards, as many images as that: the
            last of a worker's samples that make no batch are left out, others seen again.
        steps: updates of the parameters.
        image_steps: images, each time that one is seen.
    """

    epochs: int | None = None
    steps: int | None = None
    image_steps: int | None = None

    def __post_init__(self) -> None:
        given = [self.epochs, self.steps, self.image_steps]
        if all(value is None for value in given):
            raise InputError("epochs: give this, steps or image_steps")
        for name in ("epochs", "steps", "image_steps"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)

    def total_steps(self, steps_per_epoch: int, images_per_step: int) -> int:
        """Number of updates."""
        candidates = [
            None if self.epochs is None else self.epochs * steps_per_epoch,
            self.steps,
            None if self.image_steps is None else math.ceil(self.image_steps / images_per_step),
        ]
        return min(steps for steps in candidates if steps is not None)


@dataclass(frozen=True)
class Optimiser:
    """AdamW and its learning rate.

    Attributes:
        learning_rate: at its highest.
        end_share: share of it that is left at the end.
        power: of the polynomial between the two.
        warmup_steps: number of updates over which it rises from 0, linearly.
        eps: AdamW's; the published 1e-2 suits ImageNet starts.
        encoder_weight_decay: of all parameters of the encoders.
        decoder_weight_decay: of all others.
        clip_norm: the gradient is scaled down to this norm if it is longer; null for never.
        accumulate: batches whose gradients make one update.
        precision: of the forward pass; fp16 only on CUDA. In fp32 torch still multiplies TF32 in
            convolutions on GPUs that have it, unless `torch.backends.cudnn.allow_tf32` is False.
        ema_decay: keep a moving average of the parameters with this decay, and validate and
            export it; null for none.
    """

    learning_rate: float = 5e-5
    end_share: float = 0.1
    power: float = 0.9
    warmup_steps: int = 0
    eps: float = 1e-2
    encoder_weight_decay: float = 1e-4
    decoder_weight_decay: float = 0.0
    clip_norm: float | None = None
    accumulate: int = 1
    precision: Precision = "fp32"
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        for name in ("learning_rate", "power", "eps"):
            _positive(name, getattr(self, name))
        _within("end_share", self.end_share, 0, 1)
        _at_least("warmup_steps", self.warmup_steps, 0)
        for name in ("encoder_weight_decay", "decoder_weight_decay"):
            _within(name, getattr(self, name), 0, 1)
        if self.clip_norm is not None:
            _positive("clip_norm", self.clip_norm)
        _at_least("accumulate", self.accumulate, 1)
        if self.ema_decay is not None:
            _within("ema_decay", self.ema_decay, 0, 1)
            if self.ema_decay == 1:
                raise InputError("ema_decay: 1 would keep the first parameters; give less")


@dataclass(frozen=True)
class Record:
    """What is written, and how often. It may change when a run is resumed.

    Attributes:
        log_every: steps between two lines of the log.
        validate_every: steps between two validations; there is one at the end too.
        checkpoint_every: steps between two checkpoints; there is one at each validation too.
        keep: how many checkpoints are kept, besides the chosen one.
        choose: which of the validated parameters are the run's result: those of the lowest MAE,
            or the last, whose learning rate is the lowest. Take these where validation has
            so few scenes that the lowest MAE is luck.
    """

    log_every: int = 50
    validate_every: int = 1000
    checkpoint_every: int = 500
    keep: int = 2
    choose: Literal["lowest_mae", "last"] = "lowest_mae"

    def __post_init__(self) -> None:
        for name in ("log_every", "validate_every", "checkpoint_every", "keep"):
            _at_least(name, getattr(self, name), 1)

    @property
    def chosen_by_error(self) -> bool:
        """Whether validation chooses the result, and not merely measures it."""
        return self.choose == "lowest_mae"

    @property
    def chosen_name(self) -> str:
        """What to call the chosen parameters, for people."""
        return "the best" if self.chosen_by_error else "the last"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A training run of any network.

    Attributes:
        seed: of the parameters, of order and augmentation.
        data: see there, and so on.
    """

    seed: int = 0
    data: Data
    start: Start = field(default_factory=Start)
    length: Length
    optimiser: Optimiser = field(default_factory=Optimiser)
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        _at_least("seed", self.seed, 0)


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name}: {value:g}, give a positive number")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name}: {value}, give {least} or more")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name}: {value:g}, give a number from {low} to {high}")
