"""DDS of this process, and of those that it starts, apart from other tests' beside it."""

import os


def own_domain() -> dict[str, str]:
    """Environment variables: this host only, and a domain of this test process.

    A worker of pytest-xdist inherits the domain of the process that started it, and takes another;
    up to four workers of one run have different ones.
    """
    discovery = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    worker = os.environ.get("PYTEST_XDIST_WORKER")  # gw0, gw1, ...
    if worker is not None:
        domain = str(1 + 4 * (os.getppid() % 25) + int(worker[2:]) % 4)
    else:
        domain = os.environ.get("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    return {"ROS_AUTOMATIC_DISCOVERY_RANGE": discovery, "ROS_DOMAIN_ID": domain}
