"""What a graph would ask of an accelerator: its operations, those of all its library functions, and where they have kernels."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.framework import op_def_registry
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

# Kernels of device "DEFAULT" serve every device that has none of its own.
ON_GPU, BY_XLA = ("GPU", "DEFAULT"), ("XLA_GPU_JIT",)
COMPILED = "_XlaMustCompile"


class Node(NamedTuple):
    """An operation, the name of the function it is in (empty: the graph itself), and whether XLA compiles that function."""

    operation: tf.compat.v1.NodeDef
    function: str
    compiled: bool

    def __str__(self) -> str:
        types = {name: dtypes for name in self.operation.attr if (dtypes := types_of(self.operation, name))}
        listed = ", ".join(f"{name}={'|'.join(tf.as_dtype(t).name for t in dtypes)}" for name, dtypes in types.items())
        return f"{self.operation.op}({listed}) {self.function}/{self.operation.name}"


def nodes(graph: tf.compat.v1.GraphDef) -> Iterator[Node]:
    """Every operation of a graph and of its functions; not calls of a function by its name, whose operations come too."""
    functions = {function.signature.name for function in graph.library.function}
    compiled = compiled_functions(graph)
    for operation in graph.node:
        yield Node(operation, "", False)
    for function in graph.library.function:
        name = function.signature.name
        for operation in function.node_def:
            if operation.op not in functions:
                yield Node(operation, name, name in compiled)


def compiled_functions(graph: tf.compat.v1.GraphDef) -> set[str]:
    """Names of the functions that XLA compiles, and of those that they call."""
    by_name = {function.signature.name: function for function in graph.library.function}
    ahead = [name for name, function in by_name.items() if COMPILED in function.attr and function.attr[COMPILED].b]
    found: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name in found or name not in by_name:
            continue
        found.add(name)
        for operation in by_name[name].node_def:
            for value in operation.attr.values():
                ahead += [value.func.name, *(function.name for function in value.list.func)]
    return found


def types_of(operation: tf.compat.v1.NodeDef, name: str) -> list[int]:
    """The types of an attribute, which may be one or a list; its default where the operation leaves it out."""
    value = operation.attr[name] if name in operation.attr else None
    if value is None:
        definition = op_def_registry.get(operation.op)
        value = next((attribute.default_value for attribute in definition.attr if attribute.name == name), None) if definition else None
    return [] if value is None else [value.type] if value.type else list(value.list.type)


def has_kernel(operation: tf.compat.v1.NodeDef, devices: tuple[str, ...]) -> bool:
    """Whether one of these kinds of devices has a kernel for the operation with its types."""
    label = operation.attr["_kernel"].s.decode() if "_kernel" in operation.attr else ""
    return any(
        kernel.device in devices and kernel.label == label and all(types <= allowed for types, allowed in kernel.asked(operation))
        for kernel in kernels(operation.op)
    )


class Kernel(NamedTuple):
    device: str
    label: str
    allowed: dict[str, set[int]]  # types, by the attribute's name

    def asked(self, operation: tf.compat.v1.NodeDef) -> Iterator[tuple[set[int], set[int]]]:
        for name, allowed in self.allowed.items():
            yield set(types_of(operation, name)), allowed


@functools.cache
def kernels(op: str) -> list[Kernel]:
    register_xla_kernels()
    found = get_registered_kernels_for_op(op).kernel
    return [Kernel(k.device_type, k.label, {c.name: {*c.allowed_values.list.type} for c in k.constraint}) for k in found]


def without_kernel(graph: tf.compat.v1.GraphDef, host_only: dict[str, str]) -> list[str]:
    """The operations that a GPU has no kernel for, or, where XLA compiles them, XLA none for GPUs; but for those that begin as one in
    `host_only`, which gives reasons."""
    missing = {str(node) for node in nodes(graph) if not has_kernel(node.operation, BY_XLA if node.compiled else ON_GPU)}
    return sorted(name for name in missing if not name.startswith(tuple(host_only)))


@functools.cache
def register_xla_kernels() -> None:
    """XLA's kernels are in TensorFlow's registry once something was compiled."""
    tf.function(lambda x: x + 1.0, jit_compile=True, autograph=False)(tf.constant(1.0))


def without_static_shape(graph: tf.compat.v1.GraphDef) -> list[str]:
    """The operations whose results' shapes are not known when the graph is built. The graph is one `with_shapes`."""
    found = []
    for node in nodes(graph):
        shapes = node.operation.attr["_output_shapes"].list.shape
        if any(shape.unknown_rank or any(axis.size < 0 for axis in shape.dim) for shape in shapes):
            found.append(str(node))
    return found


def with_shapes(function: tf.types.experimental.ConcreteFunction) -> tf.compat.v1.GraphDef:
    return function.graph.as_graph_def(add_shapes=True)
