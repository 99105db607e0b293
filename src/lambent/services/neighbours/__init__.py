"""Services that are not ours, answered by moto in a child process; their state is in its memory, except IAM's.

`neighbours` is what the gateway calls; it starts the `process` at the first call and again after its end. `child` runs
in that process and is the only module that imports moto. `frames` is what travels between the two. `journal` decides
what of IAM is kept, `store` keeps it.
"""
