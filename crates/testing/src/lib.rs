//! Simulated centres for tests.
