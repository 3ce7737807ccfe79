"""Outcome figures: how long changes, errors and approvals take, and what is open; docs/kpis.md says what each is not.

adapters' histograms, topic finding, stewardship database, handoffs --ask--> figures (pure) --> `concord kpi`
"""
