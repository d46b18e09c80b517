//! The backplane between sister services, workers and edges: one trait, Redis and memory.
