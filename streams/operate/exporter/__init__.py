"""What Prometheus reads: everything `concord status` sees, and what each process tells of itself, on one port.

    concord status --samples--+
    processes' /metrics --forwarded--> exposition --> GET /metrics of `concord metrics`

The flow never waits for it and works without it. A number that nobody could take is absent, never 0.
"""
