"""The SROS 2 policy allows what the node has, and nothing that it has not."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2_policy.xml"

# Without tf2_ros, or with a clock of its own, the node does not subscribe to these.
NOT_ALWAYS = {"/tf", "/tf_static", "/clock", "/parameter_events"}

INSIDE_RCL = {
    "publish": {"/rosout", "/depth/transition_event"},
    "subscribe": set(),
    "reply": {"/depth/get_type_description"},
}
"""What rcl makes for a lifecycle node without telling rclpy."""


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
def test_the_policy_is_what_the_node_has(kind, entities, make_rig, predictor):
    node = make_rig().node
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
