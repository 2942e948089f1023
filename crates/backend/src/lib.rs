//! The vocabulary of computation: the operations a neural network needs, their specification and their conformance suite.
