"""Batches: many requests in a file, grouped by expert, each expert loaded as seldom as can be.

The life of one batch:

1. `from_file.py` opens it for Python and the command line, `service.py` for HTTP; `lines.py` reads
   the input, `facts.py` says what makes it the same batch after an interruption.
2. `plan.py` has the composition's router decide every line, before any model loads.
3. `replay.py` runs the line's strategy against the answers there are, and so learns which expert
   calls it wants next, or that it has ended; `cases.py` carries that from step to step.
4. `scheduler.py` groups those calls by engine, and says what to load, start and unload.
5. `loading.py` is the seam to the experts; `run.py` does what the scheduler says.
6. `motet.store.jobs` keeps decisions, answers and results, so that a killed batch goes on.
7. `output.py` writes the result files, whole or not at all.
"""
