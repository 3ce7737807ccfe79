"""Concord's platform: from captured rows to each system's view of a provider. Start at `core/advance.py`."""
