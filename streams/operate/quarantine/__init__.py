"""What stands in the quarantine, and what an operator can do about it: `concord quarantine list|show|replay|discard`.

    quarantine --record--> Quarantined, Mark --register--> items --chosen--> ask (list, show) | handle (replay, discard)

The topic is the only book: what became of a record is a mark beside it in the same partition, so nothing is ever
deleted (invariant 6) and no second store can disagree.
"""
