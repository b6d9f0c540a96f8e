//! `konsil permit`: permits of health data access bodies.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use jiff::civil::Date;
use konsil_governance::{Format, PERMIT, Permit, Purpose, Signed, UseTerms};
use konsil_net::Identity;
use konsil_node::{NetworkFile, read_toml, write_private};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum PermitCommand {
    /// Write and sign a permit, as a body; its key is made if there is none.
    New(NewPermit),
    /// Show a permit, and whether its signature is good.
    Show {
        /// The permit.
        file: PathBuf,
    },
    /// Show your own key as a researcher, for the body to write into a permit.
    Me {
        /// The network file.
        #[arg(long, default_value = "network.toml", value_name = "FILE")]
        network: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewPermit {
    /// The body's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Number of the permit.
    #[arg(long)]
    id: String,
    /// Name of the body.
    #[arg(long)]
    body: String,
    /// Purpose of Article 53, such as scientific-research.
    #[arg(long)]
    purpose: Purpose,
    /// Key of a researcher; may be given several times.
    #[arg(long, required = true)]
    person: Vec<String>,
    /// Names of the centres.
    #[arg(long, value_delimiter = ',', required = true)]
    centres: Vec<String>,
    /// First day, as 2026-03-01.
    #[arg(long)]
    from: Date,
    /// Last day.
    #[arg(long)]
    to: Date,
    /// Kind of research: GRU, HMB, DS:DISEASE, POA, CC or methods.
    #[arg(long, default_value = "")]
    research: String,
    /// Whether the use is commercial.
    #[arg(long, value_name = "true|false")]
    commercial: Option<bool>,
    /// Whether the organisation makes profit.
    #[arg(long, value_name = "true|false")]
    for_profit: Option<bool>,
    /// Number of the ethics vote.
    #[arg(long, default_value = "")]
    ethics: String,
    /// The results will be published.
    #[arg(long)]
    publishes: bool,
    /// The permit file to write.
    #[arg(short, long, default_value = "permit.json")]
    out: PathBuf,
}

pub(crate) fn permit(command: PermitCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        PermitCommand::New(new) => make(new, screen),
        PermitCommand::Show { file } => show(&read(&file)?, screen),
        PermitCommand::Me { network } => {
            let file: NetworkFile = read_toml(&network)?;
            let folder = network.parent().unwrap_or_else(|| Path::new("."));
            let key = crate::request::open_key(&folder.join(file.identity))?;
            let key = key.public_key().to_string();
            screen.table(&key);
            screen.json_line(&json!({"schema": "konsil.key.v1", "key": key}));
            Ok(())
        }
    }
}

/// Reads a permit file.
pub(crate) fn read(path: &Path) -> Result<Signed<Permit>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{}: no permit: {error}", path.display())))
}

fn make(new: NewPermit, screen: &Screen) -> Result<(), Failure> {
    if new.to < new.from {
        return Err(Failure::usage("the permit's last day is before its first"));
    }
    if let Some(bad) = new.person.iter().find(|it| it.parse::<konsil_net::PublicKey>().is_err()) {
        let what = format!("`{bad}` is no key; a researcher's is shown by  konsil permit me");
        return Err(Failure::usage(what));
    }
    if !new.key.exists() {
        crate::lab::new_identity(&new.key)?;
        screen.note(&format!("✓ new key {}; keep it safe", new.key.display()));
    }
    let key: Identity = crate::request::open_key(&new.key)?;
    let terms = UseTerms {
        research: new.research,
        commercial: new.commercial,
        for_profit: new.for_profit,
        publishes: new.publishes,
        ethics: new.ethics,
        ..UseTerms::default()
    };
    let permit = Permit {
        id: new.id,
        body: new.body,
        purpose: new.purpose,
        terms,
        persons: new.person,
        centres: new.centres,
        valid_from: new.from,
        valid_to: new.to,
        format: Format::Statistical,
    };
    let signer = key.public_key().to_string();
    let signed = Signed::new(PERMIT, permit, &signer, |message| key.sign(message).ok())
        .map_err(|error| Failure::process(error.to_string()))?;
    let text = serde_json::to_string_pretty(&signed).unwrap_or_default();
    write_private(&new.out, text.as_bytes())?;
    screen.note(&format!(
        "✓ {}\nCentres that trust this body have in policy.toml:\n  [[permit_issuer]]\n  name = {}\n  key = \"{signer}\"",
        new.out.display(),
        toml::Value::from(signed.body.body.as_str()),
    ));
    screen.json_line(&json!({"schema": "konsil.permit.v1", "permit": signed}));
    Ok(())
}

fn show(signed: &Signed<Permit>, screen: &Screen) -> Result<(), Failure> {
    let permit = &signed.body;
    let good = signed.verified(PERMIT).is_ok();
    let mark = if good { "✓ signature is good" } else { "✗ signature is wrong" };
    screen.table(&format!(
        "{}  {}\nPurpose  {}\nDays     {} to {}\nCentres  {}\nPersons  {}\nIssuer   {}\n{mark}",
        permit.id,
        permit.body,
        permit.purpose.words(),
        permit.valid_from,
        permit.valid_to,
        permit.centres.join(", "),
        permit.persons.join(", "),
        signed.signer,
    ));
    screen.json_line(&json!({
        "schema": "konsil.permit.v1", "permit": signed, "signature_good": good,
    }));
    if good { Ok(()) } else { Err(Failure::permit("the permit's signature is wrong")) }
}
