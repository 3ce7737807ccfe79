"""Who did what, when and why: the stewardship database's hash chain, which every act of a person or a command enters.

a command, the guard, the console --act--> intended (committed) --> the act --> done or failed
proposals, rulings, approvals, comments --their tables' triggers--> one row each, in the same transaction
the chain --ledger--> list, show     --chain--> verify     --export--> JSON Lines and a manifest
"""
