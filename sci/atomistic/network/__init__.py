"""The network of a potential: functions of neighbors, sums over them, layers, and forces."""
