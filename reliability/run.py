"""All that is tried beyond the tests, one part after another, each in a process of its own.

python reliability/run.py --short            # what `make test-faults` asks of every change
python reliability/run.py --write            # in full: hours; docs/reliability.md anew
python reliability/run.py --only killed      # these parts alone
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

from harness import NOT_PARTS

HERE = pathlib.Path(__file__).parent
_NO_NEWS = re.compile(r"[IWE]0000 |WARNING: All log messages before absl")


def parts() -> list[str]:
    """Every module of this folder that tries something."""
    return sorted({file.stem for file in HERE.glob("*.py")} - NOT_PARTS)


def holds(name: str, flags: list[str]) -> bool:
    """Runs one part, and tells its rows when it is done."""
    began = time.monotonic()
    command = [sys.executable, str(HERE / f"{name}.py"), *flags]
    part = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    # What TensorFlow says of a machine without an accelerator is no news.
    said = [line for line in part.stdout.splitlines() if not _NO_NEWS.match(line)]
    seconds = time.monotonic() - began
    print("\n".join([f"reliability/{name}.py: {seconds:.0f} s in all, status {part.returncode}", *said]), flush=True)
    return part.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=parts(), default=parts(), metavar="PART", help=", ".join(parts())
    )
    parser.add_argument("--short", action="store_true", help="the same questions, asked fewer times")
    parser.add_argument("--write", action="store_true", help="also write what was found, and docs/reliability.md")
    parser.add_argument("--jobs", type=int, default=1, help="so many parts at a time; default 1")
    options = parser.parse_args()
    if options.jobs > 1 and options.write:
        parser.error("parts that are written are asked one by one, so that none waits for another's.")
    flags = [*(["--short"] if options.short else []), *(["--write"] if options.write else [])]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        found = dict(zip(options.only, pool.map(lambda name: holds(name, flags), options.only), strict=True))
    failed = [name for name, held in found.items() if not held]
    if failed:
        print(f"Did not hold: {', '.join(failed)}. See DOES NOT HOLD above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
