"""Look into a network: its layers, its activations, its gradients, what its inputs matter, and a step in numbers."""
