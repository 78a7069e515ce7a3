"""DDS of this process, and of those that it starts, apart from other tests' beside it."""

import os


def own_domain() -> dict[str, str]:
    """Environment variables: this host only, and a domain of this test process.

    A worker of pytest-xdist inherits the domain of the process that started it, and takes another.
    """
    inherited = {} if "PYTEST_XDIST_WORKER" in os.environ else dict(os.environ)
    return {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": os.environ.get(
            "ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"
        ),
        "ROS_DOMAIN_ID": inherited.get("ROS_DOMAIN_ID", str(1 + os.getpid() % 100)),
    }
