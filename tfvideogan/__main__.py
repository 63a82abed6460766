"""`tfvideogan VERB ...`: one command for all programs, the same as `python -m tfvideogan.VERB ...`."""

import runpy
import sys
from pathlib import Path

from tfvideogan import list as lists
from tfvideogan import terminal


def main() -> None:
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    known = lists.programs()
    if verb in ("", "--help", "-h", "help"):
        print("usage: tfvideogan VERB [--help | flags]\n")
        for line in terminal.table(known, terminal.columns(sys.stdout)):
            print(line)
        sys.exit(0)
    if verb not in known:
        print(f"tfvideogan: got {verb}, expected one of {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    if verb == "list":
        sys.exit(lists.main(sys.argv[2:]))
    sys.argv = [str(Path(__file__).parent / f"{verb}.py"), *sys.argv[2:]]
    runpy.run_module(f"tfvideogan.{verb}", run_name="__main__")


if __name__ == "__main__":
    main()
