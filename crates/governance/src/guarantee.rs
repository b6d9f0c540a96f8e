//! The guarantee, generated from the protocol in force and never written by hand.

/// What has to happen for a centre's patients to become readable, with `centres` centres, a dealer,
/// and parties that follow the protocol.
#[must_use]
pub fn guarantee(centres: usize) -> String {
    let others = centres.saturating_sub(1);
    format!(
        "A centre's data stay unreadable unless all other {others} centres work together against it, \
         or the dealer together with one centre. All parties are taken to follow the protocol; a \
         party that sends wrong numbers can spoil the result and is not caught in this mode. What is \
         released is exact: all other centres together can subtract their own patients from it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // Leaving out the dealer would be false.
    #[test]
    fn the_dealer_is_always_named() {
        assert!(guarantee(6).contains("all other 5 centres"));
        assert!(guarantee(6).contains("the dealer together with one centre"));
    }
}
