"""A particle mesh for periodic cells: one evaluation at the charges, of energy, forces and stress."""
