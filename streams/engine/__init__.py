"""Faust made safe and fast: chunks in, one transaction a chunk out, state restored from the topic it is written to.

    transport    chunks of consecutive records, acknowledged strictly in order
    intake       what the transport holds back and how far it got
    producer     one transactional producer an input partition (fencing; state and output in one transaction)
    store        one RocksDB a partition, a cache of topic `entity`
    references   the broadcast store: every reference's golden record
    pending      which entities are dirty and when their transaction is over
    partition    load -> aggregate -> decide -> produce -> commit -> store -> acknowledge, under one lock
    supervisor   restarts a worker process that had to exit

No business rule lives here: what a change means and what follows is `streams.core`, called through `agents`.
"""
