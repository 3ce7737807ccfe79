"""Verification and repair: what the platform holds against what the systems' own tables hold, row by row.

    source's tables --checksums--> ranges --\\
                                             compare --> suspects --rounds--> divergences --repair--> read again, buried
    topic `entity` --Entities--> hashes ----/

The package docs are docs/verification.md. `source.verify` is the one call that others make.
"""
