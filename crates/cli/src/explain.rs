//! `konsil explain`: what every code means and what to do.

mod network;
mod pages;

use crate::failure::Failure;
use crate::screen::Screen;
use serde_json::json;

/// Code, meaning, remedy.
const CODES: &[(&str, &str, &str)] = &[
    (
        "K0101",
        "A value lies outside the dictionary's range.",
        "The report names row and column. Correct the cell, convert the unit, declare a missing code, or agree on a wider range in the dictionary.",
    ),
    (
        "K0102",
        "A cell is no number where the dictionary wants one.",
        "Correct the cell, declare a missing code, or use --map.",
    ),
    (
        "K0103",
        "A number is not finite, or too large to be computed with.",
        "Correct the cell, or agree on a larger unit; NaN and infinity are never imported.",
    ),
    ("K0104", "An integer has a fraction.", "Correct the cell or declare the variable as number."),
    ("K0105", "A text is neither true nor false.", "Use 0/1, true/false, yes/no, or --map."),
    ("K0106", "A patient stands in the file twice.", "Keep one row for each patient."),
    (
        "K0114",
        "A text is not a level of the dictionary.",
        "Use --map 'variable.text=level' or '=missing', or propose the level for the dictionary.",
    ),
    (
        "K0115",
        "The dictionary file has an error.",
        "The text names line and column; the columns are name, label, type, unit, levels, min, max, decimals, missing, code, sensitivity, notes.",
    ),
    (
        "K0116",
        "The file cannot be read as a table of patients, or lacks columns of the dictionary.",
        "The text names file and line or columns. Give .csv, .tsv or .parquet with a header.",
    ),
    (
        "K0120",
        "The list of variants (panel) has a line that is none.",
        "The text names the line. Make a panel with  konsil geno panel FILE;  all centres use the same file.",
    ),
    (
        "K0121",
        "A genotype file is damaged, cut, or not what its name says; nothing was stored.",
        "The text names file and line, byte or variant. Copy the file again, or look at the program that wrote it.",
    ),
    (
        "K0122",
        "A genotype file has a form that another program must convert first.",
        "The text has the command line that does it.",
    ),
    (
        "K0123",
        "The link file, or the ids of people in a genotype file, cannot be used.",
        "The text names the line: an id twice, two people who are one patient, or no column for samples or patients.",
    ),
    (
        "K0124",
        "A genotype file and the centre's patients do not belong together.",
        "Look at the ids: a link file (--id-map) says which patient each person of the file is. Files that are imported together have the same people.",
    ),
    (
        "K0125",
        "A genotype file has positions of another build of the genome than the panel.",
        "Lift the file over to the panel's build, or agree on a panel of the file's build.",
    ),
    (
        "K0126",
        "A genotype file has genotypes that cannot be counted.",
        "The text names the place: more than two copies, or half calls with --half-call error.",
    ),
    (
        "K0127",
        "Something in a genotype file is larger than any honest file has it.",
        "It was refused before memory was used. The text names file and place.",
    ),
    (
        "K0128",
        "No variant of a genotype file could be kept.",
        "Most often panel and file have different builds, or another file is meant.",
    ),
    (
        "K0129",
        "A list of people or variants to leave out cannot be used; nothing was stored.",
        "The text names the line: one id a line, people as the genotype file has them, variants as the panel names them or as 1:12345 or 1:12345:A:G.",
    ),
    (
        "K0201",
        "The formula cannot be read.",
        "Konsil formulas are R's: y ~ a + b. The mark shows where reading stopped.",
    ),
    (
        "K0202",
        "The formula is too long, too deep, or has too many terms.",
        "Ask a smaller question, or several.",
    ),
    (
        "K0203",
        "The dictionary has no such variable.",
        "Look it up in the dictionary; a near name is suggested.",
    ),
    ("K0204", "A part of the formula is no term.", "Put arithmetic into I(...)."),
    ("K0205", "The variable names patients.", "Identifiers cannot be analysed."),
    (
        "K0206",
        "The function is not available yet.",
        "Use log, exp, sqrt, I, factor, relevel, cut, pmin, pmax, ns, rcs.",
    ),
    (
        "K0207",
        "The function is not known.",
        "Use log, exp, sqrt, I, factor, relevel, cut, pmin, pmax, ns, rcs.",
    ),
    (
        "K0208",
        "The function has no meaning at this place.",
        "Surv stands on the left; offset and strata stand alone as terms.",
    ),
    (
        "K0209",
        "The level is not in the dictionary.",
        "Levels come from the dictionary only; a near one is suggested.",
    ),
    (
        "K0210",
        "The response is missing or has the wrong form.",
        "Write y ~ x, or Surv(time, event) ~ group.",
    ),
    (
        "K0211",
        "A variable has the wrong type here.",
        "Use factor(x) for codes, numbers for arithmetic.",
    ),
    ("K0212", "The function's arguments are wrong.", "The mark shows which."),
    ("K0213", "The model has no columns.", "Add a term or the intercept."),
    (
        "K0217",
        "The model separates: its columns predict the response (almost) alone.",
        "Drop the term or merge levels. Only this fact is released.",
    ),
    (
        "K0219",
        "Cox regression: some time has more events than Efron's method is prepared for.",
        "How many it is prepared for is public. Ask with a larger ties_max (time and bytes grow with it), or with ties = \"breslow\". Only this fact is released.",
    ),
    (
        "K0218",
        "Columns of the model are combinations of others.",
        "Leave one of the named columns out; a level that nobody has makes a column of zeros.",
    ),
    ("K0220", "The request does not make sense.", "The text says which part."),
    (
        "K0223",
        "The steps of a model came to no end.",
        "The text says what did not settle. Another link or fewer columns help; counts that vary no more than Poisson's have no negative binomial model; clusters that still move need more iterations. Only this fact is released.",
    ),
    (
        "K0224",
        "A centre has no genotypes, or those of another panel of variants.",
        "Import the genotypes with the panel of the request:  konsil geno import FILE --panel PANEL;  konsil geno list  shows what is there.",
    ),
    (
        "K0221",
        "The noise that is asked for cannot be drawn.",
        "The text says why: a smaller epsilon has larger noise, epsilon = 0 gives exact results under the rules.",
    ),
    (
        "K0222",
        "A number is the same for all patients, so that nothing goes along with it.",
        "Leave it out; the text names it.",
    ),
    (
        "K0301",
        "The condition of the cohort cannot be read.",
        "It is one SQL condition: age >= 50 and sex = 'F'.",
    ),
    ("K0302", "The condition is too long or too deep.", "At most 4,096 characters and 32 levels."),
    ("K0303", "The dictionary has no such variable.", "A near name is suggested."),
    ("K0304", "The variable names patients.", "Cohorts cannot be chosen by identity."),
    (
        "K0305",
        "The condition uses something that is not allowed.",
        "Comparisons, and, or, not, in, between, is null, arithmetic, abs, coalesce, least, greatest.",
    ),
    ("K0306", "Types do not fit.", "Compare numbers with numbers, levels with texts."),
    (
        "K0307",
        "Equality of a number with decimals.",
        "Use a range; equality could single out a patient.",
    ),
    ("K0309", "The level is not in the dictionary.", "A near one is suggested."),
    (
        "K0310",
        "A sum does not fit into fixed point.",
        "Give the variable a range in the dictionary, or a larger unit.",
    ),
    (
        "K0311",
        "A centre's patients cannot be used for this analysis.",
        "The centre's own log says more; other centres learn only this.",
    ),
    (
        "K0312",
        "A data set was cut or changed since it was stored, or the key is another one.",
        "If the text names a key, restore the data.key that holds it: konsil node key list. Otherwise restore the file from a backup, or import again.",
    ),
    (
        "K0313",
        "A centre has no data set yet.",
        "Import one: konsil lab import, or konsil data import at the centre.",
    ),
    (
        "K0314",
        "snapshot-mismatch: the file of a data set is not the one that was frozen.",
        "It was changed, or an older file was put back. Restore the frozen file from a backup, or import again; if it was replaced on purpose: konsil data freeze NAME.",
    ),
    (
        "K0315",
        "snapshot-missing: a centre's data set was never frozen.",
        "konsil data import and konsil lab import freeze by themselves. At the centre: konsil data freeze NAME, after looking at what it is.",
    ),
    (
        "K0316",
        "The data key of a centre is locked, and the passphrase is missing or another one.",
        "Start the command at a terminal, or name a file with the passphrase, mode 600, in KONSIL_PASSPHRASE_FILE. Without the passphrase nobody opens the data.",
    ),
    ("K0401", "The secure computation stopped.", "Run again; nothing was released."),
    (
        "K0402",
        "The released parts do not fit together.",
        "Run again; if it stays, a centre runs another version.",
    ),
    (
        "K0411",
        "peer-lost: a party went away or fell silent.",
        "Look at its node and its line, then run again. Used randomness is burnt; nothing was released.",
    ),
    ("K0412", "peer-too-slow: a party sends below the minimum rate.", "Look at its line."),
    (
        "K0413",
        "version-mismatch: the parties speak different protocol versions.",
        "Run the same version everywhere.",
    ),
    (
        "K0414",
        "session-mismatch: a message of another session, study or network.",
        "Start a new run; if it stays, look for a wrong address or a replay.",
    ),
    (
        "K0415",
        "protocol-order: a message came out of order.",
        "Start a new run; tell the administrator of the party.",
    ),
    (
        "K0416",
        "frame-truncated: a link ended within a message.",
        "Look at the line, then run again.",
    ),
    (
        "K0417",
        "frame-too-large: a message announces more than is allowed.",
        "It was refused before memory was used; look at what connects to the port.",
    ),
    (
        "K0418",
        "shape-mismatch: a message has another length than the protocol gives it.",
        "The parties run different programs or studies.",
    ),
    (
        "K0419",
        "pq-required: the peer offers no hybrid post-quantum key agreement.",
        "Links need X25519MLKEM768; update the peer.",
    ),
    (
        "K0420",
        "identity-mismatch: the peer's key is not the one that the network lists.",
        "Compare fingerprints with the centre by phone.",
    ),
    (
        "K0421",
        "dealer-incomplete: the dealer went away before all correlations were dealt.",
        "Start the dealer, then run again.",
    ),
    (
        "K0422",
        "dealer-corrupt: the dealer's message is not what was asked for.",
        "Start a new run; if it stays, do not use this dealer.",
    ),
    ("K0423", "peer-aborted: another centre ended the run.", "Its own message says why."),
    (
        "K0424",
        "The operating system refused an operation on a link.",
        "Look at addresses, ports and limits.",
    ),
    (
        "K0425",
        "opening-not-declared: the program tried to open what its manifest does not list.",
        "Nothing was opened. This is a defect; report it.",
    ),
    (
        "K0426",
        "burn-ledger: used randomness could not be marked on disk.",
        "Nothing was sent. Look at the disk of the node.",
    ),
    ("K0430", "A message is not understood.", "Run the same version at both ends."),
    (
        "K0431",
        "A sealed result cannot be opened.",
        "It belongs to another run or was changed on its way.",
    ),
    ("K0432", "The system gives no randomness.", "Nothing is computed without it."),
    (
        "K0501",
        "Disclosure control: too few patients, events or centres.",
        "Only this fact is released. Widen the cohort or take fewer groups.",
    ),
    (
        "K0502",
        "Disclosure control: a column or a patient of the model stands too much apart.",
        "Only this fact is released. Merge thin levels, leave out terms that differ for few patients, bound extreme values (pmin, pmax, log).",
    ),
    (
        "K0503",
        "Disclosure control: cohort, group or column is nearly one of an earlier result, or all but one centre.",
        "Only this fact is released. Their difference would be a result about a few, or one centre's own. Use the earlier cohort, groups and centres unchanged, or others that differ by more.",
    ),
    (
        "K0504",
        "Disclosure control: an attack on the result found too many of its patients.",
        "Only this fact is released. Describe fewer variables or groups, or a larger cohort; or ask for noise (epsilon).",
    ),
    ("K0601", "A centre refuses.", "The text says why; ask its data steward."),
    (
        "K0629",
        "Patients were added, or other results released, since the plan was made; nothing was computed.",
        "Run the command again: it plans anew.",
    ),
    (
        "K0630",
        "audit-unavailable: the audit log could not be written.",
        "What cannot be logged does not happen. Look at the disk, then start the node again.",
    ),
    (
        "K0631",
        "rollback-detected: a centre's log does not contain what another centre has seen of it.",
        "If a backup was restored there, its administrator says so: konsil audit accept-rollback; the other centres: konsil audit accept-rollback --peer CENTRE. If not, look for who changed it.",
    ),
    (
        "K0632",
        "audit-broken: an entry of the audit log was changed, or is missing.",
        "Keep the folder as it is: it is evidence. Compare it with a backup: konsil audit verify.",
    ),
    (
        "K0633",
        "The database was written by a newer version of konsil.",
        "Run the newer version, or restore the backup from before the update.",
    ),
    (
        "K0634",
        "A proof of a log entry proves nothing.",
        "The file was changed, or the key is another centre's: compare fingerprints by phone.",
    ),
    (
        "K0635",
        "clock-skew: two centres' clocks are more than ten minutes apart, so that neither signs the other's log.",
        "Set both clocks right (NTP), see  konsil node doctor,  then run the study again: nothing was computed.",
    ),
    (
        "K0640",
        "budget-exhausted: a release would spend more than is left of a privacy budget.",
        "The text says what is asked and what is left: konsil budget show. Ask for less, or wait.",
    ),
    (
        "K0641",
        "The budget ledger does not allow this step.",
        "A release is reserved once, then committed; a refund needs the proof that nothing was opened.",
    ),
    (
        "K0642",
        "An entry of the budget ledger was changed, or is missing.",
        "Nothing is computed. Keep the folder as it is and compare it with a backup.",
    ),
    (
        "K0643",
        "budget-void: a centre's log was rolled back, and nobody knows what was spent since the backup.",
        "Everything counts as spent. The centre's stewards compare its ledger with the logs of the other centres, lower its limits by what is missing, and sign: konsil budget renew --signed-by KEY.",
    ),
    (
        "K0610",
        "approval-missing: no steward of the centre has approved the study yet.",
        "Send it with  konsil submit,  and wait; the steward decides with  konsil request approve.",
    ),
    (
        "K0611",
        "approval-consumed: an approval is for one run, and that run has begun.",
        "Ask for another approval with  konsil submit.",
    ),
    (
        "K0612",
        "study-changed: the study is not the one that was approved.",
        "Any change of its meaning makes it another study. Send it again with  konsil submit.",
    ),
    (
        "K0613",
        "data-changed: the centre's data set is not the one that was approved.",
        "Send the study again with  konsil submit.",
    ),
    (
        "K0614",
        "policy-changed: the centre's policy is not the one under which it was approved.",
        "Send the study again with  konsil submit.",
    ),
    (
        "K0615",
        "version-changed: another version of the program was approved.",
        "Send the study again with  konsil submit.",
    ),
    (
        "K0616",
        "approval-expired: the approval's time is over, or has not begun.",
        "Ask for another approval with  konsil submit.",
    ),
    ("K0617", "approval-revoked: a steward has taken the approval back.", "Ask the steward why."),
    (
        "K0618",
        "not-a-steward: an approval is signed by a key that may not approve here.",
        "It counts for nothing and is in the centre's log. A steward of policy.toml must approve.",
    ),
    (
        "K0620",
        "permit-not-valid: the permit is missing, not yet or no longer valid, or not for this person, centre or issuer.",
        "The text says at which moment: submit, start or release. At release nothing was sealed; have the permit renewed and run again.",
    ),
    (
        "K0621",
        "data-use-mismatch: the request does not fit the data set's conditions of use (GA4GH DUO).",
        "The text gives the pair: what the request claims or leaves open, and the data set's code.",
    ),
    (
        "K0622",
        "purpose-not-allowed: the centre, or Article 54 of the EHDS regulation, does not allow the purpose.",
        "State the purpose in [study] or in the permit; ask the centre which it allows.",
    ),
    (
        "K0623",
        "analysis-not-allowed: the centre does not take part in this kind of analysis.",
        "Leave it out, or run without the centre: `centres = [...]`, or `min_centres`.",
    ),
    (
        "K0624",
        "queue-full: too many requests wait at the centre, or too many were refused within a day.",
        "The text says when to try again.",
    ),
    (
        "K0625",
        "declined: the centre's steward, or its policy, has said no.",
        "The text gives the steward's words, or the reason.",
    ),
    (
        "K0626",
        "not-offered: the centre's data set lacks a variable of the study.",
        "Leave it out, or run without the centre: `centres = [...]`, or `min_centres`.",
    ),
    (
        "K0627",
        "policy-too-lax: a centre's policy asks for less than the network's rules, so that nothing runs there.",
        "konsil policy show  says what the network demands; the centre's administrator corrects policy.toml or konsil.toml.",
    ),
    (
        "K0628",
        "dictionary-not-accepted: the study is for another version of the dictionary than the centre's data set, or the centre has not accepted that version.",
        "konsil dict status  shows who has which. At the centre: konsil dict accept PROPOSAL, then konsil data import under that version.",
    ),
    (
        "K0650",
        "Consent cannot be looked up at a centre, so that no study starts there.",
        "The text says why: an opt-out list that cannot be read, or a data set without identifiers.",
    ),
    (
        "K0651",
        "A file about consent has places that cannot be read and may be anybody's.",
        "One of them may be a withdrawal: nothing was taken over. The lines are listed; correct the file. Look at the header, and at quotes that do not end.",
    ),
    (
        "K0652",
        "A list of identifiers cannot be read.",
        "One identifier to a line, or a CSV with a column id. Nothing was taken over.",
    ),
    (
        "K0701",
        "A file or folder cannot be used.",
        "The text names it. Key files must be readable by their owner only.",
    ),
    (
        "K0702",
        "Another process uses the folder.",
        "Stop it first; a folder belongs to one process.",
    ),
    (
        "K0703",
        "The node's database refuses.",
        "Look at the disk; the node stops rather than go on without it.",
    ),
    ("K0704", "The study file has an error.", "The text names line and key."),
    ("K0705", "No plan can be made.", "The text says why."),
    ("K0801", "The command was used wrongly.", "konsil help COMMAND"),
    ("K0802", "A process of the lab, demo or measurement failed.", "Its log is in its folder."),
];

const EXITS: &str = "exit status  0 done · 1 failed · 2 wrong use · 5 refused · 6 withheld by disclosure control\n             7 budget exhausted · 8 a party is away, run again · 9 integrity · 10 data failed their check";

/// All codes.
fn all() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    CODES.iter().chain(network::CODES).chain(pages::CODES)
}

pub(crate) fn explain(code: Option<&str>, screen: &Screen) -> Result<(), Failure> {
    match code {
        None => {
            for (code, meaning, _) in all() {
                screen.table(&format!("{code}  {meaning}"));
            }
            screen.table(&format!("\n{EXITS}"));
            let all: Vec<_> = all().map(entry).collect();
            screen.json_line(&json!({"schema": "konsil.explain.v1", "codes": all}));
            Ok(())
        }
        Some("exit-codes") => {
            screen.table(EXITS);
            Ok(())
        }
        Some("guarantee") => {
            screen.table(&konsil_governance::guarantee(6, false));
            Ok(())
        }
        Some(code) => {
            let code = code.to_uppercase();
            let known = all().find(|(it, _, _)| *it == code);
            let Some(found) = known else {
                let what = format!("no code `{code}`;  konsil explain  lists all");
                return Err(Failure::usage(what));
            };
            let (code, meaning, remedy) = found;
            screen.table(&format!("{code}  {meaning}\n       {remedy}"));
            screen.json_line(&json!({"schema": "konsil.explain.v1", "codes": [entry(found)]}));
            Ok(())
        }
    }
}

fn entry((code, meaning, remedy): &(&str, &str, &str)) -> serde_json::Value {
    json!({"code": code, "meaning": meaning, "remedy": remedy})
}
