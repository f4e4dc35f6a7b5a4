"""Asks whether a tag is the version of this checkout: v1.2.3 for 1.2.3. The changelog must have a date for it.

python tools/package/tag.py v1.2.3
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]


def wrong(tag: str, version: str, changelog: str) -> str | None:
    """What is wrong with a release, in a sentence; None if nothing is."""
    if tag != f"v{version}":
        return f"The tag is {tag}, but kmix_tf/_version.py says {version}. Tag v{version}, or change the version."
    if not re.search(rf"^## \W?{re.escape(version)}\W.*\d{{4}}-\d\d-\d\d", changelog, re.MULTILINE):
        return f"CHANGELOG.md has no heading with the version {version} and a date."
    return None


def main() -> None:
    names: dict[str, str] = {}
    exec((ROOT / "kmix_tf" / "_version.py").read_text(), names)
    sys.exit(wrong(sys.argv[1], names["__version__"], (ROOT / "CHANGELOG.md").read_text()))


if __name__ == "__main__":
    main()
