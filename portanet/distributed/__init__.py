"""One training by several processes: each computes its rows of every batch, and the gradients are added up by MPI."""
