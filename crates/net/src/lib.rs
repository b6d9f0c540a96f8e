//! Frames between parties: in memory, over TLS, with named faults.
