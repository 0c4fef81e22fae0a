"""What the service promises, each as a checker that is fed with what clients saw. Pure: no clock, no socket.

A checker counts what it has looked at in `checked` and raises `Violation` at the first thing that cannot be, with the
history of what it is about. Requests of unknown outcome (the connection broke, or the service said so) are told to it as
such, and count neither as done nor as undone.
"""
