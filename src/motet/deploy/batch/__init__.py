"""Batches on Ray: experts as Serve pools, and as Ray Data jobs."""
