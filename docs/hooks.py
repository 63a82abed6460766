"""What the site has beyond docs/*.md: a page for each model, made from its file and its flagfiles; the API; files outside docs/.

Docstrings and Configs are read as text: the site is built in seconds, without TensorFlow's import.
"""

import ast
import dataclasses
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfvideogan"
# Files outside docs/ that are pages, by their place in the repository.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    **{f"exports/{card.parent.name}/README.md": f"exports/{card.parent.name}.md" for card in sorted(ROOT.glob("exports/*/README.md"))},
}
# And those that pages link to, which are copied as they are.
COPIED = (
    "LICENSE",
    "configs/*.flags",
    "examples/*.*",
    "examples/jobs/*",
    "exports/*/*.gif",
    "exports/*/*.png",
    "exports/*/run.flags",
    "exports/*/assets/labels.txt",
)
FOLDERS = ("models", "layers", "ops", "data", "training", "generation", "metrics", "evaluators", "evaluation")
PROGRAMS = ("train", "evaluate", "sample", "export", "prepare", "train_evaluator", "convert", "list")
LINK = re.compile(r"(\]\(|src=\"|href=\")([^)\s\"#:]+)(#[^)\"]*)?([)\"])")
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w`])\$([^$`\n]+?)\$(?![\w`])", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A flag of a model. text: default, as a flagfile has it. own: whether the model's paper brings it. changed: whether it overrides."""

    name: str
    text: str
    help: str
    own: bool
    changed: bool


def settings(name: str) -> dict[str, Setting]:
    """Fields of a model's Config, or of the one that all have ("config"), by name: read from the text, the base class first."""
    file = PACKAGE / ("config.py" if name == "config" else f"models/{name}.py")
    classes = {node.name: node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)}
    if name == "config":
        chain, found = [classes["Clips"], classes["Evaluation"], classes["Config"]], {}
    else:
        base = ast.unparse(classes["Config"].bases[0]).removesuffix(".Config")
        chain, found = [classes["Config"]], settings("config" if base == "base" else base)
    for node in chain:
        for line in node.body:
            names = [line.target] if isinstance(line, ast.AnnAssign) else line.targets if isinstance(line, ast.Assign) else []
            for target in names:
                key = ast.unparse(target)
                if isinstance(line.value, ast.Call):
                    default, text = line.value.args[:2]
                    found[key] = Setting(key, _flag_value(default), _joined(text), name != "config", False)
                elif key in found:
                    found[key] = dataclasses.replace(found[key], text=_flag_value(line.value), changed=True)
    return found


def _flag_value(node: ast.expr) -> str:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _joined(node: ast.expr) -> str:
    try:
        return str(ast.literal_eval(node))
    except ValueError:
        return ast.unparse(node)


def models() -> list[str]:
    return [file.stem for file in sorted((PACKAGE / "models").glob("*.py")) if file.stem != "__init__"]


def docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text())) or ""


def linked_papers(text: str) -> str:
    return re.sub(r"(arXiv:?\s?|\b)(\d{4}\.\d{5})", r"\1[\2](https://arxiv.org/abs/\2)", text)


def flagfiles() -> dict[str, list[Path]]:
    """Flagfiles by model."""
    found: dict[str, list[Path]] = {}
    for file in sorted((ROOT / "configs").glob("*.flags")):
        found.setdefault(value_of(file, "model") or "dvdgan", []).append(file)
    return found


def value_of(file: Path, flag: str) -> str:
    told = re.search(rf"^--{flag}=(.*)$", file.read_text(), re.M)
    return told.group(1) if told else ""


def notes(file: Path) -> list[tuple[str, str]]:
    """The comment of a flagfile: (key, text) of each of its notes, "" for what opens it."""
    found: list[list[str]] = []
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        begun = re.match(r"# (Paper row aimed at|Differs from [^:]+|Command|Measured[^:]*): (.*)", line)
        if begun or not found:
            found.append([*begun.groups()] if begun else ["", line.removeprefix("# ")])
        else:
            found[-1][1] += " " + line.removeprefix("#").strip()
    return [(key, text) for key, text in found]


def measured(file: Path) -> bool:
    return any(key.startswith("Measured") and "not yet run" not in text for key, text in notes(file))


def cards(name: str) -> list[Path]:
    """Cards of trained generators of a model: by the run.flags beside them, or their folder's name."""
    found = []
    for card in sorted(ROOT.glob("exports/*/README.md")):
        flags = card.parent / "run.flags"
        if (value_of(flags, "model") if flags.exists() else card.parent.name.split("_")[0]) == name:
            found.append(card)
    return found


def parts(name: str) -> Iterator[tuple[str, str, str]]:
    """(class, what it is, what its call reads and gives) of the networks and layers that a model's file defines."""
    for node in ast.parse((PACKAGE / "models" / f"{name}.py").read_text()).body:
        if isinstance(node, ast.ClassDef) and any("keras" in ast.unparse(base) or "Model" in ast.unparse(base) for base in node.bases):
            calls = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "call"]
            told = first_paragraph(ast.get_docstring(calls[0])) if calls else ""
            yield node.name, first_paragraph(ast.get_docstring(node)), told


def first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def heading(card: Path) -> str:
    return card.read_text().splitlines()[0].lstrip("# ")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def model_page(name: str) -> str:
    title, _, text = docstring(PACKAGE / "models" / f"{name}.py").partition(":")
    body = re.sub(r"^Parameters", "## Parameters\n\nParameters", linked_papers(text.strip()), flags=re.M)
    body = re.sub(r"^([A-Z`][^\n:]*):\n(?=- )", r"## \1\n\n", body, flags=re.M)
    own = [one for one in settings(name).values() if one.own]
    changed = [one for one in settings(name).values() if one.changed and not one.own and one.name != "model"]
    files = flagfiles().get(name, [])
    lines = [f"# {title}\n\n`--model={name}`\n", body]
    shown = [(card, picture) for card in cards(name) for picture in [*card.parent.glob("*.gif"), *sorted(card.parent.glob("*.png"))][:1]]
    pictures = [f"![{heading(card)}](../exports/{card.parent.name}/{one.name}){{width=420}}\n" for card, one in shown]
    lines.append("## Parts\n")
    lines.append(
        f"What [tfvideogan/models/{name}.py](../reference/models.md#tfvideogan.models.{name}) defines, in the order of the file.\n"
    )
    lines.append(table(["part", "what it is", "reads -> gives"], [(code(part), what, told) for part, what, told in parts(name)]))
    lines.append("## Results\n\nOnly what was measured. The figures of small runs on a CPU say little about long ones on large data.\n")
    lines += [f"- [{heading(card)}](../exports/{card.parent.name}.md)" for card in cards(name)]
    lines += [f"- [{file.name}](#{file.stem}): see *Measured* there" for file in files if measured(file)]
    if not cards(name) and not any(map(measured, files)):
        lines.append("None: no run of this model was measured. It is held against a reference of its paper in the tests.")
    lines += [
        "",
        *pictures,
        "## How to reproduce\n",
        "Each flagfile is a note of its experiment: what differs from the paper, and what came of it.\n",
    ]
    for file in files:
        lines.append(f"### {file.stem}\n")
        for key, text in notes(file):
            lines.append(
                f"    {text}\n" if key == "Command" else f"**{key}:** {linked_papers(text)}\n" if key else f"{linked_papers(text)}\n"
            )
        flags = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
        lines += [f'??? note "configs/{file.name}"\n', *(f"        {flag}" for flag in flags), ""]
    lines.append("## Flags\n\nThose of this model. Their defaults are the paper's values.\n")
    lines.append(table(["flag", "default", "meaning"], [(code(f"--{one.name}"), code(one.text), one.help) for one in own]))
    lines.append("Defaults of flags that every model has ([all of them](../reference/flags.md)) and that this paper changes:\n")
    lines.append(table(["flag", "default", "meaning"], [(code(f"--{one.name}"), code(one.text), one.help) for one in changed]))
    return "\n".join(lines)


def models_page() -> str:
    rows = []
    for name in models():
        title, _, rest = docstring(PACKAGE / "models" / f"{name}.py").partition(":")
        rows.append((code(name), f"[{title}]({name}.md)", linked_papers(rest.strip().split("\n\n")[0].replace("\n", " "))))
    text = "One paper a file in `tfvideogan/models`; the file's name is the name for `--model=`.\n\n"
    return "# Models\n\n" + text + table(["`--model=`", "model", "paper"], rows)


def flags_page() -> str:
    rows = [(code(f"--{one.name}"), code(one.text), one.help) for one in settings("config").values()]
    text = (
        "What every model has. A paper's Config changes defaults and adds flags of its own: see the page of the model. "
        "`python -m tfvideogan.train --model=NAME --help` prints all of them.\n\n"
    )
    return "# Flags of every model\n\n" + text + table(["flag", "default", "meaning"], rows)


def reference_page(name: str) -> str:
    """A module, or a folder of them, from the docstrings."""
    if name == "index":
        return "# Reference\n\n" + table(
            ["package", "what"], [(f"[tfvideogan.{one}]({one}.md)", _what(one)) for one in ("gan", "losses", *FOLDERS)]
        )
    if name == "programs":
        blocks = [f"## {one}\n\n```text\n{docstring(PACKAGE / f'{one}.py')}\n```\n" for one in PROGRAMS]
        return (
            "# Programs\n\n`tfvideogan VERB` and `python -m tfvideogan.VERB` are the same. `--help` lists a program's flags.\n\n"
            + "\n".join(blocks)
        )
    return f"# tfvideogan.{name}\n\n::: tfvideogan.{name}\n"


def _what(name: str) -> str:
    file = PACKAGE / f"{name}.py"
    return first_paragraph(docstring(file if file.exists() else PACKAGE / name / "__init__.py"))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    made = {f"models/{name}.md": model_page(name) for name in models()} | {"models/index.md": models_page()}
    made |= {f"reference/{name}.md": reference_page(name) for name in ("index", "programs", "gan", "losses", *FOLDERS)}
    made["reference/flags.md"] = flags_page()
    made |= {place: (ROOT / source).read_text() for source, place in PAGES.items()}
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    for pattern in COPIED:
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file():
                files.append(File.generated(config, str(file.relative_to(ROOT)), abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of the repository become links of the site; formulas become MathML, which browsers draw by themselves."""
    place = page.file.src_uri
    source = {to: of for of, to in PAGES.items()}.get(place, f"docs/{place}")
    if source != f"docs/{place}" or not place.startswith(("models/", "reference/")):
        markdown = LINK.sub(lambda link: _relinked(link, source, place), markdown)
    if place == "metrics.md":
        markdown = MATH.sub(_drawn, markdown)
    return markdown


def _relinked(link: re.Match, source: str, place: str) -> str:
    """A link from the file `source` of the repository, on the page `place` of the site."""
    before, target, anchor, after = link.groups()
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    module = re.fullmatch(r"tfvideogan/(?:(\w+)/)?(\w+)\.py", path)
    if path in PAGES:
        to = PAGES[path]
    elif path.startswith("docs/"):
        to = path.removeprefix("docs/")
    elif module and module[1] == "models":
        to = f"models/{module[2]}.md"
    elif module:
        to, anchor = f"reference/{module[1] or module[2]}.md", f"#{path.removesuffix('.py').replace('/', '.')}"
    else:
        to = path
    return f"{before}{posixpath.relpath(to, posixpath.dirname(place) or '.')}{anchor or ''}{after}"


def _drawn(formula: re.Match) -> str:
    """MathML. In a span, or Markdown would make a paragraph of one that begins a line."""
    return convert(formula[1], display="block") if formula[1] else f"<span>{convert(formula[2])}</span>"


class _Lists(Preprocessor):
    """An empty line before lists that follow a line of text, as docstrings have them: Markdown would go on with the paragraph."""

    def run(self, lines: list[str]) -> list[str]:
        found: list[str] = []
        for line in lines:
            if line.lstrip().startswith("- ") and found and found[-1].strip() and not re.match(r"\s*- |\s+\S", found[-1]):
                found.append("")
            found.append(line)
        return found


class Lists(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(_Lists(md), "lists", 20)  # after fenced blocks, which have 25, are put aside


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.markdown_extensions.append(Lists())
    return config
