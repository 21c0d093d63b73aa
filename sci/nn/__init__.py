"""Differentiation and training: ops with their derivatives, losses, optimizers, the training loop.

Most functions here are ops: `y = gelu(x)` takes arrays or variables and returns the value. The signature of an op is
that of its forward half, `gelu.forward`, which returns the value and the residuals; `gelu.vjp` takes those.
"""

from sci.nn.collectives import allreduce_gradients, copy_to_ranks, gather_tokens, scatter_sum, sum_over_ranks
from sci.nn.core.activations import collect_activations
from sci.nn.core.derivatives import directional_derivatives
from sci.nn.core.differentiated import input_gradient, value_and_input_gradient
from sci.nn.core.gradients import checkpoint, value_and_gradients
from sci.nn.core.op import Op, op
from sci.nn.core.tape import Tape, Variable, value_of
from sci.nn.core.trees import flatten_tree, unflatten_tree
from sci.nn.curvature.batches import BatchCurvature, batch_curvature
from sci.nn.curvature.noise import BatchNoise, WignerNoise, WishartNoise
from sci.nn.curvature.products import GaussNewton
from sci.nn.curvature.pruning import prune
from sci.nn.curvature.rates import StableRates, largest_stable_rate
from sci.nn.curvature.spectra import CurvatureSpectrum, curvature_spectrum
from sci.nn.dropout import Draws, dropout
from sci.nn.equiangular import coherence, equiangular_logits, equiangular_vectors, welch_bound
from sci.nn.field_losses import absolute_lp, pointwise_quantile, relative_lp, relative_sobolev
from sci.nn.grids.convolution import convolve, convolve_transposed
from sci.nn.grids.pooling import average_pool, max_pool
from sci.nn.grids.resampling import resample
from sci.nn.grids.separable import separable_conv
from sci.nn.groups.convolutions import group_convolution, integrate_group, lifting_convolution
from sci.nn.groups.linear_group import GroupSamples, LinearGroup
from sci.nn.groups.siren import SirenKernel
from sci.nn.initialize import count_parameters, initial_normal, initial_uniform
from sci.nn.losses import mean_squared_error, relative_h1, relative_l2
from sci.nn.maps.changes import FreeWeight, ShiftedWeight, WeightChange, WeightMap
from sci.nn.maps.compander import Compander
from sci.nn.maps.deltas import WeightDelta, WeightDeltas, fingerprint
from sci.nn.maps.kernels import CPKernels, SeparableKernels
from sci.nn.maps.loldu import LoLDU
from sci.nn.maps.mapped import MappedParameters
from sci.nn.maps.quantized.codebook import CodebookWeight
from sci.nn.maps.quantized.coded_weight import CodedWeight
from sci.nn.maps.quantized.codes import group_neurons, k_means_1d, neuron_order, pack_codes, unpack_codes
from sci.nn.maps.quantized.oscillations import FrozenWeights, OscillationTracker
from sci.nn.maps.quantized.query_key import product_logits, query_key_product
from sci.nn.maps.quantized.statistics import StatisticsQuantizer, freeze_mask, statistics_codes, statistics_quantize
from sci.nn.maps.signatures import patched, weight_signature
from sci.nn.ops.arithmetic import add, channel_scale, divide, multiply, negative, power, scale_shift, subtract
from sci.nn.ops.harmonics import spherical_harmonics
from sci.nn.ops.lookup import embedding, select, take, take_along_axis
from sci.nn.ops.norm_activation import evonorm_b0, evonorm_s0, group_norm_relu
from sci.nn.ops.normalization import group_norm, instance_norm, layer_norm, rms_norm
from sci.nn.ops.pointwise.activations import gelu, relu, sigmoid, silu, softplus, tanh
from sci.nn.ops.pointwise.elementwise import absolute, clip, cos, exp, log, maximum, minimum, sin, sqrt, where
from sci.nn.ops.probabilities import cross_entropy, log_softmax, softmax
from sci.nn.ops.products import einsum, linear, matmul, pointwise_conv
from sci.nn.ops.reductions import mean, sum
from sci.nn.ops.shaping import concatenate, crop, pad, reshape, transpose
from sci.nn.ops.spherical_products import clebsch_gordan_product, gaunt_product, scale_degrees
from sci.nn.optim.adam import Adam, AdamW, Optimizer, clip_by_global_norm, global_norm
from sci.nn.optim.adamp import SGDP, AdamP, WeightView, project_radial, radial_view
from sci.nn.optim.mfac import MFAC
from sci.nn.optim.placement import ParameterLayout, Placement
from sci.nn.optim.schedules import Schedule, constant, cosine, step_decay, warm_up
from sci.nn.roles import Role, initial_factors, rate_factors, rescaled, with_roles
from sci.nn.spd.barycenter import bures_barycenter
from sci.nn.spd.batch_norm import GBWBatchNorm
from sci.nn.spd.layers import bimap, logeig, matrix_function, positive_definite, reeig, semi_orthogonal
from sci.nn.spd.network import SPDNet
from sci.nn.storage import rounded
from sci.nn.training.coordinates import CoordinateCheck, coordinate_check
from sci.nn.training.data import Dataset
from sci.nn.training.loop import train
from sci.nn.training.model import Checkpoint, Model, ModelState
from sci.nn.training.recorded import RecordedStep
from sci.nn.training.standardizer import Standardizer
from sci.nn.unet.boxes import apply_in_boxes
from sci.nn.unet.config import UNetConfig, stunet_config
from sci.nn.unet.losses import dice_cross_entropy, dice_scores
from sci.nn.unet.network import UNet
from sci.nn.unet.segmenter import LabelVolume, Segmenter, train_segmenter
from sci.nn.wide import infinite_linear_network, relu_kernels, sampled_linear_network

__all__ = [
    "MFAC",
    "SGDP",
    "Adam",
    "AdamP",
    "AdamW",
    "BatchCurvature",
    "BatchNoise",
    "CPKernels",
    "Checkpoint",
    "CodebookWeight",
    "CodedWeight",
    "Compander",
    "CoordinateCheck",
    "CurvatureSpectrum",
    "Dataset",
    "Draws",
    "FreeWeight",
    "FrozenWeights",
    "GBWBatchNorm",
    "GaussNewton",
    "GroupSamples",
    "LabelVolume",
    "LinearGroup",
    "LoLDU",
    "MappedParameters",
    "Model",
    "ModelState",
    "Op",
    "Optimizer",
    "OscillationTracker",
    "ParameterLayout",
    "Placement",
    "RecordedStep",
    "Role",
    "SPDNet",
    "Schedule",
    "Segmenter",
    "SeparableKernels",
    "ShiftedWeight",
    "SirenKernel",
    "StableRates",
    "Standardizer",
    "StatisticsQuantizer",
    "Tape",
    "UNet",
    "UNetConfig",
    "Variable",
    "WeightChange",
    "WeightDelta",
    "WeightDeltas",
    "WeightMap",
    "WeightView",
    "WignerNoise",
    "WishartNoise",
    "absolute",
    "absolute_lp",
    "add",
    "allreduce_gradients",
    "apply_in_boxes",
    "average_pool",
    "batch_curvature",
    "bimap",
    "bures_barycenter",
    "channel_scale",
    "checkpoint",
    "clebsch_gordan_product",
    "clip",
    "clip_by_global_norm",
    "coherence",
    "collect_activations",
    "concatenate",
    "constant",
    "convolve",
    "convolve_transposed",
    "coordinate_check",
    "copy_to_ranks",
    "cos",
    "cosine",
    "count_parameters",
    "crop",
    "cross_entropy",
    "curvature_spectrum",
    "dice_cross_entropy",
    "dice_scores",
    "directional_derivatives",
    "divide",
    "dropout",
    "einsum",
    "embedding",
    "equiangular_logits",
    "equiangular_vectors",
    "evonorm_b0",
    "evonorm_s0",
    "exp",
    "fingerprint",
    "flatten_tree",
    "freeze_mask",
    "gather_tokens",
    "gaunt_product",
    "gelu",
    "global_norm",
    "group_convolution",
    "group_neurons",
    "group_norm",
    "group_norm_relu",
    "infinite_linear_network",
    "initial_factors",
    "initial_normal",
    "initial_uniform",
    "input_gradient",
    "instance_norm",
    "integrate_group",
    "k_means_1d",
    "largest_stable_rate",
    "layer_norm",
    "lifting_convolution",
    "linear",
    "log",
    "log_softmax",
    "logeig",
    "matmul",
    "matrix_function",
    "max_pool",
    "maximum",
    "mean",
    "mean_squared_error",
    "minimum",
    "multiply",
    "negative",
    "neuron_order",
    "op",
    "pack_codes",
    "pad",
    "patched",
    "pointwise_conv",
    "pointwise_quantile",
    "positive_definite",
    "power",
    "product_logits",
    "project_radial",
    "prune",
    "query_key_product",
    "radial_view",
    "rate_factors",
    "reeig",
    "relative_h1",
    "relative_l2",
    "relative_lp",
    "relative_sobolev",
    "relu",
    "relu_kernels",
    "resample",
    "rescaled",
    "reshape",
    "rms_norm",
    "rounded",
    "sampled_linear_network",
    "scale_degrees",
    "scale_shift",
    "scatter_sum",
    "select",
    "semi_orthogonal",
    "separable_conv",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "spherical_harmonics",
    "sqrt",
    "statistics_codes",
    "statistics_quantize",
    "step_decay",
    "stunet_config",
    "subtract",
    "sum",
    "sum_over_ranks",
    "take",
    "take_along_axis",
    "tanh",
    "train",
    "train_segmenter",
    "transpose",
    "unflatten_tree",
    "unpack_codes",
    "value_and_gradients",
    "value_and_input_gradient",
    "value_of",
    "warm_up",
    "weight_signature",
    "welch_bound",
    "where",
    "with_roles",
]
