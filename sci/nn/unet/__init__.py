"""One U-Net of residual stages for grids of one to three axes: segmentation, denoising, corrections."""
