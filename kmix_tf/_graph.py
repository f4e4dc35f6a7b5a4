"""What code that builds graphs shares: compiled functions, checks that run with the batch, wide dtypes.

A pipeline makes its graph anew for each iterator, once an epoch, and takes about as long as the graph has nodes. So
what is known beforehand is computed in Python, and only what is large, or made of many ops, is compiled.
"""

import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from kmix_tf import _checks

try:  # Private: without it, what must not happen under XLA ends in TensorFlow's words.
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext as _is_in_xla
except ImportError:
    _is_in_xla = None

# Whether a graph can tell that XLA will compile it: where it cannot, nothing is printed that XLA could not compile.
KNOWS_OF_XLA = _is_in_xla is not None


# Called by hand, a function is compiled for so many batch sizes: each takes up to a second, and megabytes for good.
_MOST_SIZES = 8


def compiled(function: Callable) -> Callable:
    """Runs `function` through XLA: one dispatch, and one pass over memory, of many ops.

    Positional arguments are tensors or nested structures of them, whose shapes vary with the batch size alone: XLA
    compiles anew for each shape, which is once or twice in a pipeline. Keyword arguments are static.

    By hand, only the first batch sizes are compiled; any other runs as a graph of plain ops, made once for all sizes.
    A size keeps the way it went first, so that one seed gives one mixture, to the last bit, in one process. The two
    ways differ in the last digit of what is averaged, and in nothing that is compared or counted.
    """
    return _compiled(function, None)


def _compiled(function: Callable, features: int | None) -> Callable:
    """features: how many of the first arguments are `(batch, ...)` and else alike from batch to batch; None: all."""
    run_compiled, run_plain = _traced(function, jit_compile=True), _traced(function, jit_compile=None)
    sizes = _Sizes()

    @functools.wraps(function)
    def call(*tensors: Any, **static: Any) -> Any:
        is_compiled = not tf.executing_eagerly() or sizes.has_room(tensors, static, features)
        return (run_compiled if is_compiled else run_plain)(*tensors, **static)

    return call


def _traced(function: Callable, jit_compile: bool | None) -> Callable:
    """A graph for each layer, shape and dtype, all of one function: no fault, though TensorFlow would warn of it."""
    made = tf.function(function, jit_compile=jit_compile, autograph=False, reduce_retracing=True)
    # Private: where it is unknown, TensorFlow warns.
    made._omit_frequent_tracing_warning = True
    return made


class _Sizes:
    """The first few batch sizes of each kind of arguments. Threads at once may add some more."""

    def __init__(self) -> None:
        self._seen: dict[Any, set[Any]] = {}

    def has_room(self, tensors: Sequence[Any], static: dict[str, Any], features: int | None) -> bool:
        """Whether these arguments are of a size that is among the first, or becomes one."""
        leaves = tf.nest.flatten(tensors)
        kept = len(leaves) if features is None else len(tf.nest.flatten(tensors[:features]))
        shapes = [tuple(leaf.shape) for leaf in leaves]
        kinds = [shape[1:] if at < kept else len(shape) for at, shape in enumerate(shapes)]
        kind = (tuple(static.items()), tuple(leaf.dtype for leaf in leaves), tuple(kinds))
        seen, size = self._seen.setdefault(kind, set()), tuple(shapes)
        if len(seen) < _MOST_SIZES:
            seen.add(size)
        return size in seen


def fused(features: int, least: int = 0) -> Callable:
    """`compiled`, for functions of features of any shape, which the first so many positional arguments hold.

    Where other dimensions of these than the batch size are open, as in bucketed sequences, the plain ops run instead;
    also where no feature has `least` numbers in a row: for those, plain ops are as fast; and within what XLA compiles
    anyway. Of a compiled function in there, differentiated, XLA takes the arguments for constants, a step's seed
    among them, and compiles the step anew every time.
    """

    def decorate(function: Callable) -> Callable:
        run_compiled = _compiled(function, features)

        @functools.wraps(function)
        def call(*tensors: Any, **static: Any) -> Any:
            tensors = tf.nest.map_structure(tf.convert_to_tensor, tensors)
            sizes = [row_size(leaf) for leaf in tf.nest.flatten(tensors[:features])]
            known = [size for size in sizes if size is not None]
            is_worth_it = len(known) == len(sizes) and max(known, default=0) >= least and not is_for_xla()
            return (run_compiled if is_worth_it else function)(*tensors, **static)

        return call

    return decorate


def row_size(leaf: tf.Tensor) -> int | None:
    """How many numbers a row of `(batch, ...)` has; None where that is not known beforehand."""
    return None if leaf.shape.rank is None else leaf.shape[1:].num_elements()


def size_of_rows(leaves: Sequence[tf.Tensor]) -> int | None:
    """How many numbers a row of all leaves together has; None where that is not known beforehand."""
    sizes = [row_size(leaf) for leaf in leaves]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def numbers_of(value: Any, rule: str) -> tf.Tensor:
    """What a callable gave, as a tensor of numbers.

    Raises:
        TypeError: for anything else; `rule` says what it must give.
    """
    try:
        found = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise _checks.problem(f"{rule}. Received: {value!r}.", TypeError) from error
    if not (found.dtype.is_floating or found.dtype.is_integer or found.dtype.is_bool):
        raise _checks.problem(f"{rule}. Received: {found.dtype.name} of shape {found.shape}.", TypeError)
    return found


def at_least_float32(leaf: tf.Tensor) -> tf.Tensor:
    """float64 stays; every other dtype becomes float32."""
    return leaf if leaf.dtype == tf.float64 else tf.cast(leaf, tf.float32)


# Sums of so small parts of the numbers there are do not overflow, and NaN and infinity stay what they are.
_PART = 2.0**-40
# Of so many numbers in a row, a product takes a third of the time that asking each number takes.
_MANY = 256


def is_finite(leaf: tf.Tensor) -> tf.Tensor:
    """Whether a float tensor `(batch, ...)` holds neither NaN nor infinity, a bool scalar.

    Of many numbers as a product of matrices, which is one pass at the speed of memory.
    """
    size = row_size(leaf) or 0
    if size < _MANY or leaf.dtype not in (tf.float32, tf.float64):
        return tf.reduce_all(tf.math.is_finite(leaf))
    width = size if leaf.shape.rank == 2 else size // leaf.shape[1]
    parts = tf.fill([width, 1], tf.constant(_PART, leaf.dtype))
    return tf.math.is_finite(tf.reduce_sum(tf.matmul(tf.reshape(leaf, [-1, width]), parts)))


def require(condition: tf.Tensor, text: str) -> list[tf.Operation]:
    """Raises InvalidArgumentError, in the speaker's name, unless `condition`, a bool scalar: at once, or when the
    graph runs.

    Returns what is to run before anything that would fail in its own words: see `after`.
    """
    return require_all([(condition, text)])


def require_all(checks: Sequence[tuple[tf.Tensor, str]]) -> list[tf.Operation]:
    """`require` for each of several conditions."""
    name = _checks.speaker()
    found = [assertion(condition, f"{name}: {text}") for condition, text in checks]
    return [operation for operation in found if operation is not None]


_LEAVE_OUT = " To leave such batches out: dataset.apply(kmix_tf.mix(layer, on_invalid='skip'))."
_collected: contextvars.ContextVar[list[tuple[tf.Tensor, str]] | None] = contextvars.ContextVar(
    "kmix_tf_collected", default=None
)
_step: contextvars.ContextVar[tf.Tensor | None] = contextvars.ContextVar("kmix_tf_step", default=None)


def require_valid(checks: Sequence[tuple[tf.Tensor, str]]) -> list[tf.Operation]:
    """`require_all` of what is a matter of the data: batches of which it does not hold can be left out."""
    collected = _collected.get()
    if collected is None:
        hint = "" if tf.executing_eagerly() else _LEAVE_OUT
        return require_all([(condition, text + hint) for condition, text in checks])
    collected += [(condition, f"{_checks.speaker()}: {text}") for condition, text in checks]
    return []


@contextmanager
def collecting_validity() -> Iterator[list[tuple[tf.Tensor, str]]]:
    """Within it, `require_valid` adds to this list what is to hold, and what to say else, and raises nothing."""
    collected: list[tuple[tf.Tensor, str]] = []
    before = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(before)


@contextmanager
def at_step(step: tf.Tensor) -> Iterator[None]:
    """Within it, what stops the graph that is being made says at which step of its iterator."""
    before = _step.set(step)
    try:
        yield
    finally:
        _step.reset(before)


def assertion(condition: tf.Tensor, message: str) -> tf.Operation | None:
    """What stops the graph with this message unless `condition` holds; eagerly, nothing, or the error at once."""
    if not tf.executing_eagerly():
        step = _step.get()
        # A function within, compiled once for all, must not hold on to a tensor of this graph.
        is_here = step is not None and step.graph is tf.compat.v1.get_default_graph()
        return tf.debugging.Assert(condition, [f"{message} The batch's step:", step] if is_here else [message])
    if not condition:
        raise _checks.unadorned(tf.errors.InvalidArgumentError(None, None, message))
    return None


def after(checks: Sequence[tf.Operation], leaves: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The leaves, available only once the checks have passed."""
    with tf.control_dependencies(checks):
        return [tf.identity(leaf) for leaf in leaves] if checks else list(leaves)


def _home() -> tf.Tensor:
    """A variable, found by its name: graphs that are sent elsewhere take along other variables, but not this one."""
    return tf.raw_ops.VarHandleOp(dtype=tf.bool, shape=[], shared_name="kmix_tf_home")


def mark_home() -> None:
    """Makes this process known to graphs that `require_home`."""
    if tf.executing_eagerly():
        with tf.device("CPU:0"):
            tf.raw_ops.AssignVariableOp(resource=_home(), value=True)


def require_home(text: str) -> list[tf.Operation]:
    """`require`, of a graph, that it runs in a process in which `mark_home` was called.

    Not asked within a strategy, whose steps may run in other processes with the variables of this one, and not of
    graphs without an eager process round them.
    """
    is_asked = not (tf.executing_eagerly() or is_for_xla() or tf.distribute.has_strategy())
    if not is_asked or not tf.compat.v1.executing_eagerly_outside_functions():
        return []
    with tf.device("CPU:0"):
        return require(tf.raw_ops.VarIsInitializedOp(resource=_home()), text)


def is_for_xla() -> bool:
    """Whether the graph being made is one that XLA compiles."""
    if tf.executing_eagerly() or _is_in_xla is None:
        return False
    return bool(_is_in_xla(tf.compat.v1.get_default_graph()))


@contextmanager
def refusing_host_calls(name: str) -> Iterator[None]:
    """Refuses what calls back to the host within it, where XLA is to compile it.

    Raises:
        ValueError: naming who does so.
    """
    if not is_for_xla():
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    yield
    if any("PyFunc" in operation.type for operation in graph.get_operations()[before:]):
        raise _checks.problem(
            f"XLA cannot compile what calls back to the host. Received: {name}, which does, and jit_compile=True. "
            "Write it in TensorFlow ops; or leave jit_compile out."
        )
