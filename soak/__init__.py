"""A long run of the node as a process of its own, fed with jittered, missing and corrupted inputs.

    python -m soak --minutes 10 --out OUT

`docs/reliability.md` holds its last result.
"""
