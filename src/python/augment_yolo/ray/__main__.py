"""`python -m augment_yolo.ray --config CONFIG DATASET --output OUT`"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Sequence

from .._native import ConfigError, Error
from ..dataset import Summary, asked
from ._run import run_asked


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augment_yolo.ray",
        description="Stylizes a dataset on a Ray cluster. Exit codes: 0 all done, 1 could not run, 2 usage or config "
        "error, 3 finished but some frames failed, 130 interrupted.",
    )
    add = parser.add_argument
    add("dataset", help="a path on a disk that all machines share, or a URL such as s3://bucket/drive")
    add("--config", action="append", required=True, help="may be given several times")
    add("--output", help="as the dataset; with a URL it must be given")
    add("--per-frame", type=int, help="of several configs, how many conditions each frame gets")
    add("--address", help="of the cluster, such as auto; by default this machine")
    add("--workers", type=int, help="by default as many as fit into the cluster")
    add("--cpus-per-worker", type=float, default=1, help="by default 1")
    add("--gpus-per-worker", type=float, default=0, help="by default 0; a share such as 0.25 is possible")
    add("--chunk", type=int, default=8, help="frames that a worker gets at once; by default 8")
    add("--working-dir", help="a folder with styles and weights that Ray copies to every machine")
    add("--storage-options", type=json.loads, help="JSON for the fsspec file system of the URLs")
    add("--limit", type=int, help="only the first so many jobs of the plan")
    add("--force", action="store_true", help="do everything again")
    add("--retry-failed", action="store_true", help="try failed frames again")
    add("--max-failures", type=int, help="stop once so many frames of this run have failed")
    add("--seed", type=int, help="in place of the configs'")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    add("--weights", help="a path, builtin or auto")
    add("--device", default="auto", help="of the workers: auto, cpu, cuda or candle")
    add("--precision", choices=["f32", "bf16"], help="of activations on a GPU")
    add("--quiet", action="store_true", help="show no progress")
    add("--json", action="store_true", help="print the summary as JSON")
    return parser


class Progress:
    """Shows on standard error how far the run is, at most once a second on a terminal, else once a minute."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._every = 1.0 if sys.stderr.isatty() else 60.0
        self._counts = {"done": 0, "failed": 0}
        self._todo = 0
        self._shown = 0.0
        self._begun = time.monotonic()

    def __call__(self, kind: str, content: Any) -> None:
        if kind == "warning":
            print(f"warning: {content}", file=sys.stderr)
        elif kind == "begin":
            self._todo, self._begun = content["todo"], time.monotonic()
            self._say(f"{content['jobs']} jobs, {content['skipped']} done before, {self._todo} to do")
        elif kind == "row":
            self._counts[content["status"]] += 1
            tried, now = sum(self._counts.values()), time.monotonic()
            if now - self._shown >= self._every or tried == self._todo:
                self._shown = now
                rate = tried / max(now - self._begun, 1e-9)
                self._say(f"{tried} of {self._todo}, {self._counts['failed']} failed, {rate:.1f} a second")

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr)


def exit_code(summary: Summary) -> int:
    if summary["stopped"] == "interrupted":
        return 130
    return 3 if summary["failed"] + summary["failed_before"] > 0 or summary["annotations_left"] else 0


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    args = arguments().parse_args(words)
    try:
        what = asked(
            args.config,
            args.dataset,
            output=args.output,
            seed=args.seed,
            limit=args.limit,
            per_frame=args.per_frame,
            force=args.force,
            retry_failed=args.retry_failed,
            max_failures=args.max_failures,
            weights=args.weights,
            device=args.device,
            precision=args.precision,
        )
        what["sets"] = args.set
        if args.chunk < 1 or args.cpus_per_worker <= 0 or args.gpus_per_worker < 0 or (args.workers or 1) < 1:
            raise ConfigError("--workers and --chunk must be at least 1, --cpus-per-worker above 0")
        summary, lines = run_asked(
            what,
            args.address,
            args.workers,
            args.cpus_per_worker,
            args.gpus_per_worker,
            args.chunk,
            args.working_dir,
            args.storage_options,
            Progress(args.quiet),
        )
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(lines, file=sys.stderr)
    if args.json:
        print(json.dumps(summary, indent=2))
    return exit_code(summary)


if __name__ == "__main__":
    sys.exit(main())
