//! The command as people and scripts use it, with real processes on this computer's loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; it prints the seed that repeats it"
)]

mod approvals;
mod at_rest;
mod audit;
mod book;
mod bundles;
mod canary;
mod consent;
mod demo;
mod examples;
mod frozen;
mod geno;
mod joining;
mod kill;
mod lab;
mod life;
mod limits;
mod lineage;
mod models;
mod pages;
mod pages_roles;
mod papers;
mod people;
mod process;
mod proxy;
mod relatives;
mod scans;
mod scores;
mod studies;
mod usage;
mod wrong_data;
mod wrong_files;
mod wrong_study;
