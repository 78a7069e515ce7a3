"""Training samples with as few lidar labels as an image on a road has, for its size.

    python experiments/ablation/sparse_labels.py SAMPLES OUT POINTS

SAMPLES is a folder of `lircdepth prepare`; in OUT each image has POINTS of the points of its single
scan, drawn by its key, and all else as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from lircdepth_core.dataset.sample_files import decode_depth, encode_depth
from lircdepth_core.dataset.shard_writer import ShardWriter
from lircdepth_core.dataset.shards import INDEX_FILE, SeekableShard, find_shards
from lircdepth_core.result_files import write_atomically


def make_sparse(samples: Path, out: Path, points: int) -> None:
    """Write the folder; its index comes last, and where it is nothing is done."""
    if (out / INDEX_FILE).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    index = json.loads((samples / INDEX_FILE).read_text())
    for entry, shard in zip(index["shards"], find_shards(samples), strict=True):
        source, thinned = SeekableShard(shard), ShardWriter(out / entry["file"])
        try:
            for number, key in enumerate(source.keys):
                files = source.files(number)
                scan = sparse(decode_depth(files["single.png"]), points, key)
                thinned.add(key, files | {"single.png": encode_depth(scan)})
            entry |= thinned.finish()
        finally:
            thinned.abandon()
    write_atomically(out / INDEX_FILE, json.dumps(index, indent=1, sort_keys=True))


def sparse(scan: np.ndarray, points: int, key: str) -> np.ndarray:
    """(H, W) metres with at most so many of a scan's points, 0 elsewhere."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    measured = np.flatnonzero(scan)
    kept = np.random.default_rng(seed).permutation(measured)[:points]
    thinned = np.zeros_like(scan)
    thinned.flat[kept] = scan.flat[kept]
    return thinned


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("points", type=int)
    arguments = parser.parse_args()
    make_sparse(arguments.samples, arguments.out, arguments.points)
