"""Programs for the two parties of tests; imported by the parties alone."""

import time

import jax
import numpy as np


def relu_twice(party):
    """ReLU of the client's numbers, for the client; the second run has no set-up in it."""
    assert set(party.owned) == ({"x"} if party.role == "client" else {"w"})
    x = party.enter("client", party.owned.get("x"), private=False)
    for name in ("first", "second"):
        (y,), _ = party.run(name, jax.nn.relu, x)
    opened = party.reveal(y, to="client")
    assert (opened is None) == party.is_server
    if opened is not None:
        party.save("opened", {"y": opened})


def private_product(party):
    """The client's private row by the server's private matrix: neither is sent to be entered."""
    x = party.enter("client", party.owned.get("x"))
    w = party.enter("server", party.owned.get("w"))
    (y,), _ = party.run("product", lambda x, w: x @ w, x, w)
    opened = party.reveal(y, to="client")
    if opened is not None:
        party.save("opened", {"y": opened})


def forever(party):
    """Runs until somebody ends it."""
    x = party.enter("client", None if party.is_server else np.ones(64, np.float32), private=False)
    while True:
        party.run("relu", jax.nn.relu, x, quiet=True)


def idle_client(party):
    """The client waits for a message that the server never sends."""
    if party.is_server:
        time.sleep(600)
    party.enter("server", None)


def broken_server(party):
    """The server fails before the client has what it waits for."""
    if party.is_server:
        raise ValueError("the weights are made of cheese")
    party.enter("server", None)
