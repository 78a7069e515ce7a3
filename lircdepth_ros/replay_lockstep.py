"""The order in which a replay that waits for answers sends what was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from lircdepth_ros.replay_bag import STAMP_END, BagMessage, header_stamp

SENT_AHEAD = 100_000_000
"""ns after an image's stamp up to which all else is sent before its answer is waited for."""

LATEST = 1_000_000_000
"""ns after its stamp within which a message was recorded, if it is to come before the answer."""


@dataclass(frozen=True)
class AwaitAnswer:
    """Now wait until the image with this header.stamp (ns) is answered."""

    stamp: int


def lockstep(
    messages: Iterable[BagMessage],
    image_topic: str,
    stamped: Collection[str] = (),
    unstamped: Collection[str] = (),
) -> Iterator[BagMessage | AwaitAnswer]:
    """Order messages so that one image at a time is on its way to the node.

    After an image goes all else that is stamped up to 0.1 s after it, though it may have been
    recorded later; then its answer is awaited. Later images stay back until then, and so does what
    camera_info beside it, or beside its base topic, says of them. Every topic keeps its order.

    Args:
        messages: in order of recording.
        image_topic: messages of this topic start with a std_msgs/Header.
        stamped: topics whose messages start with one too: their stamps count.
        unstamped: the other topics: their times of recording count, against the image's.

    Raises:
        InputError: an image message holds no header.
    """
    # Beside the image, or beside the base topic of image_transport's /compressed.
    beside = image_topic.rpartition("/")[0]
    info_topics = {f"{beside}/camera_info", f"{beside.rpartition('/')[0]}/camera_info"}
    topics = {image_topic, *stamped, *unstamped}
    stream, put_back = iter(messages), deque[BagMessage]()

    def following() -> Iterator[BagMessage]:
        while put_back:
            yield put_back.popleft()
        for message in stream:
            yield message
            while put_back:
                yield put_back.popleft()

    def is_later(message: BagMessage, image: BagMessage) -> bool:
        if message.topic == image_topic:
            return True
        if message.topic in stamped and len(message.data) >= STAMP_END:
            ahead = 0 if message.topic in info_topics else SENT_AHEAD
            return header_stamp(message) > header_stamp(image) + ahead
        return message.time > image.time + SENT_AHEAD

    for message in following():
        yield message
        if message.topic != image_topic:
            continue
        held: list[BagMessage] = []
        held_topics: set[str] = set()
        stamp = header_stamp(message)
        for other in following():
            if other.topic in held_topics or is_later(other, message):
                held.append(other)
                held_topics.add(other.topic)
            else:
                yield other
            if topics <= held_topics or other.time > message.time + SENT_AHEAD + LATEST:
                break
        yield AwaitAnswer(stamp)
        put_back.extendleft(reversed(held))
