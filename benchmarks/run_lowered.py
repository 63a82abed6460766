"""Runs a step that `benchmarks.lower` wrote, by JAX's XLA, on the first device: `python run_lowered.py DIR [STEPS]`. It needs jax alone.

Prints ONE JSON line: seconds to compile, seconds a step, the device's peak memory where it tells, and the step's scalars beside
TensorFlow's. Without DIR's inputs the values are random, for timing.
"""

import json
import sys
import time
from pathlib import Path

import jax
import numpy as np
from jax._src.lib import xla_client  # JAX has no public door for HLO that another program made

jax.config.update("jax_enable_x64", True)


def main(folder: Path, steps: int) -> None:
    device = jax.devices()[0]
    computation = xla_client.XlaComputation((folder / "step.hlo").read_bytes())
    shapes = computation.program_shape().parameter_shapes()
    start = time.perf_counter()
    program = device.client.compile_and_load(
        xla_client._xla.mlir.xla_computation_to_mlir_module(computation), xla_client.DeviceList((device,)), xla_client.CompileOptions()
    )
    compiled = time.perf_counter() - start
    values = read(folder / "inputs.npz", shapes) if (folder / "inputs.npz").exists() else drawn(shapes)
    seconds: list[float] = []
    results: list = []
    for _ in range(steps):  # variables are donated: put anew before each step, outside of the time
        arguments = jax.block_until_ready([jax.device_put(value, device) for value in values])
        start = time.perf_counter()
        results = [parts[0] for parts in program.execute_sharded(arguments).disassemble_into_single_device_arrays()]
        jax.block_until_ready(results)
        seconds.append(time.perf_counter() - start)
    told = json.loads((folder / "step.json").read_text())["scalars"] if (folder / "step.json").exists() else {}
    line = {
        "jax": jax.__version__,
        "device": str(device),
        "compile_seconds": round(compiled, 1),
        "step_seconds": [round(s, 4) for s in seconds],
        "peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use"),
        # The scalars come first, by name; then the variables.
        "scalars, and TensorFlow's": {name: [float(np.asarray(got)), told[name]] for name, got in zip(sorted(told), results, strict=False)},
    }
    print(json.dumps(line))


def read(file: Path, shapes: list) -> list[np.ndarray]:
    """The inputs in their order. Raises ValueError if they are not the program's."""
    values = [value for _, value in sorted(np.load(file).items())]
    got, expected = [value.shape for value in values], [tuple(shape.dimensions()) for shape in shapes]
    if got != expected:
        raise ValueError(f"{file}: got inputs of shapes {got}, expected {expected}")
    return [value.astype(shape.numpy_dtype()) for value, shape in zip(values, shapes, strict=True)]


def drawn(shapes: list) -> list[np.ndarray]:
    """Random numbers, and zeros for what counts."""
    random = np.random.default_rng(0)
    return [
        np.zeros(shape.dimensions(), shape.numpy_dtype())
        if np.issubdtype(shape.numpy_dtype(), np.integer)
        else (0.02 * random.standard_normal(shape.dimensions())).astype(shape.numpy_dtype())
        for shape in shapes
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
