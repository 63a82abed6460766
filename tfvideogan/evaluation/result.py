"""What an evaluation found, and where it is shown: the table on the screen, and the report."""

import dataclasses
import logging
from pathlib import Path

from tfvideogan.config import UserError
from tfvideogan.evaluation import report

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
        name: of what was evaluated.
        step: generator steps it was trained for; 0 if unknown.
        records: of the metrics.
        curve: records of IS and FID at several truncations, or none.
        sets, sections: what a report shows.
    """

    name: str
    step: int
    records: list[dict]
    curve: list[dict]
    sets: tuple[report.Set, ...]
    sections: tuple[report.Section, ...] = ()


def require(found: object, metrics: tuple[str, ...], missing: dict[str, str]) -> None:
    """Raises UserError, with the reason for each metric, where there is nothing of any."""
    if not found:
        reasons = "; ".join(f"no {metric}: {missing[metric]}" for metric in metrics)
        raise UserError(f"--metrics={','.join(metrics)}: none of them can be computed: {reasons}")


def line(record: dict) -> str:
    """A record as a line of the table on the screen."""
    real = f"   real {_shown(record['real'], '.4g')}" if "real" in record else ""
    return f"{record['metric']:28s} {_shown(record['value'], '.4g'):>10s} +- {_shown(record['stderr'], '.2g')}{real}"


def write_report(path: Path, result: Result) -> None:
    """Writes the report's page into a folder."""
    report.write(path / "report.html", result.name, result.records, result.curve, result.sets, result.sections)
    LOG.info("wrote %s", path / "report.html")


def _shown(value: float | None, digits: str) -> str:
    return "not finite" if value is None else f"{value:{digits}}"
