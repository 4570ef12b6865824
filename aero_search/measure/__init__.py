"""Private inference for real: the forward pass in JAX, run between a server and a client, and what it costs.

`pair.run_pair` starts a server process, which holds the weights, and a client process, which holds the tokens,
connects them over 127.0.0.1 and runs one program in both. `party.Party` is what a program sees. SPU and JAX are
imported in those two processes only (the `mpc` extra); this one reads what they wrote: JSON, and npz without
pickling.
"""
