"""The experiments there are: modules of the folder `experiments`, which is in the repository and is not installed."""

import ast
import importlib
import pathlib
import sys
from collections.abc import Sequence

import kmix_tf
from kmix_tf.cli.terminal import UserError
from kmix_tf.paired import Experiment

_PACKAGE = "experiments"
# Marks the modules that are experiments.
_NAME = "EXPERIMENT"


def home() -> pathlib.Path:
    """The folder that `experiments` is in: this one, if it is a clone of the repository, or that of the package.

    Raises:
        UserError: if it is in neither.
    """
    for folder in (pathlib.Path.cwd(), pathlib.Path(kmix_tf.__file__).resolve().parents[1]):
        if (folder / _PACKAGE / "catalogue.py").is_file() and _is_ours(folder):
            return folder
    raise UserError(
        "the experiments are in the repository, not in the installed package. Clone it, and run the command there."
    )


def _is_ours(folder: pathlib.Path) -> bool:
    """What is in some other folder of that name is not run."""
    setup = folder / "setup.cfg"
    return setup.is_file() and "\nname = kmix_tf\n" in setup.read_text(encoding="utf-8")


def titles() -> dict[str, str]:
    """Of each experiment, by its name; read without running anything."""
    found = {}
    for path in sorted((home() / _PACKAGE).glob("*/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(_NAME in _assigned(statement) for statement in tree.body):
            name = f"{path.parent.name}/{path.stem}".replace("_", "-")
            found[name] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def _assigned(statement: ast.stmt) -> list[str]:
    return [each.id for each in getattr(statement, "targets", []) if isinstance(each, ast.Name)]


def chosen(names: Sequence[str]) -> list[str]:
    """Names of experiments that are asked for: by name, by paper, or "all".

    Raises:
        UserError: for another name, with those there are.
    """
    known = list(titles())
    found: dict[str, None] = {}
    for name in names:
        of_name = [each for each in known if name in ("all", each, each.split("/")[0])]
        if not of_name:
            papers = sorted({each.split("/")[0] for each in known})
            raise UserError(
                f"there is no experiment {name!r}. There are: all; {', '.join(papers)}; {', '.join(known)}."
            )
        found.update(dict.fromkeys(of_name))
    return list(found)


def load(name: str, folder: str | pathlib.Path | None = None) -> Experiment:
    """The experiment of a name that there is."""
    folder = str(folder or home())
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    module = importlib.import_module(f"{_PACKAGE}.{name.replace('-', '_').replace('/', '.')}")
    experiment: Experiment = getattr(module, _NAME)
    if experiment.name != name:
        raise UserError(f"the experiment in {module.__file__} must be named {name}. Received: {experiment.name}.")
    return experiment
