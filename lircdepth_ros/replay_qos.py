"""The quality of service that a replayed topic is offered with."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosReliability

DEFAULT_DEPTH = 10
LONG_DEPTH = 100  # static transforms may come one by one, and late readers need them all
MAX_DEPTH = 2**31 - 1  # DDS counts history in int32


def publisher_qos(
    topic: str, recorded: Sequence[Qos], reliability: ReliabilityPolicy | None = None
) -> tuple[QoSProfile, str | None]:
    """QoS of the publisher that stands in for the recorded ones.

    Of several recorded publishers the strongest policy counts: it satisfies each reader that one of
    them satisfied. Depths of those that are transient local add up: each kept its own last messages
    for late readers. What the bag does not say is reliable, volatile, keep last 10; /tf_static is
    transient local, keep last 100 or more. Keep all becomes keep last 100: a reader that hangs must
    neither stop the replay nor fill the memory. Deadline, lifespan and liveliness belong to the
    live sources: a replay at another pace could not keep them and does not offer them.

    Args:
        topic: absolute, as recorded.
        recorded: offered_qos_profiles of the bag.
        reliability: taken in place of the recorded one.

    Returns:
        The profile, and one line about what was recorded but cannot be used (else None).
    """
    static = topic == "/tf_static"
    unusable: list[str] = []

    known_reliability = _known(recorded, "reliability", QosReliability.UNKNOWN, unusable)
    best_effort = known_reliability == {QosReliability.BEST_EFFORT}
    known_durability = _known(recorded, "durability", QosDurability.UNKNOWN, unusable)
    transient = QosDurability.TRANSIENT_LOCAL in known_durability or (
        static and QosDurability.VOLATILE not in known_durability
    )
    long = static or any(qos.history == QosHistory.KEEP_ALL for qos in recorded)
    # Recorders before Iron write "unknown, depth 0": DDS does not announce a publisher's history.
    stated = [qos for qos in recorded if qos.history == QosHistory.KEEP_LAST]
    usable = [qos for qos in stated if _is_depth(qos.depth)]
    unusable += [f"depth {qos.depth!r}" for qos in stated if not _is_depth(qos.depth)]
    latched = [qos.depth for qos in usable if qos.durability == QosDurability.TRANSIENT_LOCAL]
    depths = [min(sum(latched), MAX_DEPTH), *(qos.depth for qos in usable)]
    depths.append(LONG_DEPTH if long else 0 if usable else DEFAULT_DEPTH)

    profile = QoSProfile(
        reliability=reliability
        or (ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE),
        durability=DurabilityPolicy.TRANSIENT_LOCAL if transient else DurabilityPolicy.VOLATILE,
        history=HistoryPolicy.KEEP_LAST,
        depth=max(depths),
    )
    if not unusable:
        return profile, None
    return profile, f"{topic}: recorded QoS not usable ({', '.join(unusable)}); default taken"


def _known(
    recorded: Sequence[Qos], policy: str, unknown: object, unusable: list[str]
) -> set[object]:
    values = {getattr(qos, policy) for qos in recorded}
    if unknown in values:
        unusable.append(f"{policy} unknown")
    return values - {unknown}


def _is_depth(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_DEPTH
