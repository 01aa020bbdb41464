#!/bin/bash
# A SLURM array over the rows of a queue:
#
#     make rows PAPER=aae PROFILE=paper SEEDS=1 > rows.txt
#     sbatch --array=1-$(wc -l < rows.txt) docs/slurm_array.sh
#     make collect FROM="runs results-of-jobs"
#
#SBATCH --job-name=aae_jax
#SBATCH --output=slurm-%A_%a.log
#SBATCH --time=12:00:00
#SBATCH --gres=gpu:1
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
# A ledger of its own for every job: nodes need no common lock.
export AAE_JAX_RESULTS_DIR="$PWD/results-of-jobs/$SLURM_ARRAY_TASK_ID"
command="$(sed -n "${SLURM_ARRAY_TASK_ID}p" rows.txt)"
echo "$command"
# Two minutes before its time is over a job is told to save, and the same command goes on from there.
exec bash -c "$command"
