"""The CEL language of rules and gates, and what an expression can see of a request."""
