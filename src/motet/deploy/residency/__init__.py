"""Swapping on a cluster: client, server and replica."""
