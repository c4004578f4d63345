"""Time and memory, beside a plain step, the reference and the last release. Not in the installed pack."""
