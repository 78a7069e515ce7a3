"""Evaluate a model on prepared samples, and write what comes out."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lircdepth_core.evaluation.evaluate import evaluate
from lircdepth_core.evaluation.frames import choose_frames, draw_frames
from lircdepth_core.evaluation.options import EvaluationOptions
from lircdepth_core.evaluation.report import report_page
from lircdepth_core.evaluation.results import results
from lircdepth_core.evaluation.sources import PreparedSamples
from lircdepth_core.evaluation.tables import TRUTH_NAMES, truth_tables
from lircdepth_core.inference import MAX_NETWORK_PIXELS, Predictor
from lircdepth_core.output_folder import output_folder
from lircdepth_core.progress import Progress
from lircdepth_core.result_files import write_atomically

RESULTS_FILE, PAGE_FILE = "evaluation.json", "evaluation.html"


def write_evaluation(
    model: str | Path,
    data: Sequence[str],
    out: Path,
    options: EvaluationOptions,
    *,
    frames: int = 2,
    workers: int = 1,
    device: str = "auto",
    backend: str = "torch",
    max_network_pixels: int = MAX_NETWORK_PIXELS,
) -> dict[str, Any]:
    """Evaluate, and write `RESULTS_FILE` and `PAGE_FILE`; progress goes to stderr.

    Args:
        model: folder or name.
        data: folders of `lircdepth prepare`, tar files, patterns or URLs.
        out: folder for the two files, made if it is missing.
        options: what is evaluated.
        frames: how many best, typical and worst frames the page shows.
        workers: number of processes.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        backend: what runs the network, see `Predictor`.
        max_network_pixels: larger images are shrunk further than the model asks.

    Returns:
        The results, as in `RESULTS_FILE`.

    Raises:
        InputError: see `evaluate`; or the folder cannot be made.
        OSError: a file cannot be read or written.
    """
    load = partial(
        Predictor.load,
        model,
        device=device,
        backend=backend,
        max_network_pixels=max_network_pixels,
        report=_tell,
    )
    source = PreparedSamples(tuple(data))
    with output_folder(out):
        predictor = load()
        print(f"model: {predictor.description}", file=sys.stderr)
        total = source.count()
        # disable=None: silent where stderr is no terminal, which `Progress` is for.
        with tqdm(total=total, unit="image", disable=None) as bar:
            evaluation = evaluate(
                source,
                predictor,
                options,
                workers=workers,
                load_predictor=load,
                progress=_counted(total) if bar.disable else bar.update,
            )
        found = results(evaluation, predictor, " ".join(data))
        text = json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False)
        write_atomically(out / RESULTS_FILE, text)
        frame_truth = "exact" if "exact" in evaluation.rows else "single_scan"
        chosen = choose_frames(evaluation.rows[frame_truth], frames) if frames else []
        pictures = list(draw_frames(chosen, source, predictor, frame_truth, options.caps[-1]))
        write_atomically(out / PAGE_FILE, report_page(found, pictures, frame_truth))
    return found


def _tell(text: str) -> None:
    """To the user; picklable, as all that loads a model in a worker is."""
    print(text, file=sys.stderr, flush=True)


def _counted(total: int | None) -> Callable[[], None]:
    """Progress of so many images, called after each."""
    progress, done = Progress("images"), itertools.count(1)
    return lambda: progress(next(done), total)


def results_text(found: dict[str, Any]) -> str:
    """Results for a terminal: notes, what was skipped, and tables."""
    parts = [f"note: {note}" for note in found["model"]["notes"]]
    parts += [f"note: {note}" for note in found["data"]["notes"]]
    parts += [f"skipped: {reason}" for reason in found["data"]["skipped"]]
    for name, truth in found["truths"].items():
        if truth["by_radar"]:
            full = truth["by_radar"]["full"]
            parts.append(
                f"\n== Against {TRUTH_NAMES[name]}: {full['images']} images, an answer at "
                f"{full['answered']:.1%} of the pixels =="
            )
            parts += ["\n" + table.text() for table in truth_tables(truth, found["options"])]
        if truth["left_out"]:
            parts.append(
                f"\n{len(truth['left_out'])} images left out: no pixel has both "
                f"{TRUTH_NAMES[name]} up to {found['options']['caps'][-1]:g} m and a prediction"
            )
    return "\n".join(parts)
