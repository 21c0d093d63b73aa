"""Continuous fields of three dimensions made of planes, and what rays through them measure."""

from sci.fields.compositing import composite
from sci.fields.discriminator import PatchDiscriminator
from sci.fields.integrals import integrate_rays
from sci.fields.patches import expected_scale, patch_beta, patch_coordinates, sample_patches
from sci.fields.planes import sample_planes
from sci.fields.rays import Rays, parallel_rays
from sci.fields.tomography import fit_field
from sci.fields.triplane import TriPlane

__all__ = [
    "PatchDiscriminator",
    "Rays",
    "TriPlane",
    "composite",
    "expected_scale",
    "fit_field",
    "integrate_rays",
    "parallel_rays",
    "patch_beta",
    "patch_coordinates",
    "sample_patches",
    "sample_planes",
]
