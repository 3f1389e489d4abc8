"""Modelfiles, model creation, and what a stored model says about itself."""
