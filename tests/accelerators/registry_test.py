"""What can be proven of GPUs and TPUs without one: TensorFlow's wheel says which operations have kernels for GPUs, and of which types.

Each graph is built as where there is a GPU, and each of its operations, and of its functions', is looked up. The same graphs show what a
TPU refuses.
"""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tests.accelerators import graphs
from tests.accelerators.cases import CASES, DEEP, PRECISIONS, config_of, has_recompute, traced_step
from tests.conftest import LEAST, small
from tests.golden_test import FOLDER
from tests.models_test import batch_of
from tfvideogan import models
from tfvideogan.evaluators import c3d, classifier, i3d, inception, lpips
from tfvideogan.generation import module
from tfvideogan.generation.sampler import Sampler
from tfvideogan.layers import vgg19
from tfvideogan.ops import forms

ROOT = Path(__file__).parents[2]
HOST_ONLY: dict[str, str] = {}  # of a training step: none
HOST_ONLY_OF_EVALUATORS = {"ScaleAndTranslate(": "the classifier's resize to 32x32 with antialiasing, which TensorFlow has for CPUs alone"}
FILES = "SaveV2(", "RestoreV2(", "MergeV2Checkpoints(", "ShardedFilename(", "StringJoin(", "StaticRegexFullMatch("
HOST_ONLY_OF_MODULES = {
    **dict.fromkeys(FILES, "reads or writes the module's files"),
    **dict.fromkeys(("Const(dtype=string)", "Pack(T=string)", "Select(T=string)"), "names of files, and what a check says"),
    "VarHandleOp(dtype=string)": "the name of labels.txt",
    "VarHandleOp(dtype=int32)": "the step that the module was trained to, and which part of a latent is what",
}
REFUSED_BY_TPUS = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), "Python"),
    **dict.fromkeys(("SelfAdjointEig", "SelfAdjointEigV2", "Svd", "Eig"), "an eigendecomposition"),
}
WIDE = (tf.float64, tf.complex128)


def cases() -> list:
    """Each case in each precision, and all that divides or repeats its passes too."""
    made = []
    for case in CASES:
        for precision in PRECISIONS:
            for divided in (False, True):
                slow = case in DEEP or (precision, divided) != ("mixed_bfloat16", True)
                name = f"{case}-{precision}{'-accumulated' * divided}"
                made.append(pytest.param((case, precision, divided), id=name, marks=[pytest.mark.slow] if slow else []))
    return made


def test_every_case_is_one():
    """In the fast tests too, where the steps of most are not traced."""
    assert {config_of(case).model for case in CASES} == {*models.names()}


@pytest.fixture(scope="module", params=cases())
def step(request) -> tf.compat.v1.GraphDef:
    case, precision, divided = request.param
    changes = {"accumulate_steps": 2, **({"recompute": True} if has_recompute(case) else {})} if divided else {}
    return graphs.with_shapes(traced_step(config_of(case, precision=precision, **changes)))


def test_every_operation_of_a_step_has_a_gpu_kernel(step):
    found = list(graphs.nodes(step))
    assert len(found) > 1000 and not any(node.compiled for node in found)
    assert not graphs.without_kernel(step, HOST_ONLY)


def test_a_step_has_nothing_that_a_tpu_refuses(step):
    assert not refused_by_tpus(step)
    assert not graphs.without_static_shape(step)
    by_xla = {str(node) for node in graphs.nodes(step) if not graphs.has_kernel(node.operation, graphs.BY_XLA)}
    assert not {name for name in by_xla if not name.startswith("Placeholder(")}


def refused_by_tpus(graph: tf.compat.v1.GraphDef) -> list[str]:
    found = []
    for node in graphs.nodes(graph):
        types = {dtype for name in node.operation.attr for dtype in graphs.types_of(node.operation, name)}
        if node.operation.op in REFUSED_BY_TPUS or types & {dtype.as_datatype_enum for dtype in (*WIDE, tf.string)}:
            found.append(str(node))
    return found


def graph_of(function: Callable, *specs: tf.TensorSpec) -> tf.compat.v1.GraphDef:
    """Traced as where there is a GPU."""
    with forms.accelerated():
        return graphs.with_shapes(tf.function(function, autograph=False).get_concrete_function(*specs))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.strings.length(tf.strings.as_string(x)),
        lambda x: tf.cond(x[0, 0] > 0, lambda: tf.linalg.matmul(*[tf.cast(x, tf.uint16)] * 2), lambda: tf.cast(x, tf.uint16)),
        lambda x: tf.numpy_function(lambda x: x, [x], tf.float32),
    ],
    ids=["a string", "a type, in a branch", "Python"],
)
def test_an_operation_without_a_gpu_kernel_is_found(function):
    graph = graph_of(function, tf.TensorSpec([3, 3], tf.float32))
    assert graphs.without_kernel(graph, HOST_ONLY)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.cast(tf.cast(x, tf.float64) * 2.0, tf.float32),
        lambda x: tf.linalg.eigh(x)[0],
        lambda x: tf.while_loop(lambda x: x[0, 0] < 9.0, lambda x: (x @ tf.linalg.svd(x, compute_uv=False)[:, None] + x,), (x,)),
        lambda x: tf.numpy_function(lambda x: x, [x], tf.float32),
    ],
    ids=["float64", "eigh", "svd, in a loop", "Python"],
)
def test_what_a_tpu_refuses_is_found(function):
    assert refused_by_tpus(graph_of(function, tf.TensorSpec([3, 3], tf.float32)))


def test_a_shape_that_is_known_too_late_is_found():
    assert graphs.without_static_shape(graph_of(lambda x: tf.boolean_mask(x, x > 0), tf.TensorSpec([3], tf.float32)))
    assert not graphs.without_static_shape(graph_of(lambda x: tf.nn.relu(x), tf.TensorSpec([3], tf.float32)))


def test_what_xla_compiles_is_asked_of_xla():
    outer = tf.function(tf.function(lambda x: tf.linalg.eigh(x)[0], jit_compile=True, autograph=False), autograph=False)
    graph = graph_of(outer, tf.TensorSpec([3, 3], tf.float32))
    assert any(node.compiled and node.operation.op == "SelfAdjointEigV2" for node in graphs.nodes(graph))
    assert not graphs.without_kernel(graph, HOST_ONLY)


# Modules and evaluators


def functions_of(sampler: Sampler) -> list[tf.types.experimental.ConcreteFunction]:
    """All that a module is exported with, traced, and what calibrates it."""
    sampler.trace_rollouts()
    polymorphic = [value for value in vars(sampler).values() if isinstance(value, tf.types.experimental.PolymorphicFunction)]
    traced = [function.get_concrete_function() for function in polymorphic if function.input_signature]
    nexts = [concrete for function in polymorphic if not function.input_signature for concrete in function._list_all_concrete_functions()]
    batch = batch_of(sampler._gan.config, 4)
    calibrate = sampler._calibrate.get_concrete_function(batch, tf.TensorSpec([]), tf.TensorSpec([len(sampler.truncations)]))
    with forms.plain():
        return [*traced, *nexts, calibrate, module.serving(sampler.generate).get_concrete_function()]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in DEEP else []) for n in LEAST])
@pytest.mark.parametrize("precision", ["float32", *(pytest.param(name, marks=pytest.mark.slow) for name in PRECISIONS[1:])])
def test_every_operation_of_a_sampler_has_a_gpu_kernel(name, precision):
    with forms.accelerated():
        found = functions_of(Sampler(models.build(small(name, precision=precision)), truncations=(0.5, 1.0)))
    assert len(found) >= 4
    for function in found:
        assert not graphs.without_kernel(function.graph.as_graph_def(), HOST_ONLY_OF_MODULES)


def exported() -> dict[str, Path]:
    archives = {f"golden {file.name.removesuffix('.tar.xz')}": file for file in sorted(FOLDER.glob("*.tar.xz"))}
    return {**archives, "moving_shapes64": ROOT / "exports" / "moving_shapes64" / "saved_model.pb"}


@pytest.mark.parametrize("name", exported())
def test_every_operation_of_a_module_that_a_cpu_exported_has_a_gpu_kernel(name):
    """Its graphs are a CPU's, for it was exported there: what XLA compiles in them has one of XLA's."""
    file = exported()[name]
    if file.suffix == ".pb":
        written = file.read_bytes()
    else:
        with tarfile.open(file) as archive:
            (member,) = [member for member in archive if member.name.endswith("/saved_model.pb")]
            written = archive.extractfile(member).read()
    (graph,) = [meta.graph_def for meta in SavedModel.FromString(written).meta_graphs]
    assert len(list(graphs.nodes(graph))) > 500
    assert not graphs.without_kernel(graph, HOST_ONLY_OF_MODULES)


MEAN = np.zeros([c3d.FRAMES, 128, 171, 3], np.float32)
CLIPS = tf.TensorSpec([None, None, None, None, 3], tf.float32)


def evaluating(network: classifier.Network) -> Callable:
    return lambda video: network(network.look(video))


def lpips_of(network: str) -> Callable:
    """The distance of two clips' frames, with weights of zeros."""
    weights = {f"heads.{i}": np.zeros(lpips.CONVOLUTIONS[network][tap][-1]) for i, tap in enumerate(lpips.TAPS[network])}
    for number, (kernel, _, _, inputs, outputs) in lpips.CONVOLUTIONS[network].items():
        weights |= {f"features.{number}.weight": np.zeros([outputs, inputs, kernel, kernel]), f"features.{number}.bias": np.zeros(outputs)}
    distance = lpips.Lpips(network, "0" * 64, weights).distance
    return lambda video: distance(video[:, 0], video[:, 1])


def inception_of(frames: tf.Tensor) -> dict[str, tf.Tensor]:
    """In place of TF-GAN's module, which has to be fetched."""
    return {name: tf.reduce_mean(frames, [1, 2]) for name in inception.OUTPUTS}


EVALUATORS: dict[str, Callable[[], Callable]] = {
    "classifier": lambda: evaluating(classifier.VideoClassifier(3)),
    "i3d": lambda: evaluating(i3d.I3D(400, uint8=True)),
    "i3d_float": lambda: evaluating(i3d.I3D(600, uint8=False)),
    "c3d": lambda: evaluating(c3d.C3D(101, lambda video: c3d.tganv2_look(video, MEAN))),
    "c3d_tgan": lambda: evaluating(c3d.C3D(101, lambda video: c3d.tgan_look(video, MEAN))),
    "inception, around its network": lambda: evaluating(inception.Inception(inception_of)),
    "lpips_alex": lambda: lpips_of("alex"),
    "lpips_vgg": lambda: lpips_of("vgg"),
}


@pytest.mark.parametrize("name", EVALUATORS)
def test_every_operation_of_an_evaluator_has_a_gpu_kernel(name):
    assert not graphs.without_kernel(graph_of(EVALUATORS[name](), CLIPS), HOST_ONLY_OF_EVALUATORS)


def test_every_operation_of_the_perceptual_distance_and_its_gradient_has_a_gpu_kernel():
    """As in the steps of models with --perceptual; its weights are placeholders."""
    with tf.Graph().as_default() as graph, forms.accelerated():
        pictures = tf.compat.v1.placeholder(tf.float32, [2, 32, 32, 3])
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            distance = vgg19.perceptual_distance(vgg19.network("keras"), pictures, pictures[::-1])
        tape.gradient(distance, pictures)
    assert not graphs.without_kernel(graph.as_graph_def(), HOST_ONLY)
