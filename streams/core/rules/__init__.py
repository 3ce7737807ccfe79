"""The rule book: what must hold of a golden record on a date, for whom it matters, and what to do when it doesn't.

    facts (today of a golden record) --book.findings--> (code, subject) --> finding --> gate

`book` holds the one table of every rule and its code; a rule is one small pure function in a module by theme, and one
line there. Subjects are paths and never values (invariant 11). Nothing here reads a clock: the date is in the facts.
"""
