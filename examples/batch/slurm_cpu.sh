#!/bin/bash
#SBATCH --job-name=sci-potential
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=32
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --signal=TERM@60

# A molecule spread over MPI ranks, one core each:  sbatch examples/batch/slurm_cpu.sh protein.pqr protein.h5
set -euo pipefail
output=${2:-protein.h5}

# module load gcc openmpi python        # the names are those of your site
source "${SCI_VENV:-.venv}/bin/activate"
molecule=${1:-$(sci dataset ubiquitin)}

# Ranks that share cores with each other's BLAS threads lose a factor of 2 to 5.
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} OPENBLAS_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export MKL_NUM_THREADS=$OMP_NUM_THREADS OMP_PLACES=cores OMP_PROC_BIND=close
# Compiled kernels on a file system that all nodes see; one rank compiles.
export SCI_CACHE_DIR=${SCI_CACHE_DIR:-$PWD/.sci-kernels}

sci doctor
srun --cpu-bind=cores sci potential "$molecule" -o "$output" --grid 48
sci info "$output"
