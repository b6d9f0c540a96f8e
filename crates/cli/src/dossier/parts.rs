//! The parts of the dossier.

use super::Facts;
use konsil_disclosure::Rounding;
use konsil_governance::guarantee as in_words;
use konsil_node::Peer;
use konsil_plot::document::Part;
use std::fmt::Display;
use std::fs;
use std::path::Path;

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// The guarantee of the protocol in force, with as many centres as there are.
pub(super) fn guarantee_text(facts: &Facts<'_>) -> String {
    in_words(facts.config.centre.len(), false)
}

pub(super) fn guarantee(facts: &Facts<'_>) -> Part {
    Part::new("Guarantee").text(guarantee_text(facts))
}

pub(super) fn not_promised() -> Part {
    Part::new("What we do not promise").list([
        "Anything, if the dealer works together with any centre.",
        "A correct result, if a centre or the dealer sends wrong numbers on purpose: parties are \
         taken to follow the protocol.",
        "That a run ends: any party can stop it; nothing is released then.",
        "That exact statistics are anonymous. All other centres together can subtract their own \
         patients; many permitted results together can say more than each alone.",
        "Protection from this centre's own administrators, from side channels of its machine, or \
         from capture of its memory.",
        "That a study is lawful.",
        "Freedom from defects: nobody outside has audited the program.",
    ])
}

pub(super) fn parties(facts: &Facts<'_>) -> Part {
    let config = &facts.config;
    let mut rows = Vec::new();
    for it in &config.centre {
        if it.name == config.name {
            rows.push(vec![
                format!("{} (this centre, controller)", it.name),
                "own patients in the clear, at home; shares of everything else".to_owned(),
                "own patients; random messages; what a study's plan opens to the centres"
                    .to_owned(),
                "its own patients: yes. Those of others: no".to_owned(),
            ]);
        } else {
            rows.push(vec![
                format!("{} (centre)", it.name),
                "its own patients; shares of ours".to_owned(),
                "random messages; what a study's plan opens to the centres".to_owned(),
                "no, unless all other centres or the dealer help it".to_owned(),
            ]);
        }
    }
    rows.push(vec![
        format!("{} (dealer)", config.dealer.name),
        "the centres' seeds, for the length of one run; no data".to_owned(),
        "sizes of a study; no share, no opening, no result".to_owned(),
        "no, unless it works together with a centre: then it could read the shares".to_owned(),
    ]);
    for it in &config.researcher {
        rows.push(vec![
            format!("{} (researcher)", it.name),
            "the released result".to_owned(),
            "the released numbers, the dictionary, rounded sizes".to_owned(),
            "not from one result under the rules; see what we do not promise".to_owned(),
        ]);
    }
    Part::new("Parties: what each holds, sees, and could know")
        .table(["Party", "Holds", "Sees", "Could identify a patient?"], rows)
}

pub(super) fn leaves() -> Part {
    Part::new("What leaves this centre, and what never does")
        .table(
            ["Class", "What", "To whom", "Readable there?"],
            vec![
                row([
                    "share",
                    "sums over patients, split into random pieces; masked values of the computation",
                    "other centres",
                    "no: each piece is uniformly random",
                ]),
                row([
                    "ciphertext",
                    "parts of the released result, sealed (HPKE, X-Wing, AES-256-GCM)",
                    "researcher",
                    "only the sum of all centres' parts, which is the result",
                ]),
                row([
                    "public",
                    "name of the centre, dictionary, policy rules, rows rounded up to 64, version",
                    "researchers, centres",
                    "yes; it concerns no patient",
                ]),
                row([
                    "control",
                    "study, approval, progress, error codes, checkpoints of the log",
                    "researcher, centres, dealer",
                    "yes; no patient's value, no subtotal",
                ]),
            ],
        )
        .text(
            "Never: a patient's row, a sum over this centre's patients in the clear, a key, a path \
             or a message about a patient's value. 0 bytes derived from patients leave in the clear.",
        )
}

fn rule(name: &str, value: impl Display, says: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_string(), says.to_owned()]
}

fn listed(list: &[String]) -> String {
    if list.is_empty() { "all".to_owned() } else { list.join(", ") }
}

/// A rule's word as files write it.
fn word(rule: impl serde::Serialize) -> String {
    let value = serde_json::to_value(rule).ok();
    value.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(super) fn rules(facts: &Facts<'_>) -> Part {
    let (policy, rules) = (&facts.policy, &facts.policy.rules);
    let (scans, residual) = (word(rules.scans), word(rules.residual));
    let mut rows = vec![
        rule("threshold", rules.threshold, "fewest patients behind any released number"),
        rule("centres_min", rules.centres_min, "fewest centres that must contribute"),
        rule("zero_cells", rules.zero_cells, "whether a count of 0 may be shown"),
        rule("residual", residual, "whose own patients are subtracted before judging"),
        rule("scans", scans, "what is shown of a scan of a genome: all variants, or hits"),
        rule("centre_percent_max", rules.centre_percent_max, "largest part of one centre"),
        rule("patient_percent_max", rules.patient_percent_max, "largest part of one patient"),
        rule("freedom_min", rules.freedom_min, "fewest patients beyond a model's parameters"),
        rule(
            "parameters_percent_max",
            rules.parameters_percent_max,
            "most parameters for a hundred patients",
        ),
        rule("leverage_percent_max", rules.leverage_percent_max, "largest leverage of a patient"),
        rule(
            "exposure_percent_max",
            rules.exposure_percent_max,
            "most described numbers for a hundred patients",
        ),
        rule(
            "found_percent_max",
            rules.found_percent_max,
            "most members that an attack may find before a release, in percent",
        ),
        rule(
            "rounding",
            if rules.rounding == Rounding::None { "none" } else { "midpoints of six" },
            "counts of survival curves",
        ),
        rule("noise_colluders", rules.noise_colluders, "centres that may pool their noise"),
        rule("two_person", policy.two_person, "two different stewards approve"),
        rule("approval_days", policy.approval_days, "days for which an approval holds"),
        rule("needs_permit", policy.needs_permit, "every study needs a permit"),
        rule("consent_required", policy.consent_required, "only patients with known consent"),
        rule(
            "renewed_consent",
            policy.renewed_consent,
            "who has forbidden the use is in again after a later signature",
        ),
        rule(
            "opt_out",
            if policy.opt_out.is_some() { "a list is applied" } else { "no list" },
            "people who have opted out are left out",
        ),
        rule("analyses", listed(&policy.analyses), "kinds of analysis that may run"),
        rule("purposes", listed(&policy.purposes), "purposes that may be pursued"),
        rule("stewards", policy.steward.len(), "people who may approve"),
        rule("standing rules", policy.standing.len(), "what the node approves by itself"),
    ];
    let budget = serde_json::to_value(facts.config.budget).ok();
    let limits = budget.iter().filter_map(|it| it.as_object()).flatten();
    for (name, value) in limits.filter(|(_, value)| !value.is_null()) {
        rows.push(rule(&format!("budget {name}"), value, "most that may be spent"));
    }
    let part = Part::new("Rules in force").table(["Rule", "Value", "Meaning"], rows);
    let Some(demanded) = &facts.demanded else {
        return part.text("No network demands more of this centre.");
    };
    let laxer = demanded.laxer(policy);
    let kept = if laxer.is_empty() {
        "This policy keeps to it.".to_owned()
    } else {
        format!("This policy does not, so that every study is refused: {}.", laxer.join("; "))
    };
    part.text(format!("The network demands: {}. {kept}", demanded.in_words()))
}

/// The permission bits of a file.
fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let about = fs::metadata(path);
    about.map_or("missing".to_owned(), |it| format!("{:04o}", it.permissions().mode() & 0o7777))
}

fn until(peer: Option<&Peer>) -> String {
    peer.and_then(|it| it.expires).map_or("no end set".to_owned(), |it| it.to_string())
}

pub(super) fn keys(facts: &Facts<'_>) -> Part {
    let own = facts.config.centre.iter().find(|it| it.name == facts.config.name);
    let key = |file: &str, algorithm: &str, purpose: &str, end: String| {
        let mode = mode(&facts.dir.join(file));
        vec![file.to_owned(), algorithm.to_owned(), purpose.to_owned(), mode, end]
    };
    let rows = vec![
        key("identity.key", "Ed25519", "who this node is; signs the log", until(own)),
        key(
            "data.key",
            "AES-256-GCM",
            "data sets and patients of runs at rest",
            "until rotated".to_owned(),
        ),
    ];
    Part::new("Keys").table(["File", "Algorithm", "For", "Mode", "Valid until"], rows).text(
        "Links: TLS 1.3, X25519MLKEM768 (hybrid, post-quantum), both sides by pinned keys. Each \
             run: fresh session, fresh seeds in memory only, a fresh key for the result. Key files \
             that others than the owner may read are refused.",
    )
}

pub(super) fn ports(facts: &Facts<'_>) -> Part {
    let config = &facts.config;
    let mut rows = vec![vec![
        "in".to_owned(),
        config.listen.clone(),
        "centres and researchers of the lists, TLS".to_owned(),
        until(config.centre.iter().find(|it| it.name == config.name)),
    ]];
    let others = config.centre.iter().filter(|it| it.name != config.name);
    for it in others.chain([&config.dealer]) {
        let place = if it.address.is_empty() { "told with each run" } else { &it.address };
        rows.push(vec!["out".to_owned(), place.to_owned(), it.name.clone(), until(Some(it))]);
    }
    Part::new("Ports and addresses")
        .table(["Direction", "Address", "With whom", "Member until"], rows)
        .text("No other connection is made: no telemetry, no search for updates.")
}

pub(super) fn retention(facts: &Facts<'_>) -> Part {
    let dataset = &facts.config.dataset;
    Part::new("Retention").table(
        ["What", "Where", "How long"],
        vec![
            row([
                "patients, encrypted",
                &format!("data/{dataset}.konsil"),
                "until the centre deletes or replaces the file; konsil deletes nothing by itself",
            ]),
            row([
                "runs, requests, approvals, openings, audit log, budgets",
                "node.sqlite",
                "for ever: the log must stay whole; it holds no patient's value",
            ]),
            row(["seeds and shares of a run", "memory", "until the run ends; then wiped"]),
            row(["results", "the researcher's computer", "the researcher's duty"]),
        ],
    )
}

pub(super) fn record(facts: &Facts<'_>) -> Part {
    let purposes = listed(&facts.policy.purposes);
    let rows = vec![
        row(["Controller", &facts.config.name]),
        row(["Purposes", &format!("joint statistics for research; purposes: {purposes}")]),
        row(["Data subjects", "patients of this centre"]),
        row(["Recipients", "of shares: the other centres; of results: the researchers above"]),
        row(["Third countries", "to be filled in by the centre, from the addresses above"]),
        row(["Legal basis", "to be filled in by the centre"]),
        row(["Erasure", "see Retention"]),
        row(["Measures (Art. 32)", "see Keys, Rules in force, Guarantee"]),
    ];
    let part = Part::new("Record of processing (GDPR Art. 30)").table(["Field", "Content"], rows);
    let Some(dictionary) = &facts.dictionary else {
        return part.text("Categories of data: no data set has been imported yet.");
    };
    let rows = dictionary.variables.iter().map(|it| {
        row([&it.name, &it.label, it.sensitivity.word(), &it.unit.clone().unwrap_or_default()])
    });
    part.text(format!("Categories of data: dictionary {}.", dictionary.title()))
        .table(["Variable", "Label", "Sensitivity", "Unit"], rows.collect())
}

pub(super) fn threats(facts: &Facts<'_>) -> Part {
    let threshold = facts.policy.rules.threshold;
    let others = facts.config.centre.len().saturating_sub(1);
    Part::new("Impact assessment (GDPR Art. 35): flows and threats")
        .text(
            "Flow: rows are read from the encrypted file into this node's memory; sums are made \
             there; the sums are split into shares; centres compute on shares; verdicts decide what \
             may be released; parts of the result are sealed to the researcher.",
        )
        .table(
            ["Threat", "What is done", "What remains"],
            vec![
                row(["a curious other centre", "it gets random shares only", "openings of the plan"]),
                row([
                    &format!("all {others} other centres together"),
                    "thresholds, residual rule, at least three centres",
                    "they can subtract their own patients from a result",
                ]),
                row([
                    "the dealer with one centre",
                    "the dealer holds no data and sees no message between centres; nothing technical beyond that",
                    "together they read everything: choose a dealer that is independent of every centre",
                ]),
                row([
                    "a researcher who asks many times",
                    "stewards, lineage rule, budgets, log",
                    "inference from many permitted results",
                ]),
                row([
                    "small groups",
                    &format!("no number about fewer than {threshold} patients"),
                    "few missing values can follow by subtraction from counts that are shown",
                ]),
                row([
                    "a recorder on the line, now or later",
                    "TLS 1.3, hybrid post-quantum",
                    "sizes and times",
                ]),
                row([
                    "theft of a disk",
                    "data sets encrypted; key file beside them",
                    "use disk encryption: the key lies on the same disk",
                ]),
                row([
                    "a changed log or restored backup",
                    "hash chain, checkpoints, co-signatures of peers",
                    "loss of availability",
                ]),
                row(["a false member", "signed list, words by phone", "55 bits of a key are compared"]),
            ],
        )
}
