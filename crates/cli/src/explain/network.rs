//! Codes of networks, dictionaries and documents about them.

/// Code, meaning, remedy.
pub(super) const CODES: &[(&str, &str, &str)] = &[
    (
        "K0660",
        "membership-expired: somebody who would take part is no longer a member of the network.",
        "The text names who. The administrator runs  konsil network renew NAME  and sends network.json to all.",
    ),
    (
        "K0661",
        "A network file was changed, is not signed by an administrator, or gives a member another key unasked.",
        "Nothing was taken over. Ask for the file again and compare the words of the keys by phone.",
    ),
    (
        "K0662",
        "A network file is older than what was accepted, lacks a version, or tells another history.",
        "Ask for the newest file. If two histories are in use, the members must compare and agree on one.",
    ),
    (
        "K0663",
        "An invite, a join request or an exchange of keys does not hold.",
        "The text says why. Ask the administrator for a new invite; an invite is used once.",
    ),
    (
        "K0664",
        "A document of the network cannot be read, or makes no sense by itself.",
        "The text says which and why. Ask for it again.",
    ),
    (
        "K0665",
        "The words of a key were not confirmed.",
        "Nothing was changed. Call the member again; words that differ mean that a file was exchanged on its way.",
    ),
    (
        "K0666",
        "konsil node doctor has found something that would make a run fail.",
        "Each line with ✗ says what to do.",
    ),
    (
        "K0667",
        "A dictionary proposal was changed, or its signer is no member of the network.",
        "Ask the proposer for the file again; compare its words by phone.",
    ),
    (
        "K0668",
        "A dictionary proposal does not follow the version that this centre has accepted.",
        "Ask for the version that comes next;  konsil dict status  shows who has which.",
    ),
];
