"""Is capture alive, whole and what the mapping says? Watched from beside the flow: `concord guard`.

    look (sources, Connect) --+
    listen (cdc.*, *.transaction) --+--> conditions --book--> findings (topic finding), remedies, metrics
    canary (one row a source, each second) --+

The flow never waits for it and works without it: no agent, no adapter and no connector knows that it is watched.
"""
