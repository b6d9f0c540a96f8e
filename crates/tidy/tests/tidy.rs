//! Rules about the text of the repository, each a test.
//!
//! A rule that a machine can check is here, in clippy or in rustfmt; what only people can judge is
//! in the style guide. A broken rule is listed with its file and line; the fix is in that file, not
//! in the rule.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a rule that cannot read the repository has failed"
)]

mod rules;
