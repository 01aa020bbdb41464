"""The experiments: a folder a paper, one module per table or figure, and what they share in
``harness``."""

import contextlib
import os
import signal
import sys
from typing import NoReturn


def interrupted(*_) -> NoReturn:
    """What Ctrl-C does outside of training: one line, exit status 130, at once. An exception could
    be swallowed by whatever is being imported, and the run would go on."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(130)


def handle_interrupts() -> None:
    """Let Ctrl-C do that, unless it was ignored already (as behind ``nohup``)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted)


if sys.argv[:1] == ["-m"]:  # a program is starting, by python -m, and imports for seconds
    handle_interrupts()
