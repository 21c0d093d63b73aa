#!/bin/bash
#PBS -N sci-potential
#PBS -l select=2:ncpus=32:mpiprocs=32:ompthreads=1
#PBS -l walltime=00:30:00
#PBS -j oe

# A molecule spread over MPI ranks, one core each:
#   qsub -v MOLECULE=protein.pqr,OUTPUT=protein.h5 examples/batch/pbs.sh
set -euo pipefail
cd "${PBS_O_WORKDIR:-$PWD}"
output=${OUTPUT:-protein.h5}

# module load gcc openmpi python        # the names are those of your site
source "${SCI_VENV:-.venv}/bin/activate"
molecule=${MOLECULE:-$(sci dataset ubiquitin)}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export OPENBLAS_NUM_THREADS=$OMP_NUM_THREADS MKL_NUM_THREADS=$OMP_NUM_THREADS
export SCI_CACHE_DIR=${SCI_CACHE_DIR:-$PWD/.sci-kernels}

# PBS lists a host once for each rank.
ranks=$(wc -l < "$PBS_NODEFILE")
sci doctor
mpirun -n "$ranks" sci potential "$molecule" -o "$output" --grid 48
sci info "$output"
