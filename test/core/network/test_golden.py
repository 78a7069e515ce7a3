"""Both networks compute what the published ones compute."""

import numpy as np
import pytest
import torch

from lircdepth_core.network import Student, Teacher

NETWORKS = {"student": Student, "teacher": Teacher}


@pytest.mark.parametrize("kind", NETWORKS)
def test_outputs_equal_the_published_networks(kind, golden, golden_input, filled):
    with torch.inference_mode():
        output = filled(NETWORKS[kind]())(*golden_input)._asdict()

    expected = {key: value for key, value in golden.items() if key.startswith(kind)}
    errors = {}
    for key, array in expected.items():
        _, field, *index = key.split("/")
        value = output[field][int(index[0])] if index else output[field]
        if field.endswith("features"):
            value = value[:, ::8]
        assert value[0].shape == array.shape, key
        errors[key] = np.abs(value[0].numpy() - array).max() / np.abs(array).max()
    assert len(errors) == {"student": 19, "teacher": 21}[kind]
    assert {key: error for key, error in errors.items() if not error <= 1e-4} == {}
