"""SIGTERM and SIGINT: the run ends after the step at hand, with everything saved."""

import signal
import sys

from absl import logging


class Stopped(Exception):
    """Work was left because the process shall stop; it is done when the run goes on."""


class Signals:
    """The wish to stop. SIGTERM (a machine is taken away) ends a run with exit code 0, SIGINT (Ctrl-C) with 130.

    A second signal ends the process at once; the last checkpoint stands. So does the first one before `defer` is set: while
    nothing has been computed yet, nothing is unsaved.
    """

    def __init__(self):
        self.received, self.defer = 0, False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        self.received = number
        signal.signal(number, signal.SIG_DFL)
        if not self.defer:
            logging.info("%s: nothing is unsaved; start the same command again to go on", signal.Signals(number).name)
            self.leave()
        logging.info("%s: saving after this step", signal.Signals(number).name)

    def check(self) -> None:
        """Raises Stopped if a signal has come."""
        if self.received:
            raise Stopped

    def leave(self) -> None:
        """Ends the process with the signal's exit code."""
        sys.exit(0 if self.received == signal.SIGTERM else 130)
