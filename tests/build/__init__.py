"""Tests of what builds lcrt: the vendored source and the gates."""
