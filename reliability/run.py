"""All that is tried beyond the tests, one part after another, each in a process of its own.

python reliability/run.py --short            # what `make test-faults` asks of every change
python reliability/run.py --write            # in full: hours; docs/reliability.md anew
python reliability/run.py --only killed      # these parts alone
"""

import argparse
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
NOT_PARTS = {"harness", "run"}


def parts() -> list[str]:
    """Every module of this folder that tries something."""
    return sorted({file.stem for file in HERE.glob("*.py")} - NOT_PARTS)


def holds(name: str, flags: list[str]) -> bool:
    """Runs one part, which tells its own rows."""
    began = time.monotonic()
    print(f"reliability/{name}.py", flush=True)
    status = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *flags], check=False).returncode
    print(f"{time.monotonic() - began:6.0f} s in all", flush=True)
    return status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=parts(), default=parts(), metavar="PART", help=", ".join(parts())
    )
    parser.add_argument("--short", action="store_true", help="the same questions, asked fewer times")
    parser.add_argument("--write", action="store_true", help="also write what was found, and docs/reliability.md")
    options = parser.parse_args()
    flags = [*(["--short"] if options.short else []), *(["--write"] if options.write else [])]
    failed = [name for name in options.only if not holds(name, flags)]
    if failed:
        print(f"Did not hold: {', '.join(failed)}. See DOES NOT HOLD above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
