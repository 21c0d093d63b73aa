#!/bin/sh
# Give each rank of a node a GPU of its own, and run the command: mpirun -n 4 one_gpu.sh python job.py
#
# The rank's place on its node comes from Open MPI, MPICH (Hydra) and Intel MPI, MVAPICH, or Slurm: last, because mpirun
# in a Slurm job hands the 0 of the batch step to all. GPUs that the batch system has granted (CUDA_VISIBLE_DEVICES) are
# shared out; without such a list all of the node's are.
local_rank=${OMPI_COMM_WORLD_LOCAL_RANK:-${MPI_LOCALRANKID:-${MV2_COMM_WORLD_LOCAL_RANK:-${SLURM_LOCALID:-}}}}
if [ -z "$local_rank" ]; then
    echo "one_gpu.sh: the launcher does not tell the rank's place on the node; start it by srun or mpirun" >&2
    exit 1
fi
granted=${CUDA_VISIBLE_DEVICES:-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | paste -sd, -)}
if [ -n "$granted" ]; then
    count=$(echo "$granted" | tr ',' '\n' | wc -l)
    CUDA_VISIBLE_DEVICES=$(echo "$granted" | cut -d, -f$((local_rank % count + 1)))
    export CUDA_VISIBLE_DEVICES
fi
exec "$@"
