"""TF-GAN's `eval` and `losses`, on a TensorFlow for which `import tensorflow_gan` fails.

tensorflow-gan 2.1.0 needs `tf.estimator`, gone since TensorFlow 2.16, but only its `estimator`, `tpu` and `train` use
it. A submodule imports alone once its parents stand in `sys.modules` as bare packages that know their folders.
"""

import functools
import importlib
import importlib.util
import sys
import types
from pathlib import Path

from tfvideogan.config import UserError


@functools.cache
def load() -> types.SimpleNamespace:
    """Returns TF-GAN's modules as attributes `eval` and `losses`. The first call takes 1-2 s, most of it TensorFlow Probability.

    `sys.modules` keeps nothing of a TF-GAN that cannot be imported whole: `import tensorflow_gan` still fails elsewhere.

    Raises: UserError if tensorflow-gan is not installed.
    """
    try:
        whole = importlib.import_module("tensorflow_gan")
        return types.SimpleNamespace(eval=whole.eval, losses=whole.losses)
    except (ImportError, AttributeError):  # AttributeError: no tf.estimator; ImportError: no distutils
        _forget()
    spec = importlib.util.find_spec("tensorflow_gan")
    if spec is None or spec.submodule_search_locations is None:
        raise UserError("tensorflow-gan is not installed, and the metrics need it: pip install 'tensorflow-gan>=2.1'")
    folder = Path(spec.submodule_search_locations[0])
    try:
        sys.modules["tensorflow_gan"] = _bare("tensorflow_gan", folder)
        sys.modules["tensorflow_gan.python"] = _bare("tensorflow_gan.python", folder / "python")
        return types.SimpleNamespace(
            eval=importlib.import_module("tensorflow_gan.python.eval"),
            losses=importlib.import_module("tensorflow_gan.python.losses"),
        )
    finally:
        _forget()


def _bare(name: str, folder: Path) -> types.ModuleType:
    package = types.ModuleType(name)
    package.__path__ = [str(folder)]
    return package


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow_gan"]:
        del sys.modules[name]
