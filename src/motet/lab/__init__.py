"""Judging: routers on tables, and tables from real runs."""
