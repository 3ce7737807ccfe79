"""Outcome figures: how long changes, errors and approvals take, what is open, which denials nobody was warned of.

docs/kpis.md says what each is not.

adapters' histograms, topic finding, stewardship, billing, handoffs --ask--> figures (pure) --> `concord kpi`
"""
