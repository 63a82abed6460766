"""A file imports only from floors below its own, or from its own package: see CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import pytest

import tfvideogan
from tfvideogan import models

ROOT = Path(tfvideogan.__file__).parent
# Of a package, or of a file or package within one; the longest name decides.
FLOORS = {
    "config": 0,
    "files": 1,
    "metrics": 1,
    "losses": 1,
    "ops": 1,
    "layers": 2,
    "gan": 3,
    "data": 3,
    "models": 4,
    "generation": 5,
    "data.preparation": 6,
    "evaluators": 6,
    "playground": 6,
    "evaluation": 7,
    "training": 8,
    "cli": 9,
    "train": 10,
    "evaluate": 10,
    "sample": 10,
    "export": 10,
    "play": 10,
    "prepare": 10,
    "convert": 10,
    "train_evaluator": 10,
    "installed": 0,
    "quiet": 0,
    "terminal": 0,
    "list": 1,
    "__main__": 11,
}
# Outside packages that only some may know, and who.
KNOWN_BY = {
    "absl.flags": {"cli", "train", "evaluate", "sample", "export", "play", "prepare", "convert", "train_evaluator"},
    "absl": {
        "cli",
        "train",
        "evaluate",
        "sample",
        "export",
        "play",
        "prepare",
        "convert",
        "train_evaluator",
        "training",
        "evaluation",
        "evaluators",
        "data.preparation",
    },
    "tensorflow.distribute": {
        "cli",
        "train",
        "training",
        "evaluators.replicas",
        "ops.fused",
        "models.vgan",
        "models.ftgan",
    },  # fused: moments over replicas; vgan and ftgan: frames and flows they keep
}
FILES = sorted(ROOT.rglob("*.py"))


def place(name: str, table: dict[str, int]) -> str:
    """The longest entry of a table that a dotted name is in: tfvideogan.data.preparation.records -> data.preparation."""
    parts = name.removeprefix("tfvideogan").removeprefix(".").split(".")
    return next((entry for n in range(len(parts), 0, -1) if (entry := ".".join(parts[:n])) in table), "")


def module_name(file: Path) -> str:
    return ".".join(["tfvideogan", *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def imports(source: str) -> set[str]:
    """Every name a file imports, wherever it does: "tfvideogan.layers.norm.ConditionalBatchNorm", "absl.flags"; and what it uses of
    tf.distribute, which nobody imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) == ("tf", "distribute"):
            names.add("tensorflow.distribute")
    return names


def faults(module: str, source: str) -> list[str]:
    """What a file imports that its floor forbids."""
    here, found = place(module, FLOORS), []
    if not here and module != "tfvideogan":
        return [f"{module}: stands on no floor"]
    for name in sorted(imports(source)):
        if name.startswith("."):
            found.append(f"{name}: write tfvideogan in full")
        elif name.startswith("tfvideogan.") and here:
            there = place(name, FLOORS)
            if there and there != here and FLOORS[there] >= FLOORS[here]:
                found.append(f"{name}: {there} stands on floor {FLOORS[there]}, {here} on {FLOORS[here]}")
            elif {here, there} == {"models", "metrics"}:
                found.append(f"{name}: models and metrics never import each other")
            elif here in ("layers", "losses", "ops", "metrics") and there == "config" and not name.endswith("UserError"):
                found.append(f"{name}: {here} takes plain arguments")
        for known in sorted(KNOWN_BY, key=len, reverse=True):
            if f"{name}.".startswith(f"{known}."):
                if not any(f"{module}.".startswith(f"tfvideogan.{who}.") for who in KNOWN_BY[known]):
                    found.append(f"{name}: not for {module}")
                break
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_only_from_below(file):
    assert not faults(module_name(file), file.read_text())


def test_what_is_not_a_model_or_for_one_names_none():
    # But for a default of --model, which one of them has to be.
    names = "|".join(name for name in models.names())
    files = [file for file in FILES if FLOORS[place(module_name(file), FLOORS) or "__main__"] >= FLOORS["generation"]]
    named = {module_name(file): re.findall(rf"\b(?:{names})\b", file.read_text()) for file in files}
    assert len(files) > 50 and not {module: found for module, found in named.items() if found}


def test_every_floor_is_there():
    names = [module_name(file).removeprefix("tfvideogan.") for file in FILES]
    assert not [entry for entry in FLOORS if entry != "__main__" and entry not in names]


@pytest.mark.parametrize(
    "module, line",
    [
        ("tfvideogan.ops.video", "from tfvideogan import data"),
        ("tfvideogan.data.sources.folder", "from tfvideogan.gan import GAN"),
        ("tfvideogan.data.sources.folder", "from tfvideogan.data.preparation import records"),
        ("tfvideogan.gan", "import tfvideogan.models.dvdgan"),
        ("tfvideogan.models.dvdgan", "from tfvideogan.metrics import tfgan"),
        ("tfvideogan.metrics.mmd", "from tfvideogan import models"),
        ("tfvideogan.generation.sampler", "from tfvideogan.training.run_folder import Run"),
        ("tfvideogan.evaluation.cache", "import tfvideogan.training.cost"),
        ("tfvideogan.data.sources.folder", "from absl import logging"),
        ("tfvideogan.training.loop", "from absl import flags"),
        ("tfvideogan.models.dvdgan", "def late():\n    import absl.flags"),
        ("tfvideogan.layers.norm", "from tfvideogan.config import Config"),
        ("tfvideogan.losses", "import tfvideogan.config"),
        ("tfvideogan.models.dvdgan", "from . import mocogan"),
        ("tfvideogan.layers.norm", "context = tf.distribute.get_replica_context()"),
        ("tfvideogan.leftovers", ""),
    ],
)
def test_a_wrong_import_is_found(module, line):
    assert len(faults(module, line)) == 1
