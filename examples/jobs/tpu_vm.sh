#!/bin/bash
# A TPU VM of one host, where TensorFlow for TPUs is installed. The data lie prepared on its disk: TPUs wait for slow input.
set -euo pipefail
export TPU_NAME=${TPU_NAME:-local}
run=${1:-runs/kinetics} data=${2:-/data/kinetics600}
python -m tfvideogan.train --flagfile=configs/kinetics600_12x64.flags --data_dir="$data" --workdir="$run" --strategy=tpu \
  --precision=mixed_bfloat16
