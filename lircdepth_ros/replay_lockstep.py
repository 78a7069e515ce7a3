"""The order in which a replay that waits for answers sends what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lircdepth_ros.replay_bag import BagMessage, header_stamp

SENT_AHEAD = 100_000_000
"""ns of recording after an image that are sent before its answer is waited for."""


@dataclass(frozen=True)
class AwaitAnswer:
    """Now wait until the image with this header.stamp (ns) is answered."""

    stamp: int


def lockstep(
    messages: Iterable[BagMessage], image_topic: str
) -> Iterator[BagMessage | AwaitAnswer]:
    """Order messages so that one image at a time is on its way to the node.

    After an image goes all else that was recorded up to 0.1 s after it, then its answer is awaited.
    Later images stay back until then, and so does what the sibling topic camera_info says of them:
    it keeps its place just before or after its image. All other topics keep their order.

    Args:
        messages: in order of recording.
        image_topic: messages of this topic start with a std_msgs/Header.

    Raises:
        InputError: an image message holds no header.
    """
    info_topic = image_topic.rpartition("/")[0] + "/camera_info"
    image: BagMessage | None = None
    held: list[BagMessage] = []

    def admit(message: BagMessage) -> Iterator[BagMessage]:
        nonlocal image
        of_later_image = image is not None and (
            message.topic == image_topic
            or (message.topic == info_topic and header_stamp(message) > header_stamp(image))
        )
        if of_later_image:
            held.append(message)
            return
        if message.topic == image_topic:
            image = message
        yield message

    def answer_and_release(sent: BagMessage) -> Iterator[BagMessage | AwaitAnswer]:
        nonlocal image, held
        yield AwaitAnswer(header_stamp(sent))
        image, released, held = None, held, []
        for message in released:
            yield from admit(message)

    for message in messages:
        while image is not None and message.time > image.time + SENT_AHEAD:
            yield from answer_and_release(image)
        yield from admit(message)
    while image is not None:
        yield from answer_and_release(image)
