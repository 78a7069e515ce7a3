"""How far a run has come, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """The validation whose parameters are the run's result so far.

    Attributes:
        step: after which it was.
        mae: metres.
        rmse: metres.
        images: on how many.
    """

    step: int
    mae: float
    rmse: float
    images: int


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: updates done.
        epoch: number of the epoch that is under way, from 0.
        step_in_epoch: updates done in it.
        image_steps: images seen, each time that one was.
        chosen: None before the first validation.
        validated: step of the last validation that came to its end, 0 before the first.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    image_steps: int = 0
    chosen: Chosen | None = None
    validated: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        progress: how far it came.
        total_steps: updates of the whole run.
        stopped_by: why it stopped before its end; None if it did not.
    """

    progress: Progress
    total_steps: int
    stopped_by: str | None
