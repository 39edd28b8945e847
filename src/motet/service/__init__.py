"""`Motet`: what the HTTP service, the command line and Python programs share."""
