"""One command that proves Motet's GPU parts on a bare CUDA machine: `run`, and `pack` before it."""
