"""The job files in examples/jobs: their shell is shell, their YAML is YAML, and what they start is a command of ours in a cluster."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tfvideogan.training.strategy import TF_CONFIG, _cluster

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "examples" / "jobs"
SCRIPTS = sorted(JOBS.glob("*.sh"))
# In place of Slurm: the names of two machines, and each of two tasks. In place of Python: what it is called with, a line of JSON.
STAND_INS = {
    "scontrol": "#!/bin/sh\nprintf 'host0\\nhost1\\n'\n",
    "srun": '#!/bin/sh\nshift\nfor i in 0 1; do SLURM_PROCID=$i "$@" || exit 1; done\n',
    "python": f'#!{sys.executable} -S\nimport json, os, sys\nprint(json.dumps([os.environ.get("TF_CONFIG", ""), sys.argv[1:]]))\n',
}
# Parses each command line on stdin, each in a process of its own, as a program's flags are defined once.
PARSE = """
import json, os, sys
import tfvideogan.train
from tfvideogan.cli import parse
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            parse(json.loads(line), (), None)
        except Exception as error:
            print(line, error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def started(folder: Path, *command: str, **environment: str) -> list[tuple[str, list[str]]]:
    """TF_CONFIG and the arguments of each `python` that a job starts."""
    for name, text in STAND_INS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SLURM_JOB_NODELIST": "host[0-1]", **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def manifests() -> list[dict]:
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((JOBS / "kubernetes.yaml").read_text()))


def of_kubernetes(folder: Path) -> list[tuple[str, list[str]]]:
    (job,) = [one for one in manifests() if one["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    command = [*container["command"], *container["args"]]
    pods = range(job["spec"]["completions"])
    return [call for pod in pods for call in started(folder, *command, JOB_COMPLETION_INDEX=str(pod))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash(script):
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_kubernetes_job_and_its_service_fit_together():
    service, job = manifests()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (service["kind"], job["kind"], job["spec"]["completionMode"]) == ("Service", "Job", "Indexed")
    assert service["metadata"]["name"] == job["spec"]["template"]["spec"]["subdomain"] and service["spec"]["clusterIP"] in (None, "None")
    assert service["spec"]["selector"]["job-name"] == job["metadata"]["name"]
    assert job["spec"]["completions"] == job["spec"]["parallelism"] and container["resources"]["limits"]["nvidia.com/gpu"]
    assert service["spec"]["ports"][0]["port"] == container["ports"][0]["containerPort"]
    volumes = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("job", ["slurm.sh", "kubernetes.yaml"])
def test_each_worker_finds_itself_in_the_cluster(job, tmp_path, monkeypatch):
    calls = of_kubernetes(tmp_path) if job.endswith("yaml") else started(tmp_path, "bash", str(JOBS / job))
    assert len(calls) == 2
    for index, (text, _) in enumerate(calls):
        monkeypatch.setenv(TF_CONFIG, text)
        cluster = _cluster()  # refuses what is no cluster, and a task that it has not
        assert cluster is not None and cluster.num_tasks("worker") == 2
        assert json.loads(text)["task"] == {"type": "worker", "index": index}


def test_every_job_starts_a_program_of_ours_with_flags_that_it_takes(tmp_path):
    calls = [call for script in SCRIPTS for call in started(tmp_path, "bash", str(script))] + of_kubernetes(tmp_path)
    assert len(calls) == 2 + 2 + 1 + 2
    lines = []
    for _, arguments in calls:
        assert arguments[:2] == ["-m", "tfvideogan.train"], shlex.join(arguments)
        lines.append(json.dumps(["train", *arguments[2:]]))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PARSE], input="\n".join(lines), env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
