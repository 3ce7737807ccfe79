"""Open findings as people work on them: a list that pages in milliseconds however long it is, and whose each one is.

    topic finding --follower--> Index (SQLite) --Wanted--> Page --console--> a person's word --handling--> stewardship

Decides nothing: what is open stands in topic `finding`, who works on it in the stewardship database.
"""
