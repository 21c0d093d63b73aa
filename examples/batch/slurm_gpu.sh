#!/bin/bash
#SBATCH --job-name=sci-gpu
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=00:30:00

# One rank a GPU:  sbatch examples/batch/slurm_gpu.sh python job.py ARGUMENTS
# GPUs are asked for by node and shared out by one_gpu.sh. With --gpus-per-task Slurm hides the GPUs of a node's other
# ranks from a CUDA-aware MPI, which then cannot copy between them directly.
set -euo pipefail
# module load gcc cuda openmpi python   # a CUDA-aware MPI, if the site has one
source "${SCI_VENV:-.venv}/bin/activate"
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} OPENBLAS_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export SCI_CACHE_DIR=${SCI_CACHE_DIR:-$PWD/.sci-kernels}

sci doctor
srun --cpu-bind=cores examples/batch/one_gpu.sh "$@"
