#!/usr/bin/env bash
# Builds Konsil and runs its demo: six centres on this computer, one study, the pooled answer.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cargo build --workspace --all-targets --locked
exec target/debug/konsil demo "$@"
