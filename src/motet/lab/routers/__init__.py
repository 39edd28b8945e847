"""The laboratory that judges routers on tables: figures, intervals, comparisons, pages."""
