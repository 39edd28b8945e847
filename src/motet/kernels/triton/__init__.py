"""Triton kernels for Hopper-class GPUs; nothing outside this package imports Triton.

No kernel waits for the host, and every grid follows from tensor shapes alone: programs beyond the
real work leave at once. So a CUDA graph captured once can be replayed for any batch of the same
shapes. Tuning measures at the first call of a new key; make that call before capturing.
"""
