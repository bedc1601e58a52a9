"""Segments as tasks on a Ray cluster: Ray decides where they run and runs them again where a node dies."""
