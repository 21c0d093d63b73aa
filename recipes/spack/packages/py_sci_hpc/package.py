from spack.package import *
from spack_repo.builtin.build_systems.python import PythonPackage


class PySciHpc(PythonPackage):
    """Potentials, neural operators, solvers and sequence parallelism for HPC jobs, on NumPy, CuPy and MPI."""

    homepage = "https://github.com/sci-hpc/sci"
    pypi = "sci-hpc/sci_hpc-0.1.0.tar.gz"
    git = "https://github.com/sci-hpc/sci.git"

    maintainers("sci-hpc")
    license("BSD-3-Clause")

    version("main", branch="main")
    # recipes/stamp.py fills in the checksum of a release.
    version("0.1.0", sha256="0000000000000000000000000000000000000000000000000000000000000000")

    variant("mpi", default=True, description="Runs on MPI ranks")
    variant("plot", default=False, description="Draws pictures")
    variant("structures", default=False, description="Reads PDB, mmCIF and extended XYZ files")

    depends_on("c", type="build")
    depends_on("cxx", type="build")

    with default_args(type=("build", "run")):
        depends_on("python@3.11:")
        depends_on("py-numpy@2.1.3:")
        depends_on("py-scipy@1.13:")
        depends_on("py-h5py@3.12.1:")
        depends_on("py-tqdm@4.60:")

    depends_on("py-hatchling@1.27:", type="build")

    with default_args(type="run"):
        depends_on("py-mpi4py@4.0:", when="+mpi")
        depends_on("py-h5py+mpi", when="+mpi")
        depends_on("py-matplotlib@3.10.7:", when="+plot")
        depends_on("py-gemmi@0.7.3:", when="+structures")
        depends_on("py-ase@3.24:", when="+structures")

    def setup_build_environment(self, env):
        """Compile the kernels for the level of the target, so that compute nodes need no compiler."""
        for level in ("4", "3", "2"):
            if self.spec.satisfies(f"target=x86_64_v{level}:"):
                env.set("SCI_PREBUILT", f"x86-64-v{level}")
                return
        if self.spec.satisfies("target=aarch64:"):
            env.set("SCI_PREBUILT", "aarch64")

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_install(self):
        """Run the main job on the molecule that comes with the package."""
        with working_dir("spack-test", create=True):
            sci = Executable(join_path(self.prefix.bin, "sci"))
            sci("dataset", "ubiquitin", "-o", "1ubi.pqr")
            sci("potential", "1ubi.pqr", "-o", "1ubi.h5", "--tol", "1e-4")
