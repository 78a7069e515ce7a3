"""Batches some of whose samples lack what a sensor can fail to give, or are of another camera."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import IterableDataset

from lircdepth_core.dataset.reader import Batch, TrainingBatches
from lircdepth_core.training.camera_variation import with_other_cameras
from lircdepth_core.training.config import Data
from lircdepth_core.training.exposure_faults import with_exposure_faults
from lircdepth_core.training.radar_dropout import without_some_radar
from lircdepth_core.training.taught_padding import with_padding


class DisturbedBatches(IterableDataset[Batch]):
    """The batches of a data set, some without radar, some as of another camera, some badly
    exposed, some with padding.

    What is disturbed is a pure function of seed, epoch and the sample's key: the number of
    processes and of loader workers changes nothing.

    Args:
        batches: the data set.
        config: how often; see `Data.radar_dropout`, `other_cameras`, `exposure_faults` and
            `padding`.
        seed: of the choice.
    """

    def __init__(self, batches: TrainingBatches, config: Data, seed: int) -> None:
        self._batches, self._config, self._seed = batches, config, seed
        self._epoch = 0

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """See `TrainingBatches.set_epoch`."""
        self._epoch = epoch
        self._batches.set_epoch(epoch, first_batch)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this loader worker."""
        place = self._seed, self._epoch
        for batch in self._batches:
            heard = without_some_radar(batch, self._config.radar_dropout, *place)
            seen = with_other_cameras(heard, self._config.other_cameras, *place)
            exposed = with_exposure_faults(seen, self._config.exposure_faults, *place)
            yield with_padding(exposed, self._config.padding, *place)
