#!/bin/bash
# One machine with one GPU or eight: the same command, --strategy=auto takes all there are. What fits is told by the first line.
set -euo pipefail
run=${1:-runs/ucf128} data=${2:-/data/UCF}
python -m tfvideogan.train --flagfile=configs/ucf128.flags --data_dir="$data" --classes=101 --dry_run --device_memory_gib=80
python -m tfvideogan.train --flagfile=configs/ucf128.flags --data_dir="$data" --workdir="$run" --precision=mixed_bfloat16 --profile_steps=20:25
