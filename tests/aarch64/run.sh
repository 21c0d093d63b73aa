#!/usr/bin/env bash
# Runs the wheels for aarch64 that `make wheels` built, under qemu-user: every kernel against its reference and against this
# machine's results, and the main job. Debian on another machine; its Python and C library for arm64 are kept in build/aarch64.
set -euo pipefail
cd "$(dirname "$0")/../.."

python="${PYTHON:-.venv/bin/python}"
place="$PWD/build/aarch64"
root="$place/root" site="$place/site"
wheels=(dist/sci_hpc-*any.whl dist/sci_hpc_kernels-*aarch64.whl)
ls "${wheels[@]}" >/dev/null || { echo "error: no wheels for aarch64 in dist; run make wheels" >&2; exit 2; }
command -v qemu-aarch64 >/dev/null || { echo "error: no qemu-aarch64; on Debian: apt-get install qemu-user" >&2; exit 2; }
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

if [ ! -x "$root/usr/bin/python3" ]; then
    # A state of apt's own for arm64: this system's packages are not touched, and no rights are needed.
    mkdir -p "$place/apt/state/lists/partial" "$place/apt/cache/archives/partial" "$root"
    : >"$place/apt/status"
    apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$place/apt/state"
        -o Dir::State::status="$place/apt/status" -o Dir::Cache="$place/apt/cache" -o Debug::NoLocking=1)
    "${apt[@]}" update
    "${apt[@]}" install -y --no-install-recommends --download-only python3 libstdc++6 >/dev/null
    for package in "$place"/apt/cache/archives/*.deb; do dpkg -x "$package" "$root"; done
fi
# The wheel, not the checkout in this folder, and its own kernels or an error.
emulated() {
    QEMU_LD_PREFIX="$root" PYTHONPATH="$site:tests/cases" PYTHONSAFEPATH=1 SCI_KERNELS=compiled SCI_CACHE_DIR="$place/cache" \
        qemu-aarch64 "$root/usr/bin/python3" "$@"
}

version=$(emulated -c 'import sys; print("%d.%d" % sys.version_info[:2])')
rm -rf "$site"
platforms=(--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64)
"$python" -m pip --disable-pip-version-check --quiet install --target "$site" --only-binary :all: --python-version "$version" \
    "${platforms[@]}" "${wheels[@]}" mpmath

PYTHONPATH="$PWD:tests/cases" SCI_KERNELS=compiled "$python" tests/aarch64/kernel_results.py write "$place/here.npz"
emulated tests/aarch64/kernel_results.py compare "$place/here.npz"

job=(-m sci potential sci/datasets/data/1ubi.pqr --tol 1e-6 --threads 2 --overwrite)
PYTHONPATH="$PWD" "$python" "${job[@]}" -o "$place/here.h5"
emulated "${job[@]}" -o "$place/there.h5"
energy='import sys; from sci.io import load; print(repr(float(load(sys.argv[1]).energy())))'
here=$(PYTHONPATH="$PWD" "$python" -c "$energy" "$place/here.h5")
there=$(emulated -c "$energy" "$place/there.h5")
echo "energy of ubiquitin: $here here, $there under qemu"
"$python" -c "import sys; here, there = map(float, sys.argv[1:]); assert abs(here - there) <= 1e-12 * abs(here)" "$here" "$there"
echo "2 passed, 0 failed"
