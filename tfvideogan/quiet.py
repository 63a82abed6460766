"""A program's first lines are its own: TensorFlow's start-up lines are held back, unless --verbosity asks for them; Ctrl-C is one line."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType


@contextlib.contextmanager
def start_up(arguments: list[str]) -> Iterator[None]:
    """Holds back what is written to stderr within it, where TensorFlow is imported and then looks for devices: its C++ parts write
    then, whatever their log level. It is shown after all if an error is raised, or from the start with a --verbosity above 0."""
    sys.excepthook = _told
    if any(re.match(r"--?(v|verbosity)=[1-9]", argument) for argument in arguments):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with stderr_held() as shown:
        try:
            yield
            sys.modules["tensorflow"].config.list_physical_devices()
        except BaseException:
            shown()
            raise


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own report, but of Ctrl-C while packages are imported, which takes seconds, one line."""
    if issubclass(kind, KeyboardInterrupt):
        print("tfvideogan: interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


@contextlib.contextmanager
def stderr_held() -> Iterator[Callable[[], None]]:
    """Holds back what this process writes to stderr within it, C++ parts too. What it gives writes it out after all."""
    try:
        place = tempfile.TemporaryFile()
    except OSError:  # no folder for it: then it is shown
        yield lambda: None
        return
    sys.stderr.flush()
    kept = os.dup(2)

    def shown() -> None:
        sys.stderr.flush()
        place.seek(0)
        os.write(kept, place.read())

    with place:
        os.dup2(place.fileno(), 2)
        try:
            yield shown
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
