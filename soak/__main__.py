"""`python -m soak`: feed the node for minutes and judge it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import rclpy
from rclpy.executors import SingleThreadedExecutor

from soak.dds_settings import keep_to_ourselves
from soak.feed import Feed, make_context
from soak.node_process import start_node
from soak.verdict import Verdict, judge
from soak.watch import Watch

START_SECONDS, LAST_SECONDS = 120.0, 5.0
SETTLE_SECONDS = 3.0
"""The publishers here know of the node's readers before these know of them; what is sent in between
is lost, and nobody counts it."""


def soak(model: str, minutes: float, seed: int, out: Path) -> tuple[Verdict, Watch]:
    """Run and judge.

    Raises:
        RuntimeError: the node did not start, or ended on its own.
    """
    process = start_node(model, out, "image_type:=compressed")
    context = make_context()
    node = rclpy.create_node("soak", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    feed = Feed(node, seed)
    watch = Watch(node, process.pid, feed)

    def go_on(seconds: float, publish: bool, until: Any = lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            if process.poll() is not None:
                raise RuntimeError(f"the node ended with {process.returncode}; see {out}/node.log")
            wait = feed.publish_due() if publish else 0.05
            executor.spin_once(timeout_sec=min(wait, 0.05))
            if publish:
                watch.look()

    try:
        go_on(START_SECONDS, False, until=lambda: feed.ready and bool(watch.values))
        if not (feed.ready and watch.values):
            raise RuntimeError(f"the node does not listen; see {out}/node.log")
        go_on(SETTLE_SECONDS, False)
        # What is first done for a size may hold the node up for longer than its ten messages of
        # DDS last, and DDS does not count those that newer ones replaced.
        end = time.monotonic() + START_SECONDS
        while not watch.answered and time.monotonic() < end:
            sent = feed.images_sent
            go_on(LAST_SECONDS, True, until=lambda sent=sent: feed.images_sent > sent)
            go_on(LAST_SECONDS, False, until=lambda: watch.received >= feed.images_sent)
            go_on(LAST_SECONDS, False, until=lambda: watch.answered)
        go_on(60 * minutes, True)
        go_on(LAST_SECONDS, False)
        verdict = judge(
            feed.sent,
            watch.values,
            watch.lost,
            watch.latencies,
            watch.looks,
            watch.pairs,
            watch.wrong,
        )
        process.send_signal(signal.SIGINT)
        if (status := process.wait(20)) != 0:
            verdict.broken.append(f"the node ended with {status} after SIGINT")
    finally:
        if process.poll() is None:
            process.kill()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
    return verdict, watch


def draw(watch: Watch, path: Path) -> None:
    """Memory and latency over time."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    begin = watch.looks[0][0]
    resident = [m / 2**20 for _, m, _ in watch.looks]
    top.plot([(t - begin) / 60 for t, _, _ in watch.looks], resident)
    top.set_ylabel("resident MiB")
    top.set_ylim(0, 1.2 * max(resident))  # by itself the axis would end where the line is
    minutes = [(t - begin) / 60 for t, _ in watch.latencies]
    bottom.plot(minutes, [1000 * s for _, s in watch.latencies], ".", markersize=2)
    bottom.set_ylabel("latency ms")
    bottom.set_xlabel("minutes")
    bottom.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)


def main() -> int:
    """1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="(default: 10)")
    parser.add_argument("--model", default="lircdepth", help="(default: lircdepth)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="(default: out/soak)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    keep_to_ourselves()
    verdict, watch = soak(args.model, args.minutes, args.seed, args.out)
    text = json.dumps({**verdict.figures, "broken": verdict.broken}, indent=1)
    (args.out / "soak.json").write_text(text + "\n")
    draw(watch, args.out / "soak.png")
    print(text)
    for line in verdict.broken:
        print(f"broken: {line}")
    return int(bool(verdict.broken))


if __name__ == "__main__":
    sys.exit(main())
