#!/bin/bash
# Two machines of eight GPUs under Slurm: sbatch examples/jobs/slurm.sh RUN DATA, folders that both see.
#SBATCH --job-name=tfvideogan
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
# Five minutes before the end SIGTERM comes to the steps of the job: the run saves, and goes on when the same job is submitted again.
set -euo pipefail
export RUN=${1:-/shared/runs/ucf128} DATA=${2:-/shared/UCF}
HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/.*/"&:12345"/' | paste -sd, -)
export HOSTS
# shellcheck disable=SC2016  # each task fills in its own number
srun --kill-on-bad-exit=1 bash -c '
  export TF_CONFIG="{\"cluster\": {\"worker\": [$HOSTS]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
  exec python -m tfvideogan.train --flagfile=configs/ucf128.flags --data_dir="$DATA" --workdir="$RUN" --strategy=multiworker \
    --precision=mixed_bfloat16
'
