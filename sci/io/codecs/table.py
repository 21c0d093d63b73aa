"""Where the codec of each kind of file is: its module is imported with the first file or object that needs it.

So a program that reads one kind of file imports only the rooms of the library that the kind is about.
"""

from __future__ import annotations

from importlib import import_module

from sci.io.core.datasets import unpack_with
from sci.io.core.registry import codecs_in, late

__all__: list[str] = []

codecs_in(
    lambda: import_module("sci.io.codecs.tensors"),
    "particles cp canonical tucker tensor_train chebtuck",
    "tensor potentials",
)
codecs_in(lambda: import_module("sci.io.grids.vtkhdf"), "grid", "potentials")
codecs_in(lambda: import_module("sci.io.codecs.potential"), "split potential", "potentials")
codecs_in(lambda: import_module("sci.io.codecs.periodic"), "periodic lattice", "potentials")
codecs_in(lambda: import_module("sci.io.codecs.trajectory"), "trajectory", "potentials")
codecs_in(lambda: import_module("sci.io.codecs.samples"), "samples")
codecs_in(lambda: import_module("sci.io.codecs.poisson"), "poisson solution", "solvers")
codecs_in(lambda: import_module("sci.io.codecs.smoke"), "smoke")
codecs_in(lambda: import_module("sci.io.codecs.labels"), "labels", "nn")
codecs_in(lambda: import_module("sci.io.codecs.homogenization"), "composite equino", "applications")
codecs_in(lambda: import_module("sci.io.codecs.variational"), "minimum poisson_boltzmann", "applications solvers")
codecs_in(lambda: import_module("sci.io.codecs.analysis.completion"), "functional_cp functional_tucker", "completion")
codecs_in(lambda: import_module("sci.io.codecs.analysis.ensembles"), "clusters selection", "ensembles")
codecs_in(lambda: import_module("sci.io.codecs.analysis.predictions"), "atomic_predictions", "atomistic")
codecs_in(lambda: import_module("sci.io.codecs.analysis.scaling"), "power_law", "scaling")
codecs_in(lambda: import_module("sci.io.codecs.analysis.spectrum"), "spectrum", "solvers")
codecs_in(lambda: import_module("sci.io.codecs.compressed.arrays"), "compressed_grid", "compression")
codecs_in(lambda: import_module("sci.io.codecs.compressed.field"), "compressed_field", "compression")
codecs_in(lambda: import_module("sci.io.codecs.compressed.vector"), "coded_fields", "compression")
codecs_in(lambda: import_module("sci.io.codecs.compressed.networks"), "compressed_model", "compression")
codecs_in(lambda: import_module("sci.io.codecs.generative.crystals"), "crystal_diffusion crystals", "generative")
codecs_in(lambda: import_module("sci.io.codecs.generative.next_scale"), "next_scale_model", "generative")
codecs_in(lambda: import_module("sci.io.codecs.generative.spins"), "marginal_model dense_memory", "generative")
# It imports most rooms: the last that an object of one of them may need.
codecs_in(
    lambda: import_module("sci.io.codecs.models"),
    "trained_operator transnormer learned_multigrid spd_network triplane direction_network unet segmenter "
    "atomistic_potential vector_quantizer model fno tfno sfno uno checkpoint weight_deltas",
    "nn fields operators solvers sequence atomistic compression",
)
unpack_with(lambda: late(lambda: import_module("sci.io.codecs.compressed.arrays")).unpacked)
