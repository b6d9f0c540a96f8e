//! Codes of results' folders, of the pages and of the interface for programs.

/// Code, meaning, remedy.
pub(super) const CODES: &[(&str, &str, &str)] = &[
    (
        "K0803",
        "A result's folder is not as it was written: a file is missing or another, or its description cannot be read.",
        "The text names the file. Take the folder from whoever has it as it was written; the numbers in this one may be anybody's.",
    ),
    (
        "K0804",
        "A study that was run again gave other numbers.",
        "The text names them. Patients were added or corrected since, or the centres' rules have changed: compare  konsil plan  with plan.json of the old folder.",
    ),
    (
        "K0901",
        "The pages cannot be served at this address.",
        "Another program may use the port: choose another with --listen 127.0.0.1:PORT.",
    ),
    (
        "K0902",
        "A file of the pages cannot be read or written.",
        "The text names it; look at its rights and the disk.",
    ),
    (
        "K0903",
        "An account or an address cannot be taken.",
        "The text says why. Passwords have 12 letters at least; pages that others can reach need TLS before them.",
    ),
    (
        "K0904",
        "Something inside the pages failed.",
        "Try again; if it happens again, report it with the log.",
    ),
    (
        "K0905",
        "The page or call needs a session, another role, or its form is too old.",
        "Sign in, or load the page again. Programs bring the token of ui.token as a bearer's.",
    ),
    (
        "K0906",
        "There is no such page, study or file.",
        "Look at the address, or begin at the first page.",
    ),
    (
        "K0907",
        "konsil ui ended while the centres computed.",
        "What they computed is lost to nobody else. Ask again: an approval is for one run.",
    ),
    (
        "K0908",
        "A call cannot be read.",
        "The text says what is wrong; the interface is described at /api/openapi.json.",
    ),
    (
        "K0910",
        "The idempotency key of a call was used for another study.",
        "Choose a new key for each new question.",
    ),
    ("K0909", "A study cannot be withdrawn any more.", "What centres compute goes to its end."),
];
