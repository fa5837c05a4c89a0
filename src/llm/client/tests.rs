//! The client against a server on this machine.
