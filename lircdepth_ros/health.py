"""What the node counts and measures, and its /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_WINDOW_SECONDS = 5.0
"""Input rates are counted over this long."""

RECENT_SECONDS = 3.0
"""A problem this old no longer colours the status; without an answer for longer, a warning does.
Twice the period of diagnostics where that is longer, so that each problem is seen."""

NEWS_SECONDS = 60.0
"""A reason that did not occur for this long is logged again."""

MAX_EVENTS = 200
"""Names of events that are counted each on its own."""

MAX_DETAIL_CHARACTERS = 500
"""Of a message's fault, parts of which its sender chose."""

ORDINARY_REASONS = ("replaced by newer", "node stopped")
"""Reasons to drop an image that are no fault."""


@dataclass
class _Input:
    """Arrivals of one topic, steady seconds."""

    received: int = 0
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=5000))
    must_flow: bool = False

    def recent(self, now: float, window: float = RATE_WINDOW_SECONDS) -> int:
        """How many came within so many seconds."""
        return sum(now - arrival <= window for arrival in self.arrivals)


class Health:
    """Counters and timings of the node. All methods may be called from any thread.

    Args:
        warn: called for each reason a message was dropped or something is missing, once until it
            did not occur for `NEWS_SECONDS`.
        clock: the steady clock, seconds.
    """

    def __init__(
        self, warn: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._warn = warn
        self._clock = clock
        self._lock = threading.Lock()
        self._inputs: dict[str, _Input] = defaultdict(_Input)
        self._dropped_images: Counter[str] = Counter()
        self._dropped_messages: Counter[str] = Counter()
        self._notices: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._last_problem: tuple[float, bytes, str] | None = None
        self._recent = RECENT_SECONDS
        self._last_seen: dict[str, float] = {}
        self._conditions: dict[str, str] = {}
        self._began = clock()
        self._last_answer: float | None = None
        self._stages: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=200))
        self._facts: dict[str, str] = {}
        self._answered = 0
        self._images = 0

    def expect(self, topic: str, must_flow: bool = True) -> None:
        """Show a topic from now on, received or not.

        Args:
            topic: its resolved name.
            must_flow: whether its silence is worth a warning, as is not that of a calibration.
        """
        with self._lock:
            self._inputs[topic].arrivals.clear()
            self._inputs[topic].must_flow = must_flow
            self._events[f"{topic}: messages lost"] += 0

    def begin(self) -> None:
        """The node became active: answers are expected from now on."""
        with self._lock:
            self._began, self._last_answer, self._last_problem = self._clock(), None, None

    def received(self, topic: str) -> None:
        """A message of a topic arrived."""
        with self._lock:
            entry = self._inputs[topic]
            entry.received += 1
            entry.arrivals.append(self._clock())

    def image_received(self) -> None:
        """An image arrived; it will be answered or dropped with a reason."""
        with self._lock:
            self._images += 1

    def image_answered(self, stage_seconds: dict[str, float]) -> None:
        """An image was answered; seconds spent in each stage."""
        with self._lock:
            self._answered += 1
            self._last_answer = self._clock()
            for stage, seconds in stage_seconds.items():
                self._stages[stage].append(seconds)

    def image_dropped(self, reason: str, detail: str = "") -> None:
        """An image got no answer."""
        ordinary = reason in ORDINARY_REASONS
        with self._lock:
            news = self._is_news(f"image: {reason}")
            self._dropped_images[reason] += 1
            if not ordinary:
                self._problem(DiagnosticStatus.ERROR, _joined(reason, detail))
        if news and not ordinary:
            self._warn(f"image dropped: {_joined(reason, detail)}")

    def message_dropped(self, topic: str, reason: str, detail: str) -> None:
        """A message other than an image cannot be used."""
        key = f"{topic}: {reason}"
        with self._lock:
            news = self._is_news(f"message: {key}")
            self._dropped_messages[key] += 1
            self._problem(DiagnosticStatus.WARN, _joined(key, detail))
        if news:
            self._warn(_joined(f"{topic}: message dropped: {reason}", detail))

    def notice(self, reason: str, detail: str = "") -> None:
        """An image was answered with something missing, say its radar or ego motion."""
        with self._lock:
            news = self._is_news(f"notice: {reason}")
            self._notices[reason] += 1
            self._problem(DiagnosticStatus.WARN, _joined(reason, detail))
        if news:
            self._warn(_joined(reason, detail))

    def condition(self, name: str, detail: str | None) -> None:
        """Something lasts that is worth a warning, such as a lost GPU; counted when it begins.

        Args:
            name: of the condition.
            detail: what there is to say of it; None: it does not hold (any more).
        """
        with self._lock:
            begins = detail is not None and name not in self._conditions
            news = begins and self._is_news(f"condition: {name}")
            if begins:
                self._begun[name] += 1
            if detail is None:
                self._conditions.pop(name, None)
            else:
                self._conditions[name] = detail
        if news:
            self._warn(_joined(name, detail or ""))

    def forget_model(self) -> None:
        """The model is gone: facts and conditions of it say nothing any more."""
        with self._lock:
            self._facts.clear()
            self._conditions.clear()

    def event(self, name: str, count: int = 1, problem: str = "") -> None:
        """Something worth counting happened: messages lost, QoS incompatible, clock jump.

        Args:
            name: of the event. Publishers choose TF's frames, so beyond `MAX_EVENTS` names the
                rest are counted as one.
            count: how often it happened.
            problem: what is to be warned of; empty if nothing is.
        """
        name = name[:MAX_DETAIL_CHARACTERS]
        told = _joined(name, problem)
        with self._lock:
            if name not in self._events and len(self._events) >= MAX_EVENTS:
                name = "other events"
            self._events[name] += count
            news = bool(problem) and self._is_news(f"event: {name}")
            if problem:
                self._problem(DiagnosticStatus.WARN, told)
        if news:
            self._warn(told)

    def fact(self, name: str, value: object) -> None:
        """The current value of something: device, back end, radar age."""
        with self._lock:
            self._facts[name] = str(value)

    def forget(self, *names: str) -> None:
        """Facts that say nothing any more."""
        with self._lock:
            for name in names:
                self._facts.pop(name, None)

    def _is_news(self, key: str) -> bool:
        now = self._clock()
        last = self._last_seen.get(key)
        self._last_seen[key] = now
        return last is None or now - last > NEWS_SECONDS

    def _problem(self, level: bytes, text: str) -> None:
        now = self._clock()
        if self._last_problem is not None:
            when, last_level, _ = self._last_problem
            if now - when < self._recent and last_level > level:
                return
        self._last_problem = (now, level, text)

    def snapshot(self) -> dict[str, int]:
        """Images received, answered and dropped by reason; the sum always holds but for those
        in work.
        """
        with self._lock:
            counts = {"received": self._images, "answered": self._answered}
            counts.update((f"dropped: {k}", n) for k, n in self._dropped_images.items())
            return counts

    def diagnostics(
        self, node_name: str, state: str, hardware: str, failure: str = "", period: float = 0.0
    ) -> DiagnosticArray:
        """The diagnostic_msgs/DiagnosticArray, but for its stamp.

        Args:
            node_name: with its namespace.
            state: of the lifecycle.
            hardware: the device in use.
            failure: what is worse than all that was counted: why the last transition failed, or
                what hangs; empty if nothing is.
            period: between two of these messages, seconds.
        """
        now = self._clock()
        with self._lock:
            self._recent = max(RECENT_SECONDS, 2 * period)
            level, text = self._status(now, state, failure)
            silent = self._silent_inputs(now, RATE_WINDOW_SECONDS) if state == "active" else ""
            news = ""
            if state == "active" and now - self._last_answer_or_beginning > RECENT_SECONDS:
                told = _joined("no image is answered", self._silent_inputs(now, RECENT_SECONDS))
                news = told if self._is_news(told) else ""
            groups = {
                "images": self._image_values(),
                "inputs": self._input_values(now),
                "stages": self._stage_values(),
                "facts": dict(self._facts),
            }
        if news:
            self._warn(news)
        groups_told = {
            "images": (level, text),
            "inputs": (DiagnosticStatus.WARN if silent else DiagnosticStatus.OK, silent),
        }
        array = DiagnosticArray()
        for group, values in groups.items():
            level, text = groups_told.get(group, (DiagnosticStatus.OK, ""))
            status = DiagnosticStatus(
                name=f"{node_name}: {group}", hardware_id=hardware, level=level, message=text
            )
            status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
            array.status.append(status)
        return array

    def _status(self, now: float, state: str, failure: str) -> tuple[bytes, str]:
        """Level and message: the worst that is true now."""
        if failure:
            return DiagnosticStatus.ERROR, failure
        if state != "active":
            return DiagnosticStatus.WARN, state
        if self._last_problem is not None and now - self._last_problem[0] < self._recent:
            return self._last_problem[1:]
        warnings = [_joined(*condition) for condition in self._conditions.items()]
        silence = now - self._last_answer_or_beginning
        if silence > RECENT_SECONDS:
            warnings.insert(0, f"no image answered for {silence:.0f} s")
        if warnings:
            return DiagnosticStatus.WARN, "; ".join(warnings)
        return DiagnosticStatus.OK, state

    @property
    def _last_answer_or_beginning(self) -> float:
        return self._began if self._last_answer is None else self._last_answer

    def _silent_inputs(self, now: float, window: float) -> str:
        """Names of the topics that should flow and do not, in words; empty for none."""
        if now - self._began <= window:
            return ""
        silent = [
            topic
            for topic, entry in sorted(self._inputs.items())
            if entry.must_flow and not entry.recent(now, window)
        ]
        return f"nothing comes on {', '.join(silent)}" if silent else ""

    def _image_values(self) -> dict[str, str]:
        values = {"received": str(self._images), "answered": str(self._answered)}
        values |= {f"dropped: {k}": str(n) for k, n in sorted(self._dropped_images.items())}
        values |= {f"answered without: {k}": str(n) for k, n in sorted(self._notices.items())}
        values |= {f"warned of: {k}": str(n) for k, n in sorted(self._begun.items())}
        return values

    def _input_values(self, now: float) -> dict[str, str]:
        values = {}
        for topic, entry in sorted(self._inputs.items()):
            recent = entry.recent(now)
            window = min(RATE_WINDOW_SECONDS, max(now - self._began, 1.0))
            values[f"{topic}: received"] = str(entry.received)
            values[f"{topic}: rate [Hz]"] = f"{recent / window:.1f}"
        values |= {f"dropped: {k}": str(n) for k, n in sorted(self._dropped_messages.items())}
        values |= {k: str(n) for k, n in sorted(self._events.items())}
        return values

    def _stage_values(self) -> dict[str, str]:
        values = {}
        for stage, seconds in self._stages.items():
            for percent in (50, 95):
                milliseconds = 1000 * float(np.percentile(seconds, percent))
                values[f"{stage} p{percent} [ms]"] = f"{milliseconds:.1f}"
        return values


def _joined(reason: str, detail: str) -> str:
    if len(detail) > MAX_DETAIL_CHARACTERS:
        detail = f"{detail[:MAX_DETAIL_CHARACTERS]}…"
    return f"{reason}: {detail}" if detail else reason
