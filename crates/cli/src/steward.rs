//! `konsil steward` and `konsil policy`: who decides at a centre, and by which rules.

use crate::failure::Failure;
use crate::request::{desk, open_key};
use crate::screen::Screen;
use clap::Subcommand;
use konsil_governance::audit::Event;
use konsil_governance::{CentrePolicy, Person, to_hex};
use konsil_node::{Desk, write_private, write_toml};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Subcommand)]
pub(crate) enum StewardCommand {
    /// Make a steward's key and name it in the centre's policy.
    Init {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// The steward's name.
        #[arg(long)]
        name: String,
        /// Where the key is written; without it `steward.key` in the centre's folder.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Take a steward out who left or lost the key; two others sign.
    Remove {
        /// The steward's name.
        name: String,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// Keys of two other stewards; the centre's identity.key, its administrator's, may be one.
        #[arg(long, value_name = "KEY", required = true)]
        signed_by: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the policy in force, with defaults and standing rules.
    Show {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Edit a copy with $EDITOR; it becomes the policy if it is in order.
    Edit {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// What a policy would decide about the last days' requests.
    Test {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// Another policy file than the centre's own.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// How many days back.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
}

pub(crate) fn steward(command: StewardCommand, screen: &Screen) -> Result<(), Failure> {
    let (dir, name, key) = match command {
        StewardCommand::Init { dir, name, key } => (dir, name, key),
        StewardCommand::Remove { name, dir, signed_by } => {
            return remove(&desk(&dir)?, &dir, (&name, &signed_by), screen);
        }
    };
    let path = key.unwrap_or_else(|| dir.join("steward.key"));
    let person = add(&desk(&dir)?, &dir, (&name, &path))?;
    screen.note(&format!(
        "✓ {name} is a steward of this centre\n  key {}, for this person only\n  public {}",
        path.display(),
        person.key
    ));
    screen.json_line(&json!({"schema": "konsil.steward.v1", "name": name, "key": person.key}));
    Ok(())
}

/// Makes a steward's key and adds its owner to the policy file; what else stands there stays.
pub(crate) fn add(desk: &Desk, dir: &Path, (name, path): (&str, &Path)) -> Result<Person, Failure> {
    let mut policy = desk.policy_file()?;
    if policy.steward.iter().any(|it| it.name == name) {
        return Err(Failure::usage(format!("there is a steward `{name}` already")));
    }
    let person = Person { name: name.to_owned(), key: crate::lab::new_identity(path)? };
    desk.log(&Event::new("policy", "steward", name).with("key", &person.key))?;
    let file = dir.join("policy.toml");
    if file.exists() {
        let text = read(&file)?;
        let entry = toml::Value::from(name);
        let text = format!("{text}\n[[steward]]\nname = {entry}\nkey = \"{}\"\n", person.key);
        desk.parse_policy(&text)?;
        write_private(&file, text.as_bytes())?;
    } else {
        policy.steward.push(person.clone());
        write_toml(&file, &policy)?;
    }
    Ok(person)
}

/// Takes a steward out of the policy file, signed by two others and logged with their signatures.
fn remove(
    desk: &Desk,
    dir: &Path,
    (name, keys): (&str, &[PathBuf]),
    screen: &Screen,
) -> Result<(), Failure> {
    let before = desk.policy_file()?;
    let Some(gone) = before.steward.iter().find(|it| it.name == name) else {
        return Err(Failure::usage(format!(
            "there is no steward `{name}`; see  konsil policy show"
        )));
    };
    let mut after = before.clone();
    after.steward.retain(|it| it.name != name);
    let own = open_key(&dir.join("identity.key"))?.public_key().to_string();
    let statement = format!("konsil steward removal v1\n{}\n{name}\n{}\n", desk.centre(), gone.key);
    let mut signers: Vec<(String, String)> = Vec::new();
    for path in keys {
        let identity = open_key(path)?;
        let key = identity.public_key().to_string();
        let steward = after.steward.iter().find(|it| it.key == key).map(|it| it.name.clone());
        let who = steward.or_else(|| (key == own).then(|| format!("admin@{}", desk.centre())));
        let Some(who) = who.filter(|who| signers.iter().all(|(it, _)| it != who)) else {
            let what = "is the key of no other steward, nor the centre's own, or stands twice";
            return Err(Failure::usage(format!("{} {what}", path.display())));
        };
        let signature = identity.sign(statement.as_bytes());
        let signature = signature.map_err(|error| Failure::process(error.to_string()))?;
        signers.push((who, to_hex(&signature)));
    }
    let [first, second] = signers.as_slice() else {
        let what = "two sign: other stewards, or one of them and the centre's identity.key";
        return Err(Failure::usage(what));
    };
    let event = Event::new("policy", "steward-removed", &first.0)
        .with("steward", &name)
        .with("key", &gone.key)
        .with("first_signature", &first.1)
        .with("second", &second.0)
        .with("second_signature", &second.1);
    desk.log(&event)?;
    let file = dir.join("policy.toml");
    let shorter = without_steward(&read(&file)?, name);
    match desk.parse_policy(&shorter) {
        Ok(policy) if policy == desk.parse_policy(&written(&after)?)? => {
            write_private(&file, shorter.as_bytes())?;
        }
        _ => write_toml(&file, &after)?,
    }
    screen.note(&format!(
        "✓ {name} is no steward of this centre any more; signed by {} and {}\n  approvals given \
         under the old policy are void",
        first.0, second.0
    ));
    let by = [&first.0, &second.0];
    screen.json_line(&json!({"schema": "konsil.steward.v1", "removed": name, "signed_by": by}));
    Ok(())
}

fn written(policy: &CentrePolicy) -> Result<String, Failure> {
    let text = toml::to_string_pretty(policy);
    text.map_err(|_| Failure::process("the policy cannot be written down"))
}

/// A policy file without the table of one steward; comments and all else stay.
fn without_steward(text: &str, name: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.trim_start().starts_with('[');
    let line = format!("name = {}", toml::Value::from(name));
    let mut kept: Vec<&str> = Vec::with_capacity(lines.len());
    let mut at = 0;
    while let Some(first) = lines.get(at) {
        let rest = lines.get(at + 1..).unwrap_or_default();
        let end = at + 1 + rest.iter().position(begins).unwrap_or(rest.len());
        let table = lines.get(at..end).unwrap_or_default();
        let theirs = first.trim() == "[[steward]]" && table.iter().any(|it| it.trim() == line);
        if !theirs {
            kept.extend(table);
        }
        at = end;
    }
    kept.join("\n") + "\n"
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

pub(crate) fn policy(command: PolicyCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show { dir } => show(&desk(&dir)?, screen),
        PolicyCommand::Edit { dir } => edit(&desk(&dir)?, &dir, screen),
        PolicyCommand::Test { dir, file, days } => {
            test(&desk(&dir)?, (file.as_deref(), days), screen)
        }
    }
}

fn show(desk: &Desk, screen: &Screen) -> Result<(), Failure> {
    let policy = desk.own_policy()?;
    let demanded = desk.demanded()?;
    let laxer = demanded.as_ref().map(|it| it.laxer(&policy)).unwrap_or_default();
    let text = written(&policy)?;
    let hash = policy.hash().map_err(|_| Failure::process("the policy has no canonical form"))?;
    let words = demanded.as_ref().map(|it| format!("\n# the network demands: {}", it.in_words()));
    let words = words.unwrap_or_default();
    screen.table(&format!("# {}, sha256 {hash}{words}\n{text}", desk.centre()));
    for what in &laxer {
        screen.note(&format!("✗ K0627 {what}; every study is refused"));
    }
    screen.json_line(&json!({"schema": "konsil.policy.v1", "hash": hash, "policy": policy,
        "demanded": demanded, "laxer": laxer}));
    Ok(())
}

/// A policy that can be used here and is strict enough for the network.
fn checked(desk: &Desk, text: &str) -> Result<CentrePolicy, Failure> {
    let policy = desk.parse_policy(text)?;
    desk.check_floor(&policy)?;
    Ok(policy)
}

fn edit(desk: &Desk, dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let file = dir.join("policy.toml");
    let before = desk.policy_file()?;
    if !file.exists() {
        write_toml(&file, &before)?;
    }
    let draft = dir.join("policy-draft.toml");
    write_private(&draft, read(&file)?.as_bytes())?;
    let editor = std::env::var("EDITOR").unwrap_or_default();
    let mut words = editor.split_whitespace();
    let Some(program) = words.next() else {
        return Err(Failure::usage("set EDITOR to the program that edits texts"));
    };
    let ended = Command::new(program).args(words).arg(&draft).status();
    let ended = ended.map_err(|error| Failure::file(Path::new(program), &error))?;
    let text = read(&draft)?;
    let after = match checked(desk, &text) {
        Ok(after) if ended.success() => after,
        Ok(_) => return Err(Failure::usage("the editor failed; the policy stays as it was")),
        Err(mut failure) => {
            failure.text.push_str(&format!(
                "\nthe policy stays as it was; your text is in {}",
                draft.display()
            ));
            return Err(failure);
        }
    };
    let hash = after.hash().map_err(|_| Failure::process("the policy has no canonical form"))?;
    desk.log(&Event::new("policy", &hash, &format!("steward@{}", desk.centre())))?;
    write_private(&file, text.as_bytes())?;
    std::fs::remove_file(&draft).map_err(|error| Failure::file(&draft, &error))?;
    screen.note(if before == after {
        "✓ the policy means the same as before"
    } else {
        "✓ the policy has changed; approvals given under the old one are void\nSee: konsil policy test"
    });
    screen.json_line(&json!({"schema": "konsil.policy.v1", "hash": hash, "policy": after}));
    Ok(())
}

fn test(desk: &Desk, (file, days): (Option<&Path>, u32), screen: &Screen) -> Result<(), Failure> {
    let policy = match file {
        Some(file) => desk.parse_policy(&read(file)?)?,
        None => desk.policy()?,
    };
    let decisions = desk.try_policy(&policy, days)?;
    let mut rows: Vec<Value> = Vec::with_capacity(decisions.len());
    for (record, decision) in &decisions {
        screen.table(&format!(
            "#{:<4} {:<24} was {:<9} would be: {decision}",
            record.number, record.study, record.state
        ));
        rows.push(json!({
            "number": record.number, "study": record.study, "state": record.state,
            "decision": decision,
        }));
    }
    screen.note(&format!("{} requests of the last {days} days; nothing was changed", rows.len()));
    screen.json_line(&json!({"schema": "konsil.policy-test.v1", "requests": rows}));
    Ok(())
}
