"""The command `augment`, and `python -m augment_yolo`."""

import signal
import sys

from ._native import main as _main


def main() -> int:
    """Runs the command line and returns its exit code."""
    # Python's handler would only note Ctrl-C; the program has its own.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _main(["augment", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
