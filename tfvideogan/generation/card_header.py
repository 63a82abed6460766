"""The head of a module's card, by which model hubs find and sort it: YAML, in the fields of a Hugging Face model card."""

import json
import math
from collections.abc import Sequence

from tfvideogan.config import Config


def header(config: Config, kind: str, scores: Sequence[dict]) -> str:
    """YAML between two lines of ---.

    Args:
        config: of the run.
        kind: synthesis, prediction or translation.
        scores: records of metrics.jsonl, which become the model index; those that are no finite number are left out.
    """
    tags = ["tensorflow", "video-generation", "gan", f"video-{kind}", config.model]
    lines = [
        "license: other",
        "license_name: that-of-the-training-data",
        "library_name: tfvideogan",
        "tags:",
        *(f"- {json.dumps(tag)}" for tag in tags),
    ]
    finite = [record for record in scores if math.isfinite(record["value"])]
    if finite:
        lines += ["model-index:", f"- name: {json.dumps(f'{config.model} on {config.dataset}')}", "  results:"]
    for record in finite:
        dataset = record["protocol"].get("dataset", config.dataset)
        truncation = record["protocol"].get("truncation", 1.0)
        name = record["metric"] + (f", truncation {truncation:g}" if truncation != 1.0 else "")
        lines += [  # a string of JSON is one of YAML
            f"  - task: {json.dumps({'type': f'video-{kind}', 'name': f'Video {kind}'})}",
            f"    dataset: {json.dumps({'type': dataset, 'name': dataset, 'split': record['protocol'].get('split', config.split)})}",
            "    metrics:",
            f"    - {json.dumps({'type': record['metric'].partition('/')[0], 'name': name, 'value': record['value']})}",
        ]
    return "\n".join(["---", *lines, "---", ""])
