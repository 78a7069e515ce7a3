"""Hostile input, made by hypothesis: every case is answered rightly or refused with `InputError`.

    python -m fuzz --cases 100000 --out fuzz.json

`docs/reliability.md` holds its last result.
"""
