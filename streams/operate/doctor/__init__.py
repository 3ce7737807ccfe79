"""`concord doctor`: is everything that Concord stands on as it must be, and if not, what exactly makes it so.

    look_* (asks) --> what was seen --judge_* (pure)--> Result --examine--> Diagnosis

Looks and never changes anything. What is wrong is a finding, what could not be looked at is an error: never the same.
"""
