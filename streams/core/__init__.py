"""The pure core: what a captured row means and what follows from it.

File names are the values that flow, in the order of the flow:

    change -> entity -> finding -> gate -> view        (authority: who may say what; advance: the stages as one step)

Standard library and msgspec only. Nothing here reads a clock, a file, a socket or the environment
(tests/unit/test_core_is_pure.py); time and references arrive as arguments.
"""
