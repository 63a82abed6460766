"""A file imports only from its own floor's allowance and the floors below: see CONTRIBUTING.md."""

import ast
from pathlib import Path

import pytest

import tfvideogan

ROOT = Path(tfvideogan.__file__).parent
FLOORS = {"config": 0, "video": 0, "layers": 1, "losses": 1, "data": 1, "gan": 2, "models": 3, "metrics": 3}  # every other file: 4
PROGRAMS = 4
FILES = sorted(ROOT.rglob("*.py"))


def part(name: str) -> str:
    """tfvideogan.layers.norm -> layers; the package itself -> nothing."""
    return name.removeprefix("tfvideogan").removeprefix(".").split(".")[0]


def floor(name: str) -> int:
    return FLOORS.get(part(name), PROGRAMS)


def module_name(file: Path) -> str:
    return ".".join(["tfvideogan", *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def imports(source: str) -> set[str]:
    """Every name a file imports, wherever it does: "tfvideogan.layers.norm.ConditionalBatchNorm", "absl.flags"."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


def faults(module: str, source: str) -> list[str]:
    """What a file imports that its floor forbids."""
    here, found = part(module), []
    for name in sorted(imports(source)):
        if name.startswith("."):
            found.append(f"{name}: write tfvideogan in full")
        elif name.split(".")[0] == "absl" and floor(module) < PROGRAMS:
            found.append(f"{name}: only programs know absl")
        elif name.split(".")[0] == "tfvideogan" and here:
            there = part(name)
            if floor(name) > floor(module) and name != "tfvideogan.__version__":
                found.append(f"{name}: stands on floor {floor(name)}, above {floor(module)}")
            elif {here, there} == {"models", "metrics"}:
                found.append(f"{name}: models and metrics never import each other")
            elif here in ("layers", "losses") and there == "config":
                found.append(f"{name}: layers and losses take plain arguments")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_only_from_below(file):
    assert not faults(module_name(file), file.read_text())


def test_every_part_of_the_house_is_there():
    parts = {part(module_name(file)) for file in FILES}
    assert set(FLOORS) <= parts and {"run", "train", "evaluate", "sample", "export"} <= parts


@pytest.mark.parametrize(
    "module, line",
    [
        ("tfvideogan.video", "from tfvideogan import data"),
        ("tfvideogan.data.folder", "from tfvideogan.gan import GAN"),
        ("tfvideogan.gan", "import tfvideogan.models.dvdgan"),
        ("tfvideogan.models.dvdgan", "from tfvideogan.metrics import tfgan"),
        ("tfvideogan.metrics.tfgan", "from tfvideogan import models"),
        ("tfvideogan.metrics", "from tfvideogan.run import Run"),
        ("tfvideogan.data.folder", "from absl import logging"),
        ("tfvideogan.models.dvdgan", "def late():\n    import absl.flags"),
        ("tfvideogan.layers.norm", "from tfvideogan.config import Config"),
        ("tfvideogan.losses", "import tfvideogan.config"),
        ("tfvideogan.models.dvdgan", "from . import mocogan"),
    ],
)
def test_a_wrong_import_is_found(module, line):
    assert len(faults(module, line)) == 1
