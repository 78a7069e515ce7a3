"""What a replay is asked to do, and what it reports; free of rosbags, which need not be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.qos import ReliabilityPolicy

ANSWER_TOPIC = "/depth/output/depth/image_rect"


@dataclass(frozen=True)
class ReplayOptions:
    """What to play and how; the meaning of each is in `lircdepth_replay --help`.

    Topic names are as recorded in `topics` and `remap`, as published (after remap) elsewhere.
    """

    bag: Path
    rate: float | None = None
    """Times the recorded pace; None is 1, or no pace at all in lockstep."""
    loop: int = 1
    """How often; 0 is for ever."""
    start: float = 0.0
    duration: float | None = None
    topics: tuple[str, ...] = ()
    remap: Mapping[str, str] = field(default_factory=dict)
    clock: float | None = None
    reliability: ReliabilityPolicy | None = None
    wait: tuple[str, ...] | None = None
    """None: not at all; empty: for any reader; else for readers on each."""
    wait_readers: int = 1
    """How many on each that is waited for by name."""
    wait_timeout: float = 60.0
    lockstep: bool = False
    image_topic: str | None = None
    answer_topic: str = ANSWER_TOPIC
    answer_timeout: float = 30.0


@dataclass
class ReplayReport:
    """What was played. Filled while playing."""

    bag: Path
    sent: dict[str, int] = field(default_factory=dict)
    """Messages by topic, as published."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Reason by topic, as recorded."""
    unusable: dict[str, int] = field(default_factory=dict)
    """Damaged messages by topic, as recorded."""
    answered: int = 0
    unanswered: list[int] = field(default_factory=list)
    """header.stamp, ns, of the images without an answer (lockstep)."""
    latest: float | None = None
    """s by which the latest message was behind its time; None in lockstep, where answers pace."""
    wall_time: float = 0.0
    """s from the first message to the last."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """1 if an image got no answer, else 0."""
        return 1 if self.unanswered else 0

    def __str__(self) -> str:
        end = "interrupted" if self.interrupted else "done"
        lines = [
            f"{self.bag}: {end}, {sum(self.sent.values())} messages in {self.wall_time:.2f} s"
            + ("" if self.latest is None else f", at most {self.latest * 1e3:.1f} ms late")
        ]
        lines += [f"  {topic}: {count}" for topic, count in sorted(self.sent.items())]
        lines += [f"  skipped {topic}: {why}" for topic, why in sorted(self.skipped.items())]
        lines += [
            f"  {topic}: {count} damaged messages left out"
            for topic, count in sorted(self.unusable.items())
        ]
        if self.answered or self.unanswered:
            lines.append(f"  images answered: {self.answered}, not: {len(self.unanswered)}")
        lines += [f"  no answer to the image stamped {stamp_text(x)}" for x in self.unanswered]
        return "\n".join(lines)


def stamp_text(nanoseconds: int) -> str:
    """A stamp in ns as decimal seconds, exactly."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
