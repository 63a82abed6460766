"""s3:// through TF-IO's file system, against a server of our own: in the environment of the extra `[io]` (`make test-io`)."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.data.decode_test import noise_video

pytest.importorskip("tensorflow_io")
pytest.importorskip("moto")

PROGRAM = """
import json, sys
import numpy as np
from tfvideogan.data.preparation.preparing import Settings
from tfvideogan import data
from tfvideogan import prepare
from tfvideogan.config import Config
videos, output = sys.argv[1:]
prepare.main(Settings(videos=videos, output=output, size=32, workers=1, preview=True, max_rejected=0.4))
clips = {}
for dataset, folder in (("folder", videos), ("prepared", output)):
    batch = next(data.load(Config(dataset=dataset, data_dir=folder, frames=4, size=32), "train").once(4).as_numpy_iterator())
    clips[dataset] = [round(float(np.sum(np.abs(batch["video"]))), 2), batch["label"].tolist()]
print(json.dumps(clips))
"""


@pytest.fixture
def s3():
    """The environment of a process that finds a bucket named `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.time() + 60
    while time.time() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    yield {**keys, "S3_ENDPOINT": f"http://127.0.0.1:{port}", "S3_USE_HTTPS": "0", "S3_VERIFY_SSL": "0"}
    server.kill()
    server.wait()


def run(environment: dict[str, str], *arguments: str) -> dict:
    environment = {**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[2]), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_videos_in_a_bucket_are_prepared_into_it_and_read_as_local_ones(s3, tmp_path):
    import boto3

    bucket = boto3.client("s3", endpoint_url=s3["S3_ENDPOINT"], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    bucket.create_bucket(Bucket="bucket")
    for number in range(4):
        path = noise_video(tmp_path / "videos" / "ab"[number % 2] / f"{number} ü.mp4", 20 + number)
        bucket.upload_file(str(path), "bucket", f"videos/{path.parent.name}/{path.name}")
    (tmp_path / "videos" / "a" / "zero.mp4").write_bytes(b"")
    bucket.put_object(Bucket="bucket", Key="videos/a/zero.mp4", Body=b"")
    remote = run(s3, "s3://bucket/videos", "s3://bucket/out")
    local = run({}, str(tmp_path / "videos"), str(tmp_path / "out"))
    assert remote == local
    names = {item["Key"] for item in bucket.list_objects_v2(Bucket="bucket", Prefix="out/")["Contents"] if not item["Key"].endswith("/")}
    assert names == {f"out/{path.name}" for path in (tmp_path / "out").iterdir()}
    shard = "folder-train.tfrecord-00000-of-00001"
    assert bucket.get_object(Bucket="bucket", Key=f"out/{shard}")["Body"].read() == (tmp_path / "out" / shard).read_bytes()
    assert np.load(tmp_path / "out" / "lengths-train.npy").size == 4
