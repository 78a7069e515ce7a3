from __future__ import annotations

import numpy as np
import pytest

from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.radar_changes import change_radar
from lircdepth_core.radar import RadarReturns

OPTIONS = EvaluationOptions(radar_shift=0.5, seed=3)


def _returns(number: int = 9) -> RadarReturns:
    rng = np.random.default_rng(1)
    return RadarReturns(
        rng.uniform(1, 50, (number, 3)), np.arange(number), rng.uniform(-9, 9, (number, 2)), 1.5
    )


def test_full_and_none() -> None:
    returns = _returns()
    assert change_radar(returns, "full", "a", OPTIONS) is returns
    assert change_radar(returns, "none", "a", OPTIONS) is None


@pytest.mark.parametrize(("number", "kept"), [(9, 5), (8, 4), (1, 1), (0, 0)])
def test_half_keeps_half_of_the_returns_rounded_up(number: int, kept: int) -> None:
    returns = _returns(number)
    half = change_radar(returns, "half", "a", OPTIONS)
    assert half is not None
    assert len(half) == kept
    # rcs numbers the returns: each is kept at most once, whole.
    index = half.rcs.astype(int)
    assert len(set(index.tolist())) == kept
    assert np.array_equal(half.position, returns.position[index])
    assert np.array_equal(half.velocity, returns.velocity[index])


def test_half_follows_from_seed_and_key_alone() -> None:
    def drawn(key: str, seed: int) -> list[float]:
        half = change_radar(_returns(40), "half", key, EvaluationOptions(seed=seed))
        assert half is not None
        return half.rcs.tolist()

    assert drawn("a", 0) == drawn("a", 0)
    assert drawn("a", 0) != drawn("b", 0)
    assert drawn("a", 0) != drawn("a", 1)


def test_shifted_puts_returns_where_they_were() -> None:
    # One that comes nearer at 10 m/s, one that moves left at 2 m/s, one that does neither.
    position = [[0, 1, 20], [3, 1, 30], [-4, 0, 8]]
    returns = RadarReturns(
        np.array(position), np.zeros(3), np.array([[-10, 0], [0, 2], [0, 0]]), 7.0
    )
    shifted = change_radar(returns, "shifted", "a", OPTIONS)
    assert shifted is not None
    assert shifted.position == pytest.approx(np.array([[0, 1, 25], [4, 1, 30], [-4, 0, 8]]))
    assert np.array_equal(shifted.velocity, returns.velocity)
