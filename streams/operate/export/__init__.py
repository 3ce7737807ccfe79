"""`concord export`: a system that takes files gets its views in files, from the same sink topics.

    manifest.json (where the last one ended) --take--> sink topics --spool--> newest per entity
        --files--> <system>-<number>-<kind>/ --receipts--> renamed into place --> manifest.json

The folder is the whole state: "since last" means since what this folder has.
"""
