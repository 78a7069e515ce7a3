"""The SROS 2 policy allows what the node has, and nothing that it has not."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import pytest
from geometry_msgs.msg import TransformStamped
from std_srvs.srv import Empty

from lircdepth_ros.tf_poses import tf_is_installed

POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2_policy.xml"

# Asked for with the other source of poses, or with a clock of its own.
NOT_ALWAYS = {"/tf", "/tf_static", "/depth/input/odometry", "/clock", "/parameter_events"}

INSIDE_RCL = {
    "publish": {"/rosout", "/depth/transition_event"},
    "subscribe": set(),
    "reply": {"/depth/get_type_description"},
}
"""What rcl makes for a lifecycle node without telling rclpy."""


class LikeBuffer:
    """What a tf2_ros.Buffer makes on a node."""

    def __init__(self, cache_time=None, node=None):
        if node is not None:
            self.srv = node.create_service(Empty, "tf2_frames", lambda _, answer: answer)
        self.jump_handle = SimpleNamespace(unregister=lambda: None)


class LikeTransformListener:
    """What a tf2_ros.TransformListener makes on a node."""

    def __init__(self, buffer, node, spin_thread=False):
        self.node = node
        self.subscriptions = [
            node.create_subscription(TransformStamped, topic, lambda _: None, 10)
            for topic in ("/tf", "/tf_static")
        ]

    def unregister(self):
        for subscription in self.subscriptions:
            self.node.destroy_subscription(subscription)


@pytest.fixture(params=["odometry", "TF", "TF without tf2_ros"])
def set_up(request, monkeypatch):
    """The node's parameters for poses from one source; where tf2_ros is missing, one like it."""
    if request.param == "odometry":
        return {}
    if request.param == "TF":
        if not tf_is_installed():
            pytest.skip("tf2_ros is not installed; there is no wheel")
        return {"calibration_file": ""}
    fake = ModuleType("tf2_ros")
    fake.__spec__ = ModuleSpec("tf2_ros", None)
    fake.Buffer, fake.TransformListener = LikeBuffer, LikeTransformListener
    monkeypatch.setitem(sys.modules, "tf2_ros", fake)
    return {"calibration_file": ""}


def allowed(tag: str, what: str) -> set[str]:
    (profile,) = ElementTree.parse(POLICY).iter("profile")
    names = {
        entry.text
        for group in profile.findall(tag)
        if group.get(what) == "ALLOW"
        for entry in group
    }
    node, namespace = profile.get("node"), profile.get("ns")
    return {
        name.replace("~", f"{namespace}{node}") if name.startswith("~") else f"{namespace}{name}"
        for name in names
    }


@pytest.mark.parametrize(
    ("kind", "entities"),
    [
        (("topics", "publish"), "publishers"),
        (("topics", "subscribe"), "subscriptions"),
        (("services", "reply"), "services"),
    ],
    ids=["publish", "subscribe", "reply"],
)
def test_the_policy_is_what_the_node_has(kind, entities, set_up, make_rig, predictor):
    node = make_rig(**set_up).node
    # The graph of DDS still tells of nodes of this name that earlier tests ended.
    has = {
        entity.service_name if kind[0] == "services" else entity.topic_name
        for entity in getattr(node, entities)
    }
    has = {name if name.startswith("/") else f"/{name}" for name in has} | INSIDE_RCL[kind[1]]
    assert has - allowed(*kind) == set()
    assert allowed(*kind) - has <= NOT_ALWAYS


def test_nothing_is_allowed_by_a_wildcard():
    text = POLICY.read_text()
    body = text[text.index("<policy") :]
    assert "*" not in body
    assert "?" not in body
