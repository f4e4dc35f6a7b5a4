"""Builds the sdist and, from it, the wheel, and asks whether they are what whoever installs them needs.

    python tools/package/wheel.py --quick              # contents; the wheel beside this environment's TensorFlow
    python tools/package/wheel.py                      # contents; fresh environments, without extras and with each
    python tools/package/wheel.py --extras plot cli    # with these extras alone

Fresh environments take what the registry has now. What uv has downloaded before is linked, not copied.
"""

import argparse
import pathlib
import sys

import contents
import environments

ROOT = pathlib.Path(__file__).parents[2]
INSIDE = pathlib.Path(__file__).with_name("inside.py")
EXTRAS = ("plot", "cli", "tables", "examples", "experiments", "serving", "addons", "docs", "dev")
# Several GB each: it is only asked whether there is what they ask for.
RESOLVED = ("backends", "benchmarks")


def built(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The sdist, and the wheel that is built from it and not from the checkout."""
    options = ("--quiet", "--no-python-downloads", "--python", sys.executable)
    environments.uv("build", *options, "--out-dir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def asked(python: pathlib.Path, folder: pathlib.Path, *extras: str) -> None:
    """Asks an environment, in an empty folder."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    print(environments.run(python, "-I", INSIDE, *extras, cwd=empty), end="", flush=True)


def quick(wheel: pathlib.Path, folder: pathlib.Path) -> None:
    """The wheel beside links to what this environment has of TensorFlow, without what extras bring."""
    asked(environments.of_links(folder / "links", wheel), folder)


def full(wheel: pathlib.Path, folder: pathlib.Path, extras: list[str]) -> None:
    """The wheel in fresh environments."""
    asked(environments.fresh(folder / "none", str(wheel)), folder)
    for extra in extras:
        requirement = f"kmix_tf[{extra}] @ {wheel.as_uri()}"
        python = environments.fresh(folder / extra, requirement, is_dry=extra in RESOLVED)
        if extra in RESOLVED:
            print(f"[{extra}] resolved, not installed", flush=True)
        else:
            asked(python, folder, extra)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without fresh environments: seconds")
    parser.add_argument("--extras", nargs="*", default=[*EXTRAS, *RESOLVED], choices=[*EXTRAS, *RESOLVED])
    arguments = parser.parse_args()
    with environments.elsewhere() as folder:
        folder = pathlib.Path(folder)
        sdist, wheel = built(folder / "dist")
        found = contents.wrong(ROOT, sdist, wheel)
        if found:
            sys.exit("\n".join(found))
        print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB, {wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        if arguments.quick:
            quick(wheel, folder)
        else:
            full(wheel, folder, arguments.extras)


if __name__ == "__main__":
    main()
