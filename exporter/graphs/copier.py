"""Copying a graph operation by operation, and changing it on the way.

Owns the one pass in which everything happens: calls are inlined, variables become weights beside
the graph, what depends on constants alone is computed, loops become plain operations, and an
operation that the target lacks is replaced by exact equivalents (`exporter.graphs.rewrites`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from exporter.graphs.folding import LARGEST_ELEMENTS, Constants, Weight
from exporter.graphs.refusal import OPERATION, Refused
from exporter.scopes import plain

# (the original operation, its inputs in the new graph) -> its outputs, or None to keep it.
Rewrite = Callable[[Any, list[Any]], Any]
# What leaves values as they are, and what only watches them.
_PASS = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics",
                   "ReadVariableOp", "EnsureShape", "PlaceholderWithDefault"})  # fmt: skip
_DROP = frozenset({"NoOp", "Assert", "Print", "PrintV2"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_BRANCHES = frozenset({"If", "StatelessIf"})
_RESHAPES = frozenset({"Reshape", "Squeeze", "ExpandDims"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_LARGEST_TABLE = 10_000
_MOST_REWRITES = 4


def needed_operations(outputs: Sequence[Any]) -> set[str]:
    """Names of the operations that the outputs depend on: not updates, seeds or checks."""
    needed: set[str] = set()
    waiting = [x.op for x in outputs]
    while waiting:
        op = waiting.pop()
        if op.name not in needed:
            needed.add(op.name)
            waiting.extend(x.op for x in op.inputs)
    return needed


def has_loop(graph: Any) -> bool:
    """Whether a traced graph, or a function that it calls, has a loop."""
    definition = graph.as_graph_def()
    nodes = [definition.node, *(function.node_def for function in definition.library.function)]
    return any(node.op in _LOOPS for part in nodes for node in part)


def _view(variable: Any) -> np.ndarray:
    """A variable's values as they lie in memory, read-only; `numpy()` would copy them."""
    return np.asarray(memoryview(variable.read_value()))


def _pick(values: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [values[i] for i in places]


def _same(argument: Any, result: Any) -> bool:
    """Whether a function's result is its argument."""
    while result is not argument and result.op.type in _PASS:
        result = result.op.inputs[0]
    return result is argument


class Copier:
    """Copies operations into a new graph; holds what is known to be constant.

    With `at_once`, what a rewrite emits is rewritten at once: a graph with a loop is not copied
    again, because its operations are in no order.
    """

    def __init__(self, rewrites: Mapping[str, Rewrite], at_once: bool = False) -> None:
        import tensorflow as tf

        self._tf = tf
        self.graph = tf.Graph()
        self.weights: dict[str, Weight] = {}
        self.rewritten = False
        self.at_once = at_once
        self._rewrites = rewrites
        self._constants = Constants()
        # name of a tensor in the new graph -> its twin in the scratch graph
        self._twins: dict[str, Any] = {}

    def capture(
        self, outside: Any, inner: Any, body: Any, paths: Mapping[int, str], model: Any
    ) -> Any:
        """What a function closes over: a variable, or a plain tensor."""
        if inner.dtype != self._tf.resource:
            return self.constant(np.asarray(outside), inner.op.name)
        for variable in body.variables:
            if variable.handle is outside:
                path = paths.get(id(outside))
                weight = Weight(path, partial(_view, variable))
                name = path or variable.name.split(":")[0]
                return self.weight(weight, variable.shape, variable.dtype, name)
        readers = {op.type for op in inner.consumers()}
        if readers == {"LookupTableFindV2"}:
            return _Table(outside)
        raise Refused(
            model.name,
            type(model).__name__,
            f"variables and constants expected, another resource found ({inner.op.name}); "
            "do that part before the model",
        )

    def weight(self, weight: Weight, shape: Any, dtype: Any, name: str) -> Any:
        """A weight beside the graph, or inside it where it is small."""
        if shape.num_elements() <= LARGEST_ELEMENTS // 64:
            tensor = self.constant(weight.read(), name)
            if weight.path:
                self.weights[tensor.op.name] = weight
            return tensor
        with self.graph.as_default(), self.graph.control_dependencies(None):
            tensor = self._tf.compat.v1.placeholder(dtype, shape, plain(name))
        self.weights[tensor.op.name] = weight
        self._twins[tensor.name] = self._constants.add_weight(weight, shape, dtype)
        return tensor

    def constant(self, value: np.ndarray, name: str) -> Any:
        """A constant inside the graph, or beside it where it is large."""
        value = np.asarray(value)
        if value.size > LARGEST_ELEMENTS and value.dtype == np.float32:
            shape, dtype = self._tf.TensorShape(value.shape), self._tf.as_dtype(value.dtype)
            return self.weight(Weight(None, lambda: value), shape, dtype, name)
        # Outside of any loop: a constant made in a loop could not be used after it.
        with self.graph.as_default(), self.graph.control_dependencies(None):
            tensor = self._tf.constant(value, name=plain(name))
        self._twins[tensor.name] = self._constants.add(value)
        return tensor

    def copy(
        self, body: Any, env: dict[str, Any], outputs: Sequence[Any], prefix: str = ""
    ) -> None:
        """Copy the operations of `body` that `outputs` need and `env` does not know yet."""
        needed = needed_operations(outputs)
        for op in body.get_operations():
            if op.name not in needed or op.type in _DROP:
                continue
            if op.outputs and all(x.name in env for x in op.outputs):
                continue
            if op.type in _PASS:
                env[op.outputs[0].name] = env[op.inputs[0].name]
                continue
            inputs = [env[x.name] for x in op.inputs]
            name = plain(f"{prefix}{op.name}")
            if op.type in _CALLS:
                results = self._inline(body, op, inputs, name)
            elif op.type == "LookupTableFindV2":
                results = [self._look_up(op, inputs, name)]
            elif op.type in _LOOPS:
                results = self._loop(body, op, inputs, name)
            elif op.type in _BRANCHES:
                results = self._branch(body, op, inputs, name)
            elif op.type == "Const":
                value = self._tf.make_ndarray(op.node_def.attr["value"].tensor)
                results = [self.constant(value, name)]
            else:
                results = self._fold(op, inputs, name) or self._convert(op, inputs, name)
            for old, new in zip(op.outputs, results, strict=True):
                env[old.name] = new

    def finish(self, results: Sequence[Any]) -> list[Any]:
        """An Identity for each output: two outputs may be one tensor, or an input."""
        with self.graph.as_default():
            return [self._tf.identity(self.settle(x), f"output_{i}") for i, x in enumerate(results)]

    def settle(self, value: Any) -> Any:
        """A tensor of the new graph: a folded value becomes a constant where it is first used."""
        if not isinstance(value, _Folded):
            return value
        origin = value.origin
        if origin is not None and origin.shape == value.shape:
            return origin  # reshaped there and back: a variable stays that variable
        if value.tensor is None:
            value.tensor = self.constant(self._constants.value(value.twin, value.dtype), value.name)
        return value.tensor

    def _notice(self, tensor: Any) -> Any:
        """A rewrite may have found out that its result is constant."""
        op = tensor.op
        if op.type == "Const" and op._get_control_flow_context() is None:
            value = self._tf.get_static_value(tensor)
            self._twins.setdefault(tensor.name, self._constants.add(value))
        return tensor

    def _function(self, body: Any, op: Any, attribute: str, inputs: Sequence[Any]) -> Any:
        """The graph of a function that an operation calls."""
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

        called = op.get_attr(attribute).name
        definition = body._get_function(called).cached_definition
        return function_def_to_graph(definition, [x.shape for x in inputs])

    def _run(self, inner: Any, inputs: Sequence[Any], name: str) -> list[Any]:
        """Copy a function's graph in place of the call."""
        env = {x.name: y for x, y in zip(inner.inputs, inputs, strict=True)}
        self.copy(inner, env, inner.outputs, f"{name}/")
        return [env[x.name] for x in inner.outputs]

    def _loop(self, body: Any, op: Any, inputs: list[Any], name: str) -> list[Any]:
        """A loop of plain operations (Enter, Switch, Merge, …), which all runtimes read."""
        condition = self._function(body, op, "cond", op.inputs)
        inside = self._function(body, op, "body", op.inputs)
        # What the body hands on unchanged (weights) is no variable of the loop.
        varies = [not _same(x, y) for x, y in zip(inside.inputs, inside.outputs, strict=True)]
        places = [i for i, does in enumerate(varies) if does]
        starts = [self.settle(inputs[i]) for i in places]

        def run(inner: Any, variables: Sequence[Any], part: str) -> list[Any]:
            arguments = list(inputs)
            for place, variable in zip(places, variables, strict=True):
                arguments[place] = variable
            return [self.settle(x) for x in self._run(inner, arguments, f"{name}/{part}")]

        with self.graph.as_default(), _plain_control_flow():
            ends = self._tf.compat.v1.while_loop(
                lambda *variables: run(condition, variables, "condition")[0],
                lambda *variables: _pick(run(inside, variables, "body"), places),
                starts,
                shape_invariants=[op.outputs[i].shape for i in places],
                return_same_structure=True,
            )
        results = list(inputs)
        for place, end in zip(places, ends, strict=True):
            results[place] = end
        return results

    def _look_up(self, op: Any, inputs: list[Any], name: str) -> Any:
        """A look-up of numbers: compared with every key, and the value of the equal one."""
        table, x, default = inputs
        types = {"Tkeys": op.get_attr("Tin"), "Tvalues": op.get_attr("Tout")}
        if not all(dtype.is_integer for dtype in types.values()):
            raise Refused(name, OPERATION, "a look-up of text; do that part before the model")
        found = self._tf.raw_ops.LookupTableExportV2(table_handle=table.handle, **types)
        keys, values = (np.asarray(part) for part in found)
        if keys.size > _LARGEST_TABLE:
            reason = (
                f"a look-up table of {keys.size} entries; at most {_LARGEST_TABLE} can be written"
            )
            raise Refused(name, OPERATION, reason)
        order = np.argsort(keys)  # a table exports its entries in any order
        x, default = self.settle(x), self.settle(default)
        with self.graph.as_default(), self._tf.name_scope(plain(name) + "/"):
            equal = self._tf.equal(x[..., self._tf.newaxis], keys[order])
            gains = self._tf.constant(values[order]) - default
            gain = self._tf.reduce_sum(self._tf.cast(equal, default.dtype) * gains, -1)
            return default + gain

    def _branch(self, body: Any, op: Any, inputs: list[Any], name: str) -> list[Any]:
        """A choice of plain operations (Switch, Merge); none where the condition is known."""
        known = self._known(inputs[0])
        if known is not None:
            taken = "then_branch" if known else "else_branch"
            return self._run(self._function(body, op, taken, op.inputs[1:]), inputs[1:], name)
        arguments = [self.settle(x) for x in inputs]

        def side(attribute: str) -> Callable[[], list[Any]]:
            inner = self._function(body, op, attribute, op.inputs[1:])
            return lambda: [
                self._tf.identity(self.settle(x))
                for x in self._run(inner, arguments[1:], f"{name}/{attribute}")
            ]

        with self.graph.as_default(), _plain_control_flow():
            made = self._tf.compat.v1.cond(
                arguments[0], side("then_branch"), side("else_branch"), strict=True
            )
        return list(made)

    def _known(self, value: Any) -> np.ndarray | None:
        twin = value.twin if isinstance(value, _Folded) else self._twins.get(value.name)
        return None if twin is None else self._constants.value(twin, value.dtype)

    def _inline(self, body: Any, op: Any, inputs: list[Any], name: str) -> list[Any]:
        inner = self._function(body, op, "f", op.inputs)
        return self._run(inner, inputs, name)

    def _fold(self, op: Any, inputs: list[Any], name: str) -> list[Any] | None:
        twins = [x.twin if isinstance(x, _Folded) else self._twins.get(x.name) for x in inputs]
        if not op.outputs or any(twin is None for twin in twins):
            if op.type not in ("Shape", "Size", "Rank", "ZerosLike", "OnesLike"):
                return None
            return self._fold_shape(op, inputs, name)
        made = self._constants.apply(op, twins)
        if made is None:
            return None
        origin = None
        if op.type in _RESHAPES:
            origin = inputs[0].origin if isinstance(inputs[0], _Folded) else inputs[0]
        return [
            _Folded(twin, x.dtype, name, origin=origin)
            for twin, x in zip(made, op.outputs, strict=True)
        ]

    def _fold_shape(self, op: Any, inputs: list[Any], name: str) -> list[Any] | None:
        shape = inputs[0].shape
        if op.type == "Rank" and shape.rank is not None:
            value = shape.rank
        elif op.type == "Shape" and shape.is_fully_defined():
            value = shape.as_list()
        elif op.type == "Size" and shape.is_fully_defined():
            value = shape.num_elements()
        else:
            return None
        dtype = op.outputs[0].dtype
        return [_Folded(self._constants.add(np.array(value, dtype.as_numpy_dtype)), dtype, name)]

    def _convert(self, op: Any, inputs: list[Any], name: str) -> list[Any]:
        inputs = [self.settle(x) for x in inputs]
        made = self._rewrite(op, inputs, name, _MOST_REWRITES if self.at_once else 1)
        return made if made is not None else self._create(op, inputs, name)

    def _rewrite(self, op: Any, inputs: list[Any], name: str, depth: int) -> list[Any] | None:
        """What the table has for the operation, if anything."""
        rewrite = self._rewrites.get(op.type)
        if rewrite is None:
            return None
        before = len(self.graph.get_operations()) if depth > 1 else 0
        with self.graph.as_default(), self._tf.name_scope(plain(name) + "/"):
            made = rewrite(op, inputs)
        if made is None:
            return None
        self.rewritten = True
        made = made if isinstance(made, list) else [made]
        if depth > 1:
            made = self._rewrite_again(made, before, depth - 1)
        return [self._notice(x) for x in made]

    def _rewrite_again(self, made: Sequence[Any], before: int, depth: int) -> list[Any]:
        """Rewrite what a rewrite emitted: the operations of the new graph from `before` on."""
        env: dict[str, Any] = {}
        for op in self.graph.get_operations()[before:]:
            inputs = [env.get(x.name, x) for x in op.inputs]
            results = self._rewrite(op, inputs, op.name, depth)
            if results is None:
                if all(x is y for x, y in zip(inputs, op.inputs, strict=True)):
                    continue
                results = self._create(op, inputs, op.name)
            for old, new in zip(op.outputs, results, strict=True):
                env[old.name] = new
        return [env.get(x.name, x) for x in made]

    def _create(self, op: Any, inputs: list[Any], name: str) -> list[Any]:
        """The same operation in the new graph."""
        with self.graph.as_default(), self._tf.name_scope(""):
            attributes = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
            made = self.graph.create_op(op.type, inputs, None, name=name, attrs=attributes)
        for old, new in zip(op.outputs, made.outputs, strict=True):
            if not new.shape.is_fully_defined() and old.shape.rank is not None:
                new.set_shape(old.shape)  # what Keras knew by ensure_shape
        return list(made.outputs)


@dataclass
class _Table:
    """A look-up table that the model holds."""

    handle: Any


@dataclass
class _Folded:
    """A value of the scratch graph that the new graph does not need yet.

    Attributes:
        twin, dtype: The value in the scratch graph, and what it is in the new one.
        name: For the constant that it may become.
        tensor: That constant, once there is one.
        origin: The tensor of the new graph that this is a reshaped form of.
    """

    twin: Any
    dtype: Any
    name: str
    tensor: Any = None
    origin: Any = None

    @property
    def shape(self) -> Any:
        return self.twin.shape


@contextmanager
def _plain_control_flow() -> Iterator[None]:
    """Loops as operations instead of as calls of functions."""
    import tensorflow as tf

    enabled = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            tf.compat.v1.enable_control_flow_v2()
