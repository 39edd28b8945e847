"""The routes of the HTTP service, one group a file."""
