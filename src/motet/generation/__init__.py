"""The in-process engine: loading, rows, batches, decoding and sampling."""
