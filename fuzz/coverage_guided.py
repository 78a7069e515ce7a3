"""`python -m fuzz.coverage_guided TARGET`: inputs that reach new lines of what reads (atheris).

Atheris (`pip install atheris`, Linux, Python up to 3.13) watches which branches of lircdepth's and
rosbags' Python an input reaches, and changes those that reached new ones. Options of libFuzzer
follow the target's name: `-max_total_time=600`, `-rss_limit_mb=4096`, a folder that keeps what was
found. It ends at the first input that breaks a promise, and keeps it as `crash-...`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "support")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["lircdepth_core", "lircdepth_ros", "rosbags"]):
    from fuzz.processes import targets

    TARGETS = {target.name: target for target in targets()}

from hypothesis import HealthCheck, given, settings  # noqa: E402

from fuzz.target import WAITS, checked  # noqa: E402

SLOW = 5.0
"""Seconds of processor time that a case may take: code that is watched is several times slower."""


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"give a target: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.cases)
    def one(case: object) -> None:
        message, seconds, waited = checked(target, case)
        assert message is None or (message.strip() and "\n" not in message), message
        assert seconds <= SLOW, f"took {seconds:.1f} s"
        assert waited <= WAITS, f"waited {waited:.1f} s"

    fuzz_one = one.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    begin, cases = time.monotonic(), 0

    def counted(data: bytes) -> None:
        nonlocal cases
        cases += fuzz_one(data) is not None
        if cases and cases % 1000 == 0:
            print(f"{cases} cases in {time.monotonic() - begin:.0f} s", flush=True)

    atheris.Setup(sys.argv, counted)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
