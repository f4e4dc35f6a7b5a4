"""What is deprecated warns where the user wrote it, says what to write, works as before, and ends in time."""

import importlib
import inspect
import pkgutil
import sys
import types
import warnings

import keras
import pytest

import kmix_tf
from kmix_tf import _deprecated
from kmix_tf._deprecated import NOTICES, Notice, overdue

# What is made below is not the package's.
OF_THE_PACKAGE = list(NOTICES)


@pytest.fixture
def own_list():
    """Notices that a test makes go with it."""
    before = list(NOTICES)
    yield
    NOTICES[:] = before


def imported():
    """All modules of the package that can be imported here: some need extras, or the other generation of Keras."""
    for found in pkgutil.walk_packages(kmix_tf.__path__, "kmix_tf."):
        if not found.name.endswith("__main__"):
            try:
                yield importlib.import_module(found.name)
            except (ImportError, AttributeError):
                continue


def test_nothing_is_kept_past_its_time():
    assert len(list(imported())) > 100
    assert NOTICES
    assert overdue(kmix_tf.__version__, NOTICES) == []


@pytest.mark.parametrize(
    ("version", "is_overdue"),
    [("0.2.0", False), ("0.3.9", False), ("0.4.0", True), ("0.10.0", True), ("1.0.0", True)],
)
def test_a_notice_is_overdue_from_two_minor_versions_on(version, is_overdue):
    mine = Notice("it", "0.2.0", "Write that instead.")
    assert overdue(version, [mine, Notice("other", "9.0.0", "")]) == ([mine] if is_overdue else [])


def test_no_notice_is_of_a_version_to_come():
    assert [each for each in NOTICES if _deprecated.version_of(each.since) > (0, 2)] == []


def shown_by(code, **names):
    """The warnings that Python shows, by its own filters, of code in a module of a user's."""
    module = types.ModuleType("users_module")
    vars(module).update(names)
    with warnings.catch_warnings(record=True) as shown:
        # As Python starts: each warning once for each line, and no DeprecationWarning of a module that is imported.
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        exec(compile(inspect.cleandoc(code), "users_module.py", "exec"), vars(module))
    return [(str(each.message), each.filename, each.lineno) for each in shown]


@pytest.mark.usefixtures("own_list")
def test_users_see_it_once_for_each_line_that_they_wrote():
    @_deprecated.deprecated("0.2.0", "Write new() instead.")
    def old():
        return 3

    code = """
    for _ in range(3):
        assert old() == 3
    old()
    """
    message = "old is deprecated since 0.2.0, and will be gone in 0.4.0. Write new() instead."
    assert shown_by(code, old=old) == [(message, "users_module.py", 2), (message, "users_module.py", 3)]


@pytest.mark.usefixtures("own_list")
class TestAFunction:
    def test_keeps_its_name_signature_and_docstring(self):
        def old(x: int, *, y: str = "a") -> int:
            """Adds.

            Example:
                >>> 1 + 1
                2
            """
            return x

        made = _deprecated.deprecated("0.2.0", "Write new.")(old)
        assert (made.__name__, inspect.signature(made)) == ("old", inspect.signature(old))
        lines = inspect.getdoc(made).splitlines()
        assert lines[:4] == ["Adds.", "", "Deprecated since 0.2.0: it will be gone in 0.4.0. Write new.", ""]
        assert lines[4:] == inspect.getdoc(old).splitlines()[2:]
        with pytest.warns(FutureWarning, match="old is deprecated"):
            assert made(7, y="b") == 7

    def test_without_a_docstring_has_the_line_alone(self):
        made = _deprecated.deprecated("0.2.0", "Write new.")(lambda: None)
        assert made.__doc__ == "Deprecated since 0.2.0: it will be gone in 0.4.0. Write new."


@pytest.mark.usefixtures("own_list")
class TestAClass:
    def make(self):
        class Old:
            """A thing."""

            def __init__(self, size=1):
                self.size = size

        return _deprecated.deprecated("0.2.0", "Write New.")(Old)

    def test_is_the_class_itself_and_warns_where_an_object_is_made(self):
        old = self.make()
        assert isinstance(old, type)
        assert old.__doc__.splitlines() == [
            "A thing.",
            "",
            "Deprecated since 0.2.0: it will be gone in 0.4.0. Write New.",
        ]
        with pytest.warns(FutureWarning, match=r"^Old is deprecated .* Write New\.$") as told:
            assert old(size=4).size == 4
        assert [each.filename for each in told] == [__file__]

    def test_so_do_its_subclasses(self):
        class Mine(self.make()):
            pass

        with pytest.warns(FutureWarning, match="Old is deprecated"):
            Mine()


def described(k, alpha=1.0):
    return k, alpha


class TestARenamedArgument:
    made = staticmethod(_deprecated.renamed_argument("groups", "k", "0.2.0")(described))

    def test_old_and_new_name_do_the_same(self):
        with pytest.warns(FutureWarning, match="described: the argument groups is deprecated .* Write k instead"):
            assert self.made(groups=3, alpha=2.0) == (3, 2.0)

    @pytest.mark.parametrize(("args", "kwargs"), [((3,), {}), ((), {"k": 3})])
    def test_the_new_one_does_not_warn(self, args, kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert self.made(*args, **kwargs) == (3, 1.0)

    @pytest.mark.parametrize(("args", "kwargs"), [((3,), {}), ((), {"k": 3})])
    def test_both_are_refused(self, args, kwargs):
        with pytest.raises(TypeError, match=r"described: k must be given once\. Received: k and groups"):
            self.made(*args, groups=4, **kwargs)

    def test_the_signature_has_the_new_one_alone(self):
        assert list(inspect.signature(self.made).parameters) == ["k", "alpha"]


class TestADeprecatedArgument:
    made = staticmethod(_deprecated.deprecated_argument("alpha", "0.2.0", "Leave it out.")(described))

    @pytest.mark.parametrize(("args", "kwargs"), [((3, 2.0), {}), ((3,), {"alpha": 2.0})])
    def test_it_still_counts(self, args, kwargs):
        with pytest.warns(FutureWarning, match=r"the argument alpha is deprecated .* Leave it out\."):
            assert self.made(*args, **kwargs) == (3, 2.0)

    def test_whoever_leaves_it_out_hears_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert self.made(3) == (3, 1.0)


@pytest.mark.usefixtures("own_list")
class TestANameOfAModule:
    @pytest.fixture
    def module(self, monkeypatch):
        module = types.ModuleType("package_of_test")
        module.new = object()
        module.__getattr__ = _deprecated.renamed("package_of_test", "0.2.0", old="new")
        monkeypatch.setitem(sys.modules, "package_of_test", module)
        return module

    def test_is_the_same_object(self, module):
        with pytest.warns(FutureWarning, match=r"package_of_test\.old is .* Write package_of_test\.new") as told:
            assert module.old is module.new
        assert told[0].filename == __file__

    def test_others_are_missing_as_ever(self, module):
        with pytest.raises(AttributeError, match="module 'package_of_test' has no attribute 'older'"):
            _ = module.older
        assert not hasattr(module, "older")


@_deprecated.known_once_as("LayerOfBefore")
@keras.saving.register_keras_serializable(package="kmix_tf")
class LayerOfNow(kmix_tf.MixLayer):
    """A layer that had another name, and `share` for `part`."""

    once = {"share": "part"}  # noqa: RUF012

    @_deprecated.renamed_argument("share", "part", "0.2.0")
    def __init__(self, part=0.5, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.part = part


class TestALayer:
    def test_its_old_argument_is_warned_of_where_it_is_made(self):
        with pytest.warns(FutureWarning, match="LayerOfNow: the argument share .* Write part") as told:
            assert LayerOfNow(share=0.25).part == 0.25
        assert told[0].filename == __file__

    def test_its_old_files_load_without_a_word(self):
        saved = keras.saving.serialize_keras_object(LayerOfNow(part=0.25, seed=3))
        config = {("share" if name == "part" else name): value for name, value in saved["config"].items()}
        old = {**saved, "class_name": "LayerOfBefore", "registered_name": "kmix_tf>LayerOfBefore", "config": config}
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            layer = keras.saving.deserialize_keras_object(old)
        assert (type(layer), layer.part, layer.seed) == (LayerOfNow, 0.25, 3)
        assert "share" not in layer.get_config()


NOTICES[:] = OF_THE_PACKAGE
