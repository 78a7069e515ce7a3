"""Every published loss term has the value that the published code gives."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_rule import make_input

from lircdepth_core.dataset.reader import Batch
from lircdepth_core.distillation import StudentTask, StudentTaskConfig

GOLDEN = Path(__file__).parents[2] / "data" / "golden_losses.json"
SIZE = (96, 160)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(11)
    maps = []
    for share in (0.5, 0.03):
        depth = rng.uniform(1, 90, (1, 1, *SIZE))
        maps.append(np.where(rng.uniform(0, 1, depth.shape) < share, depth, 0))
    dense, single_scan = (torch.from_numpy(depth).float() for depth in maps)
    image, radar = make_input(*SIZE)
    return Batch(
        keys=["golden"],
        image=image,
        radar=radar,
        single_scan=single_scan,
        dense=dense,
        exact=torch.zeros_like(dense),
        returns=torch.zeros(1, 0, 7),
        boxes=torch.zeros(1, 0, 4),
        K=torch.eye(3)[None],
    )


def test_every_term_equals_the_published(batch, student, teacher):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with torch.inference_mode():
        terms = StudentTask(student, teacher, StudentTaskConfig())(batch).terms
        plain = StudentTaskConfig(rectified=False).without_distillation()
        plain_l1 = StudentTask(student, None, plain)(batch).terms["depth_dense"]
    got = terms | {"plain_l1_dense": plain_l1, "smoothness_unweighted": terms["smoothness"]}

    errors = {name: abs(got[name].item() / value - 1) for name, value in golden.items()}
    assert len(errors) == 8
    assert {name: error for name, error in errors.items() if not error <= 1e-4} == {}
