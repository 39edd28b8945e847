"""The skill router, after Symbolic-MoE: whom to ask by the skills that a question needs."""
