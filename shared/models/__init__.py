"""Backbones that several papers vary."""
