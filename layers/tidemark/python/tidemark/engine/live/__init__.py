"""The protocols of the built-in entity store: leases, gates and cuts, writes, reads, generations.

`layers/DESIGN.md` states their invariants.
"""
