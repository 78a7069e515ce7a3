"""Batches of training samples from shards, shared out over ranks and loader workers."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from lircdepth_core.dataset.augmentation import InputSpec, augmented, centred
from lircdepth_core.dataset.sample import RADAR_COLUMNS, Sample
from lircdepth_core.dataset.sample_files import decode_sample
from lircdepth_core.dataset.shards import (
    SeekableShard,
    Shard,
    Source,
    check_size,
    find_shards,
    read_shard,
)
from lircdepth_core.errors import InputError
from lircdepth_core.network import IMAGE_MEAN, IMAGE_STD, MAX_DEPTH
from lircdepth_core.radar import VisibleReturns

# First numbers of the seeds: what a generator is for.
_ORDER, _AUGMENTATION, _BUFFER = 1, 2, 3

MAX_BUFFER_BYTES = 512 << 20
"""Of the samples that one loader worker mixes when streaming, as they are in their shards."""

_UNUSED = ("accumulated.png",)

_OPENED_AT_A_TIME = 8

DenseFrom = Literal["lidar", "exact", "single_scan"]
"""Accumulated sweeps of a lidar, filled in; what a generated drive knows of every pixel; or no more
than the single scan."""


class Batch(NamedTuple):
    """Samples as the networks and their losses take them; N samples, h x w pixels.

    Attributes:
        keys: of the samples.
        image: (N, 3, h, w) float32, ImageNet's mean and deviation taken out.
        radar: (N, 4, h, w) float32 of `RADAR_CHANNELS`, 0 where there is no return.
        single_scan: (N, 1, h, w) float32 metres, 0 where there is none.
        dense: (N, 1, h, w) float32 metres, at most `MAX_DEPTH`, 0 where there is none.
        exact: (N, 1, h, w) float32 metres, +Inf at the sky, 0 for a sample that has none.
        returns: (N, P, 7) float32 of `RADAR_COLUMNS`, filled up with zeros (depth 0).
        boxes: (N, B, 4) float32 x1, y1, x2, y2, filled up with zeros.
        K: (N, 3, 3) float32.
    """

    keys: list[str]
    image: Tensor
    radar: Tensor
    single_scan: Tensor
    dense: Tensor
    exact: Tensor
    returns: Tensor
    boxes: Tensor
    K: Tensor


class _Read(NamedTuple):
    """A sample's files, its number among all, and where they come from, for errors."""

    number: int
    place: str
    files: dict[str, bytes]


class TrainingBatches(IterableDataset[Batch]):
    """Batches of prepared samples; give it to `DataLoader(batches, batch_size=None)`.

    For training, samples come in random order, cropped at random, flipped and recoloured; else in
    their own order, cropped in the middle. What comes is a pure function of seed, epoch and the
    sample's number: with shards on disk also of any number of loader workers, and two ranks give
    together what one rank gives. Training leaves out the few samples of an epoch that would give
    a rank a batch more than another; otherwise each sample comes exactly once.

    Shards behind URLs (all of them, if any is) are streamed: whole shards are dealt out to ranks
    and workers, and a buffer mixes their samples. Each worker then gives as many batches as the
    one with the fewest samples can; an epoch that is resumed goes on at the start of a shard.

    Args:
        source: where the shards are; behind URLs an index must say how many samples they hold.
        spec: what size to give.
        batch_size: samples in a batch; the last one may be smaller if not training.
        seed: of order and augmentation.
        training: see above.
        dense_from: what `Batch.dense` holds, as far as the networks can see. None: the lidar's,
            where a sample has any.
        rank: number of this process; None asks torch.distributed, if it is in use.
        ranks: number of processes.
        buffer: number of samples that are mixed when streaming; fewer where they would take more
            than `MAX_BUFFER_BYTES`.

    Raises:
        InputError: there are no shards, or too few samples.
    """

    def __init__(
        self,
        source: Source,
        spec: InputSpec,
        batch_size: int,
        *,
        seed: int = 0,
        training: bool = True,
        dense_from: DenseFrom | None = "lidar",
        rank: int | None = None,
        ranks: int | None = None,
        buffer: int = 64,
    ) -> None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self._rank = (
            rank if rank is not None else torch.distributed.get_rank() if distributed else 0
        )
        self._ranks = (
            ranks if ranks is not None else torch.distributed.get_world_size() if distributed else 1
        )
        if batch_size < 1 or not 0 <= self._rank < self._ranks:
            raise InputError(
                f"batch size {batch_size}, rank {self._rank} of {self._ranks}: give a positive "
                "size and a rank below their number"
            )
        self._shards = find_shards(source)
        self.streams = not all(shard.is_local for shard in self._shards)
        # Once, before loader processes are forked: they inherit it.
        self._open = [] if self.streams else _opened(self._shards)
        if self.streams:
            self._counts = [_told_count(shard) for shard in self._shards]
        else:
            self._counts = [len(shard) for shard in self._open]
        self._spec, self._batch_size, self._seed = spec, batch_size, seed
        self._training, self._buffer = training, buffer
        self._dense_from: DenseFrom | None = dense_from
        self._epoch, self._first_batch = 0, 0
        if training and sum(self._counts) < batch_size * self._ranks:
            places = [source] if isinstance(source, str | Path) else source
            raise InputError(
                f"{', '.join(map(str, places))}: {sum(self._counts)} samples give no batch of "
                f"{batch_size} to each of {self._ranks} ranks; take a smaller batch or more data"
            )

    @property
    def samples(self) -> int:
        """How many samples the shards hold."""
        return sum(self._counts)

    def content(self) -> list[tuple[str, int, int | None]]:
        """What tells the shards from others wherever they lie, in order.

        Returns:
            Of each its name, how many samples it holds, and its size in bytes if it is here.
        """
        return [
            (shard.name, count, Path(shard.location).stat().st_size if shard.is_local else None)
            for shard, count in zip(self._shards, self._counts, strict=True)
        ]

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose what the next iteration gives; workers that persist do not hear of it.

        Args:
            epoch: its number.
            first_batch: how many of this rank's batches to pass over, to resume.
        """
        self._epoch, self._first_batch = epoch, first_batch

    def __len__(self) -> int:
        """How many batches of a whole epoch are this rank's; not known of streams."""
        if self.streams:
            raise TypeError("how many batches streamed shards give depends on the workers")
        if self._training:
            return self.samples // (self._batch_size * self._ranks)
        return len(range(self._rank, -(-self.samples // self._batch_size), self._ranks))

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this loader worker."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        give = self._streamed if self.streams else self._chosen
        return give(worker, workers)

    def _chosen(self, worker: int, workers: int) -> Iterator[Batch]:
        """Batches of samples chosen one by one from files."""
        order = np.arange(self.samples)
        if self._training:
            order = np.random.default_rng([_ORDER, self._seed, self._epoch]).permutation(order)
        starts = [0, *accumulate(self._counts)]
        for own in range(self._first_batch + worker, len(self), workers):
            first = (own * self._ranks + self._rank) * self._batch_size
            samples = []
            for index in order[first : first + self._batch_size].tolist():
                number = bisect.bisect_right(starts, index) - 1
                shard, within = self._open[number], index - starts[number]
                place = f"{self._shards[number].location}: {shard.keys[within]}"
                read = _Read(index, place, shard.files(within, _UNUSED))
                samples.append(self._finished(read))
            yield collate(samples, self._dense_from)

    def _streamed(self, worker: int, workers: int) -> Iterator[Batch]:
        """Batches of samples as they come out of the shards dealt to this worker."""
        consumer, consumers = self._rank * workers + worker, self._ranks * workers
        order = np.arange(len(self._shards))
        if self._training:
            order = np.random.default_rng([_ORDER, self._seed, self._epoch]).permutation(order)
        shares = [order[number::consumers].tolist() for number in range(consumers)]
        sizes = [sum(self._counts[shard] for shard in share) for share in shares]
        batches = -(-sizes[consumer] // self._batch_size)
        if self._training:
            batches = min(sizes) // self._batch_size
            if not batches:
                raise InputError(
                    f"{len(self._shards)} shards for {consumers} loader workers leave one without "
                    f"a batch of {self._batch_size}; take fewer workers or more shards"
                )
        given = len(range(worker, self._first_batch, workers))
        stream = self._mixed(
            self._passed_over(shares[consumer], given * self._batch_size), consumer
        )
        for _ in range(batches - given):
            samples = [self._finished(read) for read in islice(stream, self._batch_size)]
            if samples:
                yield collate(samples, self._dense_from)

    def _passed_over(self, share: list[int], samples: int) -> Iterator[_Read]:
        """The samples in some shards, without the shards already used up."""
        starts = [0, *accumulate(self._counts)]
        for shard in share:
            if samples >= self._counts[shard]:
                samples -= self._counts[shard]
                continue
            samples = 0
            for number, (key, files) in enumerate(read_shard(self._shards[shard])):
                yield _Read(starts[shard] + number, f"{self._shards[shard].location}: {key}", files)

    def _mixed(self, stream: Iterator[_Read], consumer: int) -> Iterator[_Read]:
        """A stream whose order is mixed by a buffer; as it is, if not training."""
        if not self._training:
            yield from stream
            return
        rng = np.random.default_rng([_BUFFER, self._seed, self._epoch, consumer])
        waiting: list[_Read] = []
        held = 0
        for item in stream:
            waiting.append(item)
            held += _size(item)
            while len(waiting) > self._buffer or held > MAX_BUFFER_BYTES:
                given = waiting.pop(int(rng.integers(len(waiting))))
                held -= _size(given)
                yield given
        while waiting:
            yield waiting.pop(int(rng.integers(len(waiting))))

    def _finished(self, read: _Read) -> Sample:
        """A sample at the network's size."""
        files = {name: data for name, data in read.files.items() if name not in _UNUSED}
        sample = decode_sample(files, read.place)
        if not self._training:
            return centred(sample, self._spec)
        rng = np.random.default_rng([_AUGMENTATION, self._seed, self._epoch, read.number])
        return augmented(sample, self._spec, rng)


def _opened(shards: list[Shard]) -> list[SeekableShard]:
    """Shards on disk, several at a time: a network's disk answers each of many small reads late."""
    with ThreadPoolExecutor(_OPENED_AT_A_TIME) as pool:
        return list(pool.map(SeekableShard, shards))


def _told_count(shard: Shard) -> int:
    """How many samples a shard holds, as its index says."""
    if shard.samples is not None:
        check_size(shard)
        return shard.samples
    if not shard.is_local:
        raise InputError(
            f"{shard.location}: how many samples? give the URL of the index.json beside it"
        )
    return len(SeekableShard(shard))


def collate(samples: list[Sample], dense_from: DenseFrom | None = "lidar") -> Batch:
    """One batch of samples of one size.

    Raises:
        InputError: a sample has no dense depth.
    """
    images = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    radar = [_radar_image(sample) for sample in samples]

    def maps(of: Callable[[Sample], np.ndarray | None]) -> Tensor:
        depths = [of(sample) for sample in samples]
        blank = np.zeros_like(samples[0].single_scan)
        return torch.from_numpy(
            np.stack([blank if depth is None else depth for depth in depths])[:, None]
        )

    return Batch(
        keys=[sample.key for sample in samples],
        image=(torch.from_numpy(np.ascontiguousarray(images)).float() / 255 - mean) / std,
        radar=torch.from_numpy(np.stack(radar)),
        single_scan=maps(lambda sample: sample.single_scan),
        dense=maps(lambda sample: _dense(sample, dense_from)),
        exact=maps(lambda sample: sample.exact),
        returns=_filled_up([sample.radar for sample in samples], len(RADAR_COLUMNS)),
        boxes=_filled_up([sample.boxes for sample in samples], 4),
        K=torch.from_numpy(np.stack([sample.camera.K for sample in samples])).float(),
    )


def _dense(sample: Sample, dense_from: DenseFrom | None) -> np.ndarray:
    """(h, w) float32 metres, 0 where there is none or none that a network can answer.

    Sweeps taken farther ahead bring depths beyond that, which would only push it to its limit.
    """
    if dense_from == "lidar" and sample.dense is None:
        raise InputError(
            f"{sample.key}: no dense depth; prepare without --leave-out dense, or give "
            "data.dense_from: single_scan, or for a generated drive exact"
        )
    if dense_from == "exact" and sample.exact is None:
        raise InputError(
            f"{sample.key}: no exact depth, which only generated drives have; give "
            "data.dense_from: lidar"
        )
    sources = {"lidar": sample.dense, "exact": sample.exact, "single_scan": sample.single_scan}
    depth = sources[dense_from or "lidar"]
    if depth is None:
        return np.zeros_like(sample.single_scan)
    return np.where(depth <= MAX_DEPTH, depth, np.float32(0))


def _radar_image(sample: Sample) -> np.ndarray:
    """(4, h, w) float32."""
    uv, depth, rcs, velocity, _ = np.split(sample.radar, (2, 3, 4, 6), axis=1)
    every = np.ones(len(uv), bool)
    seen = VisibleReturns(uv.astype(np.float64), depth[:, 0], rcs[:, 0], velocity, every)
    return seen.rasterise(sample.camera, sample.camera)


def _size(read: _Read) -> int:
    """Bytes of a sample's files."""
    return sum(map(len, read.files.values()))


def _filled_up(tables: list[np.ndarray], columns: int) -> Tensor:
    """Tables of several lengths as one tensor, zeros behind the shorter ones."""
    filled = np.zeros((len(tables), max(map(len, tables)), columns), np.float32)
    for row, table in zip(filled, tables, strict=True):
        row[: len(table)] = table
    return torch.from_numpy(filled)
