"""The command line: `lircdepth <verb>`."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import NoReturn

from lircdepth_core.errors import InputError, NonFiniteError
from lircdepth_core.extras import not_installed
from lircdepth_core.result_files import unwritten

VERBS = {
    "drive": (
        "lircdepth_core.drive.drive_writer",
        "generate drives as a nuScenes data set",
        "drive",
    ),
    "bag": ("lircdepth_core.dataset.bag", "convert a nuScenes scene to a ROS 2 bag", "bag"),
    "prepare": (
        "lircdepth_core.dataset.prepare",
        "make training samples of nuScenes scenes",
        "train",
    ),
    "train": ("lircdepth_core.training.command", "teach a network on prepared samples", "train"),
    "predict": ("lircdepth_core.predict_sample", "predict depth for a nuScenes sample", "bag"),
    "evaluate": (
        "lircdepth_core.evaluation.command",
        "measure a model's depth and uncertainty",
        "train",
    ),
    "calibrate": (
        "lircdepth_core.calibration.command",
        "give a model sigma and intervals in metres",
        "train",
    ),
    "quantise": (
        "lircdepth_core.quantisation.command",
        "give a model a form in 8-bit integers",
        "quantise",
    ),
    "bench": (
        "lircdepth_core.benchmark.command",
        "measure how fast a model runs here, by back end",
        "bench",
    ),
    "export": (
        "lircdepth_core.inference.export_command",
        "write a model as an ONNX file",
        "export",
    ),
    "import-weights": (
        "lircdepth_core.inference.import_weights",
        "turn a published checkpoint into a model folder",
        None,
    ),
}
"""Each verb's module, which has `add_arguments(parser)` and `run(args)`, its help, and the extra
that has the packages it needs."""


class _Parser(argparse.ArgumentParser):
    """A parser, and with it those of the verbs, whose errors are one line each."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: what stands after `lircdepth`; None takes the process's.

    Returns:
        The exit status: 0, 2 after an error that the user can mend, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _Parser(
        prog="lircdepth", description="Dense depth and its uncertainty from a camera and radar."
    )
    parser.add_argument("--version", action="version", version=f"lircdepth {_version()}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for argument in arguments:
        if not _is_text(argument):  # of which no results could be written that name it
            parser.error(f"argument {argument!a} is not UTF-8; rename or link what it names")
    verb = arguments[0] if arguments else ""
    try:
        run, parser_in_use = None, parser
        for name, (module_name, help_text, _) in VERBS.items():
            description = f"{help_text[0].upper()}{help_text[1:]}."
            verb_parser = verbs.add_parser(name, help=help_text, description=description)
            # Only the verb in use is imported: it may need packages that another does without.
            if name == verb:
                module = importlib.import_module(module_name)
                module.add_arguments(verb_parser)
                run, parser_in_use = module.run, verb_parser
        parsed, unknown = parser.parse_known_args(arguments)
        if unknown:
            parser_in_use.error(f"unrecognized arguments: {' '.join(unknown)}")
        if run is None:
            parser.error("give the VERB first")
        return run(parsed)
    except (InputError, NonFiniteError) as error:
        message = " ".join(str(error).split())
    except OSError as error:
        message = unwritten(error)
    except ImportError as error:
        package, extra = (error.name or "").partition(".")[0], VERBS[verb][2]
        if extra is None or package in ("", "lircdepth_core"):
            raise
        message = not_installed(package, extra)
    except KeyboardInterrupt:
        print(f"lircdepth {verb}: stopped", file=sys.stderr)
        return 130
    print(f"lircdepth {verb}: {message}", file=sys.stderr)
    return 2


def _is_text(argument: str) -> bool:
    """Whether an argument can be written; Python passes bytes that are none through."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _version() -> str:
    try:
        return importlib.metadata.version("lircdepth")
    except importlib.metadata.PackageNotFoundError:
        return "from a source tree that is not installed"


if __name__ == "__main__":
    sys.exit(main())
