"""The compiled kernels of `sci`, one folder a level of processors; `sci.kernels` loads them."""
