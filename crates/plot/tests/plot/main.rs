//! Figures and the report, through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot read the markup has failed"
)]

mod figures;
mod genome;
mod report;
mod sample;
