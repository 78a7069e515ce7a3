from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import shutil
import tarfile
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from evaluation_rig import make_sample
from torch.utils.data import DataLoader

from lircdepth_core.dataset import reader
from lircdepth_core.dataset.augmentation import InputSpec, centred
from lircdepth_core.dataset.reader import Batch, TrainingBatches, collate
from lircdepth_core.dataset.sample_files import encode_sample
from lircdepth_core.dataset.shards import (
    SeekableShard,
    Shard,
    find_shards,
    read_samples,
    read_shard,
)
from lircdepth_core.errors import InputError

SPEC = InputSpec(96, 160, focal_length=200.0)


def batches(dataset: TrainingBatches, workers: int = 0) -> list[Batch]:
    return list(DataLoader(dataset, batch_size=None, num_workers=workers))


def keys(found: list[Batch]) -> list[str]:
    return [key for batch in found for key in batch.keys]


def assert_equal(one: list[Batch], other: list[Batch]) -> None:
    assert keys(one) == keys(other)
    for first, second in zip(one, other, strict=True):
        for a, b in zip(first[1:], second[1:], strict=True):
            assert torch.equal(a, b)


def every_key(shards) -> list[str]:
    return [sample.key for sample in read_samples(shards)]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("streamed", [False, True])
def test_ranks_and_workers_cover_each_sample_exactly_once(ranks, workers, streamed, shards, url):
    source = f"{url}/index.json" if streamed else shards
    found = [
        keys(
            batches(
                TrainingBatches(source, SPEC, 2, training=False, rank=rank, ranks=ranks), workers
            )
        )
        for rank in range(ranks)
    ]
    assert Counter(chain(*found)) == Counter(every_key(shards))


def test_training_gives_every_rank_the_same_number_of_different_samples(shards):
    found = [keys(batches(TrainingBatches(shards, SPEC, 2, rank=n, ranks=2))) for n in (0, 1)]
    assert [len(part) for part in found] == [4, 4]
    assert len(set(chain(*found))) == 8


def test_the_number_of_loader_workers_changes_nothing(shards):
    dataset = TrainingBatches(shards, SPEC, 2, seed=3)
    assert len(dataset) == 4
    expected = batches(dataset)
    for workers in (1, 2):
        assert_equal(batches(dataset, workers), expected)


def test_two_ranks_give_together_what_one_gives(shards):
    one = batches(TrainingBatches(shards, SPEC, 2))
    two = [batches(TrainingBatches(shards, SPEC, 2, rank=rank, ranks=2)) for rank in (0, 1)]
    assert_equal([batch for pair in zip(*two, strict=True) for batch in pair], one)


def test_seed_and_epoch_decide(shards):
    def epoch(seed: int, number: int) -> list[Batch]:
        dataset = TrainingBatches(shards, SPEC, 3, seed=seed)
        dataset.set_epoch(number)
        return batches(dataset)

    assert_equal(epoch(1, 2), epoch(1, 2))
    first, later, other = epoch(1, 2), epoch(1, 3), epoch(2, 2)
    assert Counter(keys(first)) == Counter(keys(later)) == Counter(keys(other))
    assert keys(first) != keys(later)
    assert keys(first) != keys(other)
    crops = {batch.keys[n]: batch.K[n] for batch in first for n in range(3)}
    assert any(not torch.equal(crops[b.keys[n]], b.K[n]) for b in later for n in range(3))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_goes_on_where_it_was(workers, shards):
    dataset = TrainingBatches(shards, SPEC, 1)
    whole = batches(dataset)
    dataset.set_epoch(0, first_batch=5)
    assert_equal(batches(dataset, workers), whole[5:])


def test_a_stream_mixes_covers_and_resumes_at_a_shard(shards, url):
    dataset = TrainingBatches(f"{url}/index.json", SPEC, 1, buffer=4)
    whole = keys(batches(dataset))
    assert Counter(whole) == Counter(every_key(shards))
    assert whole != every_key(shards)
    dataset.set_epoch(0, first_batch=4)
    rest = keys(batches(dataset))
    assert len(rest) == 5
    assert len({key.split("/")[0] for key in rest}) == 2
    dataset.set_epoch(1)
    assert keys(batches(dataset)) != whole
    with pytest.raises(TypeError):
        len(dataset)


def test_a_stream_of_large_samples_mixes_no_more_than_fit(shards, url, monkeypatch):
    smallest = min(
        sum(map(len, files.values()))
        for shard in find_shards(shards)
        for _, files in read_shard(shard)
    )
    monkeypatch.setattr(reader, "MAX_BUFFER_BYTES", smallest - 1)
    given = keys(batches(TrainingBatches(f"{url}/index.json", SPEC, 1, buffer=4)))
    assert Counter(given) == Counter(every_key(shards))
    for scene in {key.split("/")[0] for key in given}:  # shards mix; in one of them none waits
        of_scene = [key for key in every_key(shards) if key.startswith(scene)]
        assert [key for key in given if key in of_scene] == of_scene


def test_streamed_samples_are_augmented_as_from_disk(shards, url):
    disk = batches(TrainingBatches(shards, SPEC, 1, seed=4))
    stream = batches(TrainingBatches(f"{url}/index.json", SPEC, 1, seed=4))
    by_key = {batch.keys[0]: batch for batch in disk}
    for batch in stream:
        assert_equal([batch], [by_key[batch.keys[0]]])


def test_a_stream_gives_every_worker_of_every_rank_the_same_number(shards, url):
    found = [
        batches(TrainingBatches(f"{url}/index.json", SPEC, 2, rank=rank, ranks=3))
        for rank in range(3)
    ]
    assert [len(part) for part in found] == [1, 1, 1]
    with pytest.raises(InputError, match="fewer workers"):
        batches(TrainingBatches(f"{url}/index.json", SPEC, 2, rank=0, ranks=4))


def test_a_batch_is_what_the_networks_take(shards):
    batch = batches(TrainingBatches(shards, SPEC, 9, training=False))[0]
    assert batch.image.shape == (9, 3, 96, 160)
    assert batch.radar.shape == (9, 4, 96, 160)
    assert batch.single_scan.shape == batch.dense.shape == batch.exact.shape == (9, 1, 96, 160)
    assert batch.returns.shape[::2] == (9, 7)
    assert all(tensor.dtype == torch.float32 for tensor in batch[1:])
    sample = centred(next(read_samples(shards)), SPEC)
    red = (sample.image[..., 0] / 255 - 0.485) / 0.229
    np.testing.assert_allclose(batch.image[0, 0], red, atol=1e-5)
    np.testing.assert_array_equal(batch.dense[0, 0], sample.dense)
    np.testing.assert_array_equal(batch.exact[0, 0], sample.exact)
    np.testing.assert_array_equal(batch.returns[0, : len(sample.radar)], sample.radar)
    assert not batch.returns[0, len(sample.radar) :].any()
    np.testing.assert_array_equal(batch.boxes[0, : len(sample.boxes)], sample.boxes)
    u, v = sample.radar[:, :2].astype(int).T
    nearest = {}
    for column, row, depth in zip(u, v, sample.radar[:, 2], strict=True):
        nearest[row, column] = min(depth, nearest.get((row, column), np.inf))
    assert int((batch.radar[0, 0] > 0).sum()) == len(nearest)
    for (row, column), depth in nearest.items():
        assert batch.radar[0, 0, row, column] == depth


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"batch_size": 10}, "smaller batch"), ({"batch_size": 0}, "positive"),
     ({"batch_size": 1, "rank": 2, "ranks": 2}, "rank 2 of 2")],
)  # fmt: skip
def test_what_cannot_work_is_said_at_once(arguments, words, shards):
    with pytest.raises(InputError, match=words):
        TrainingBatches(shards, SPEC, **arguments)


def test_a_shard_that_does_not_hold_what_its_index_says_is_named(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "changed")
    index = tmp_path / "changed" / "index.json"
    index.write_text(index.read_text().replace('"samples": 3', '"samples": 4'))
    with pytest.raises(InputError, match=r"CAM_FRONT\.tar: .*holds 3 samples, its index says 4"):
        batches(TrainingBatches(tmp_path / "changed", SPEC, 12))


def test_a_shard_is_gone_through_once_not_in_every_epoch_of_every_worker(shards, monkeypatch):
    opened = multiprocessing.get_context("fork").Value("i", 0)

    class Counted(SeekableShard):
        def __init__(self, shard: Shard) -> None:
            super().__init__(shard)
            with opened.get_lock():
                opened.value += 1

    monkeypatch.setattr(reader, "SeekableShard", Counted)
    dataset = TrainingBatches(shards, SPEC, 2)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        assert len(batches(dataset, workers=2)) == len(dataset)
    assert opened.value == len(find_shards(shards))


def test_a_shard_that_went_away_meanwhile_is_named(shards, tmp_path):
    folder = tmp_path / "shards"
    shutil.copytree(shards, folder)
    dataset = TrainingBatches(folder, SPEC, 12, training=False)
    gone = next(folder.glob("*.tar"))
    gone.unlink()
    with pytest.raises(InputError, match=rf"{gone.name}: cannot be read .*No such file"):
        batches(dataset)


def test_a_damaged_sample_is_named_by_its_shard_and_key(shards, tmp_path):
    sample = next(read_samples(shards))
    files = encode_sample(sample) | {"image.jpg": b"no image"}
    with tarfile.open(tmp_path / "damaged.tar", "w") as tar:
        for extension, data in files.items():
            member = tarfile.TarInfo(f"its-key.{extension}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    dataset = TrainingBatches(tmp_path / "damaged.tar", SPEC, 1, training=False)
    with pytest.raises(InputError, match=r"/damaged\.tar: its-key: not a prepared sample"):
        batches(dataset)


def test_a_stream_without_an_index_is_refused(url):
    with pytest.raises(InputError, match=r"index\.json"):
        TrainingBatches([f"{url}/scene-0001-CAM_FRONT.tar"], SPEC, 1)


@pytest.mark.parametrize(
    ("dense_from", "other"), [("lidar", "exact"), ("exact", "dense"), ("single_scan", "dense")]
)
def test_dense_depth_is_the_one_asked_for_as_far_as_the_networks_see(dense_from, other):
    sample = make_sample(0)
    depth = np.full(sample.single_scan.shape, 30, np.float32)
    depth[0], depth[1] = np.inf, 101
    asked = {"lidar": "dense"}.get(dense_from, dense_from)
    known = dataclasses.replace(sample, **{asked: depth, other: None})

    dense = collate([known], dense_from).dense[0, 0]

    assert not dense[:2].any()
    assert (dense[2:] == 30).all()


def test_where_no_source_is_asked_for_dense_depth_is_the_lidar_s_or_none():
    with_dense = make_sample(0, dense=np.full(make_sample(0).exact.shape, 7, np.float32))
    dense = collate([with_dense, make_sample(1)], None).dense
    assert (dense[0] == 7).all()
    assert not dense[1].any()


@pytest.mark.parametrize(("dense_from", "missing"), [("lidar", "dense"), ("exact", "exact")])
def test_a_sample_without_the_depth_asked_for_is_named(dense_from, missing):
    sample = dataclasses.replace(make_sample(3), **{missing: None})
    with pytest.raises(InputError, match=rf"{sample.key}: no {missing} depth.*data\.dense_from"):
        collate([sample], dense_from)


def test_an_index_that_promises_more_samples_than_the_file_can_hold_is_refused(shards, tmp_path):
    """Their order alone would take 800 MB."""
    folder = tmp_path / "shards"
    shutil.copytree(shards, folder)
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0]["samples"] = 99_000_000
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"0001-CAM_FRONT\.tar: .* its index says 99000000"):
        TrainingBatches(folder, SPEC, 2)
