"""The front: guard, gate, routes, sockets."""
