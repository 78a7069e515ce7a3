"""`python -m fuzz`: run all targets and print what came of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "support")]

from fuzz.processes import run_in_process, targets  # noqa: E402
from fuzz.target import Tally  # noqa: E402
from lircdepth_core.text_table import Table  # noqa: E402


def main() -> int:
    """1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="TARGET", help="their names")
    parser.add_argument("--out", type=Path, help="file for the figures, JSON")
    args = parser.parse_args()
    known = [target.name for target in targets()]
    if unknown := set(args.only or ()) - set(known):
        parser.error(f"--only {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    chosen = [t for t in targets() if not args.only or t.name in args.only]
    shares = sum(target.share for target in chosen)
    found: dict[str, Tally] = {}
    for target in chosen:
        cases = max(1, round(args.cases * target.share / shares))
        found[target.name] = tally = run_in_process(target.name, cases, args.seed)
        print(f"{target.name}: {tally.defect or f'{tally.cases} cases'}", flush=True)
    rows = [
        (
            name,
            *(f"{n:,}" for n in (tally.cases, tally.answered, tally.refused)),
            f"{tally.slowest:.3f}",
            f"{tally.grown:.0f}",
            "a defect" if tally.defect else "none",
        )
        for name, tally in found.items()
    ]
    columns = ("target", "cases", "answered", "refused", "slowest s", "grown MiB", "defects")
    print(Table(f"seed {args.seed}", columns, rows).text())
    total = sum(tally.cases for tally in found.values())
    print(f"{total:,} cases")
    if args.out:
        figures = {
            "python": platform.python_version(),
            "seed": args.seed,
            "cases": total,
            "targets": {
                name: {k: v for k, v in dataclasses.asdict(t).items() if not k.startswith("_")}
                for name, t in found.items()
            },
        }
        args.out.write_text(json.dumps(figures, indent=1) + "\n")
    return int(any(tally.defect for tally in found.values()))


if __name__ == "__main__":
    sys.exit(main())
