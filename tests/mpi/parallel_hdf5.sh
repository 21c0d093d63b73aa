#!/usr/bin/env bash
# Builds h5py against an HDF5 with MPI, once, into .venv-parallel, and runs the tests of files on ranks with it.
# Debian and Ubuntu with Open MPI; set HDF5_INCLUDEDIR, HDF5_LIBDIR and CC for another system.
set -euo pipefail
cd "$(dirname "$0")/../.."

multiarch="$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")"
export HDF5_INCLUDEDIR="${HDF5_INCLUDEDIR:-/usr/include/hdf5/openmpi}"
export HDF5_LIBDIR="${HDF5_LIBDIR:-/usr/lib/$multiarch/hdf5/openmpi}"
export CC="${CC:-mpicc}" HDF5_MPI=ON
bin=.venv-parallel/bin
pip=("$bin/python" -m pip --disable-pip-version-check --quiet install)

if ! command -v "$CC" mpirun >/dev/null || [ ! -e "$HDF5_INCLUDEDIR/hdf5.h" ]; then
    packages=(libhdf5-openmpi-dev openmpi-bin)
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "error: no HDF5 with MPI in $HDF5_INCLUDEDIR; on Debian: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

if ! "$bin/python" -c 'import sys, h5py; sys.exit(not h5py.get_config().mpi)' 2>/dev/null; then
    "${PYTHON:-python3}" -m venv .venv-parallel
    # Without isolation the build takes the mpi4py that is here; without the cache pip cannot hand out a serial wheel.
    "${pip[@]}" mpi4py numpy "cython<4" pkgconfig "setuptools>=77.0.1" wheel
    "${pip[@]}" --no-build-isolation --no-deps --no-cache-dir --no-binary=h5py h5py
fi
"${pip[@]}" -e ".[mpi]" pytest hypothesis mpmath
"$bin/python" -c 'import h5py; print(h5py.version.info); assert h5py.get_config().mpi'
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
# HDF5 1.10 reports a full disk and then crashes while the process ends.
exec "$bin/python" -m pytest -q tests/mpi/test_files.py tests/mpi/test_shared_samples.py tests/mpi/test_trajectory_ranks.py \
    tests/io/test_atomic.py tests/io/test_fuzz.py tests/io/test_golden.py tests/io/test_potential.py \
    tests/io/test_slabs.py tests/io/test_store.py tests/io/test_vtkhdf.py \
    --deselect "tests/io/test_atomic.py::test_a_disk_that_fills_up_while_writing[a.h5]" "$@"
