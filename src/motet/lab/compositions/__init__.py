"""Compositions fitted and judged on recorded answers, without asking anybody."""
