"""The documentation: its commands are commands, its messages are messages; and, slow, the site is built without a broken link."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("exports/*/README.md"))]
COMMAND = re.compile(r"^    (?:python -m |\.venv/bin/)?(tfvideogan|benchmarks)[. ](\w+)((?:.*\\\n)*.*)$", re.M)
FLAG = re.compile(r"--(\w+)")
FIELD = re.compile(r"^    (\w+): \w+ = field\(|DEFINE_\w+\(\s*\"(\w+)\"|define_path\(\s*\"(\w+)\"|add_argument\(\s*\"--(\w+)\"", re.M)


def commands() -> list[tuple[str, str, str, str]]:
    """(page, package, verb, the rest of the line) of every command."""
    return [(page.name, *found) for page in PAGES for found in COMMAND.findall(page.read_text())]


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """Names of all flags there are, whichever program reads them."""
    files = [*(ROOT / "tfvideogan").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    return {"flagfile", "help"} | {name for file in files for names in FIELD.findall(file.read_text()) for name in names if name}


def test_commands_are_found():
    assert len(commands()) > 40 and {"README.md", "tutorial.md"} <= {page for page, *_ in commands()}


def test_every_command_runs_a_program(flags):
    for page, package, verb, rest in commands():
        assert (ROOT / package / f"{verb}.py").is_file(), f"{page}: {package} {verb}"
        unknown = {name for name in FLAG.findall(rest.split("#")[0]) if name not in flags and name.removeprefix("no") not in flags}
        assert not unknown - {"runner"}, f"{page}: {verb}: {unknown}"  # --runner is Beam's


def test_every_flagfile_is_there():
    for page in PAGES:
        for name in re.findall(r"--flagfile=(configs/\w+\.flags)", page.read_text()):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"


def test_every_page_is_in_the_navigation_of_the_site():
    told = (ROOT / "mkdocs.yml").read_text()
    pages = [f"exports/{card.parent.name}.md" for card in ROOT.glob("exports/*/README.md")]
    pages += [file.name for file in (ROOT / "docs").glob("*.md")]
    pages += [f"models/{file.stem}.md" for file in (ROOT / "tfvideogan" / "models").glob("[a-z]*.py")]
    assert len(pages) > 25 and [page for page in pages if f": {page}\n" not in told and f"- {page}\n" not in told] == []


def test_every_message_of_troubleshooting_is_in_the_code():
    code = "".join(file.read_text() for file in (ROOT / "tfvideogan").rglob("*.py"))
    code = re.sub(r"\"\s*\n\s*f?\"", "", code)  # texts over several lines
    entries = re.findall(r"^(\*\*`.*)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)
    messages = [message for entry in entries for message in re.findall(r"\*\*`([^`]*)`", entry)]
    assert len(messages) > 40
    others = ("Killed", "ModuleNotFoundError")  # the system's, and Python's
    for message in messages:
        for part in message.split("…"):
            if len(part.strip(" :,.")) > 8 and not message.startswith(others):
                assert part.strip() in code, f"{message!r}: {part!r}"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings_handlers.python")
    pytest.importorskip("latex2mathml")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", f"--site-dir={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_broken_link(site):
    pages = {page.relative_to(site).as_posix(): page.read_text() for page in site.rglob("*.html")}
    assert {"index.html", "tutorial.html", "models/vid2vid.html", "reference/metrics.html", "exports/actions64.html"} <= set(pages)
    assert '<h2 id="differences-from-the-paper">' in pages["models/dvdgan.html"] and "--latent" in pages["models/dvdgan_fp.html"]
    assert "<math" in pages["metrics.html"] and "$$" not in pages["metrics.html"]
    for name, page in pages.items():  # nothing is fetched from elsewhere when it is read
        assert not re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", page), name


@pytest.mark.slow
def test_the_search_works_in_a_page_opened_from_the_disk_without_a_network(site, browser):
    page = browser.new_page()
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((site / "models" / "dvdgan.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("truncation")
    page.locator(".md-search-result__link[href*='training.html']").first.click(timeout=30_000)
    page.wait_for_url("**/training.html*")
    page.close()


@pytest.mark.slow
def test_the_readmes_lines_of_python_run(tmp_path):
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "exports").symlink_to(ROOT / "exports")
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, check=True, timeout=300)
    assert (tmp_path / "clips.gif").stat().st_size > 1000
