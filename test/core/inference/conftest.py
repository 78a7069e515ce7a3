"""A network that costs next to nothing."""

import pytest
from small_network import SmallNetwork


@pytest.fixture
def small_network():
    return SmallNetwork()
