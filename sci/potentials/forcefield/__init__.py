"""What a force field adds to sums over all pairs: exclusions, bonds, energies between groups, conformers."""
