"""The state machines, run by the local stack."""
