"""Real two-party private inference: two processes on this machine, what they send, and how long they take.

`pair.run_pair` starts a server process, which holds the weights, and a client process, which holds the tokens,
connects them over 127.0.0.1 and runs one program in both. `party.Party` is what a program sees. SPU and JAX are
imported in those two processes only; this process reads what they wrote (JSON, and npz without pickling).
"""
