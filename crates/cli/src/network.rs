//! `konsil network`: the administrator's end of a network's membership.

use crate::documents::{answer, compare_words, key, read, sign, today, words_of, write};
use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand, ValueEnum};
use jiff::ToSpan;
use jiff::civil::Date;
use konsil_governance::network::{
    INVITE, Invitation, Invite, Join, Member, MemberRole, NETWORK, Network, Rotation, Rules,
    Standing, changes, check_invite, check_join, check_rotation, is_name, standing, verify,
};
use konsil_governance::{Signed, hash_of, to_hex};
use konsil_net::Identity;
use konsil_node::{NetworkFile, NodeError, Peer, write_toml};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Days of a membership unless said otherwise.
const MEMBER_DAYS: u16 = 365;

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Make a network: an administrator's key and a first version without members.
    New {
        /// The network's name: 1 to 32 of a-z, 0-9 and -.
        name: String,
        /// Two people of each centre approve each study.
        #[arg(long)]
        two_person: bool,
        #[command(flatten)]
        floors: Floors,
        #[command(flatten)]
        place: Place,
    },
    /// Change what the network demands of every centre's policy; a laxer one lets nothing run.
    Rules {
        /// Whether two people of each centre approve each study.
        #[arg(long, value_name = "true|false")]
        two_person: Option<bool>,
        #[command(flatten)]
        floors: Floors,
        #[command(flatten)]
        place: Place,
    },
    /// Invite a centre, the dealer or a researcher: writes NAME-invite.json.
    Invite {
        /// The new member's name.
        name: String,
        /// What it will do.
        #[arg(long, default_value = "centre")]
        role: RoleWord,
        /// Days for which the invite holds.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
        days: u16,
        #[command(flatten)]
        place: Place,
    },
    /// Add a member from its join request, after comparing its words by phone.
    Add {
        /// The join request, join.json.
        join: PathBuf,
        /// Last day of the membership; a year from today without it.
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        #[command(flatten)]
        heard: Heard,
        #[command(flatten)]
        place: Place,
    },
    /// Set the last day of a membership; a day in the past ends it.
    Renew {
        /// The member.
        name: String,
        /// The last day; a year from today without it.
        #[arg(long, value_name = "DATE")]
        until: Option<Date>,
        #[command(flatten)]
        place: Place,
    },
    /// Take a member out.
    Remove {
        /// The member.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Exchange a member's key, with consent of the old one: rotation.json of the member.
    Rotate {
        /// What  konsil node rotate  has written.
        rotation: PathBuf,
        #[command(flatten)]
        heard: Heard,
        #[command(flatten)]
        place: Place,
    },
    /// Show members, words, last days.
    Show(WhichFile),
    /// Check every version and signature.
    Verify(WhichFile),
    /// Write the network.toml of a researcher.
    Export {
        /// The researcher.
        #[arg(long = "for", value_name = "NAME")]
        researcher: String,
        /// The file to write; NAME-network.toml without it.
        #[arg(short, long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The administrator's folder: admin.key, network.json.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

/// The least that a centre's policy may ask for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Floors {
    /// Fewest patients behind any released number.
    #[arg(long, value_name = "PATIENTS")]
    threshold: Option<u64>,
    /// Fewest centres that must contribute.
    #[arg(long, value_name = "CENTRES")]
    centres_min: Option<u64>,
}

impl Floors {
    /// Writes the numbers that were given into rules.
    fn apply(&self, rules: &mut Rules) -> Result<(), Failure> {
        rules.threshold = self.threshold.unwrap_or(rules.threshold);
        rules.centres_min = self.centres_min.unwrap_or(rules.centres_min);
        rules.fault().map_or(Ok(()), |what| Err(Failure::usage(what)))
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WhichFile {
    /// A network file; without it the one of the folder.
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Heard {
    /// The five words that the member has read to you.
    #[arg(long, value_name = "WORDS", conflicts_with = "yes")]
    words: Option<String>,
    /// The words have been compared already.
    #[arg(long)]
    yes: bool,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Has patients.
    Centre,
    /// Deals correlated randomness.
    Dealer,
    /// Sends studies.
    Researcher,
}

impl From<RoleWord> for MemberRole {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Centre => Self::Centre,
            RoleWord::Dealer => Self::Dealer,
            RoleWord::Researcher => Self::Researcher,
        }
    }
}

pub(crate) fn network(command: NetworkCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        NetworkCommand::New { name, two_person, floors, place } => {
            new(&name, (two_person, &floors), &place.dir, screen)
        }
        NetworkCommand::Rules { two_person, floors, place } => change(&place.dir, screen, |next| {
            next.rules.two_person = two_person.unwrap_or(next.rules.two_person);
            floors.apply(&mut next.rules)
        }),
        NetworkCommand::Invite { name, role, days, place } => {
            invite((&name, role.into(), days), &place.dir, screen)
        }
        NetworkCommand::Add { join, until, heard, place } => {
            add(&join, (until, &heard), &place.dir, screen)
        }
        NetworkCommand::Renew { name, until, place } => {
            let last = until.map_or_else(in_a_year, Ok)?;
            change(&place.dir, screen, |next| {
                let member = known(&mut next.members, &name)?;
                member.expires = last;
                member.since = member.since.min(last);
                Ok(())
            })
        }
        NetworkCommand::Remove { name, place } => change(&place.dir, screen, |next| {
            known(&mut next.members, &name)?;
            next.members.retain(|it| it.name != name);
            Ok(())
        }),
        NetworkCommand::Rotate { rotation, heard, place } => {
            rotate(&rotation, &heard, &place.dir, screen)
        }
        NetworkCommand::Show(which) => show(&which, screen),
        NetworkCommand::Verify(which) => {
            let chain = chain_of(&which)?;
            let last = verify(&chain)?;
            screen.table(&format!(
                "✓ {} version {}: every version and signature holds",
                last.name, last.version
            ));
            let line = json!({"schema": "konsil.network-verify.v1", "network": last.name, "version": last.version, "ok": true});
            screen.json_line(&line);
            Ok(())
        }
        NetworkCommand::Export { researcher, out, place } => {
            let chain = read_chain(&place.dir.join("network.json"))?;
            let out = out.unwrap_or_else(|| format!("{researcher}-network.toml").into());
            write_toml(&out, &researcher_file(verify(&chain)?, &researcher)?)?;
            screen.note(&format!("✓ {}  goes beside researcher.key", out.display()));
            Ok(())
        }
    }
}

/// Reads a network's versions.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<Signed<Network>>, Failure> {
    read(path)
}

fn chain_of(which: &WhichFile) -> Result<Vec<Signed<Network>>, Failure> {
    read_chain(which.file.as_deref().unwrap_or(&which.place.dir.join("network.json")))
}

fn in_a_year() -> Result<Date, Failure> {
    let last = today().checked_add(i32::from(MEMBER_DAYS).days());
    last.map_err(|error| Failure::usage(error.to_string()))
}

fn new(
    name: &str,
    (two_person, floors): (bool, &Floors),
    dir: &Path,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut rules = Rules { two_person, ..Rules::default() };
    floors.apply(&mut rules)?;
    if !is_name(name) {
        return Err(Failure::usage(format!("`{name}`: names are 1 to 32 of a-z, 0-9 and -")));
    }
    fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
    let path = dir.join("admin.key");
    let admin = Identity::create(&path).map_err(|error| {
        Failure::from(NodeError::File { path: path.clone(), what: error.to_string() })
    })?;
    let mut network = Network::new(name, &admin.public_key().to_string());
    network.rules = rules;
    write(&dir.join("network.json"), &[sign(NETWORK, network, &admin)?])?;
    screen.note(&format!(
        "✓ network {name}, version 1\n  {}  your key: keep a copy in a safe\nNext: konsil network invite NAME --dir {}",
        path.display(), dir.display()
    ));
    Ok(())
}

fn invite(
    (name, role, days): (&str, MemberRole, u16),
    dir: &Path,
    screen: &Screen,
) -> Result<(), Failure> {
    let chain = read_chain(&dir.join("network.json"))?;
    let network = verify(&chain)?;
    if !is_name(name) {
        return Err(Failure::usage(format!("`{name}`: names are 1 to 32 of a-z, 0-9 and -")));
    }
    if network.member(name).is_some() {
        return Err(Failure::usage(format!("`{name}` is a member already")));
    }
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| Failure::from(NodeError::Random))?;
    let valid_to = today().checked_add(i32::from(days).days());
    let body = Invite {
        network: network.name.clone(),
        network_hash: hash_of(network).map_err(|error| Failure::usage(error.to_string()))?,
        name: name.to_owned(),
        role,
        nonce: to_hex(&nonce),
        valid_to: valid_to.map_err(|error| Failure::usage(error.to_string()))?,
    };
    let valid_to = body.valid_to;
    let admin = key(&dir.join("admin.key"))?;
    let invitation = Invitation { invite: sign(INVITE, body, &admin)?, network: chain };
    let invites = dir.join("invites");
    fs::create_dir_all(&invites).map_err(|error| Failure::file(&invites, &error))?;
    write(&invites.join(format!("{name}.json")), &invitation)?;
    let out = dir.join(format!("{name}-invite.json"));
    write(&out, &invitation)?;
    let program = if role == MemberRole::Centre { "node" } else { role.word() };
    screen.note(&format!(
        "✓ {}  valid until {valid_to}; send it to {name}, who runs\n  konsil {program} join {name}-invite.json",
        out.display()
    ));
    Ok(())
}

fn add(
    path: &Path,
    (until, heard): (Option<Date>, &Heard),
    dir: &Path,
    screen: &Screen,
) -> Result<(), Failure> {
    let join: Signed<Join> = read(path)?;
    if !is_name(&join.body.name) {
        return Err(Failure::coded("K0663", "the join request names no member"));
    }
    let invite_path = dir.join("invites").join(format!("{}.json", join.body.name));
    if !invite_path.exists() {
        let what = format!("no open invite for `{}`; an invite is used once", join.body.name);
        return Err(Failure::coded("K0663", what));
    }
    let invitation: Invitation = read(&invite_path)?;
    let (invite, _) = check_invite(&invitation, today())?;
    let Join { name, key, address, .. } = check_join(&join, invite, today())?.clone();
    hear(heard, &key, &name, screen)?;
    let (since, expires) = (today(), until.map_or_else(in_a_year, Ok)?);
    let since = since.min(expires);
    let role = invite.role;
    change(dir, screen, |next| {
        next.members.push(Member { name, role, key, address, since, expires });
        Ok(())
    })?;
    fs::remove_file(&invite_path).map_err(|error| Failure::file(&invite_path, &error))
}

/// Holds the words that a person has heard against those of the key.
fn hear(heard: &Heard, key: &str, name: &str, screen: &Screen) -> Result<(), Failure> {
    screen.note(&format!("{name}  {}", words_of(key)));
    if heard.yes {
        return Ok(());
    }
    let question = format!("call {name} and type the five words that its screen shows:");
    let said = heard.words.clone().unwrap_or_else(|| answer(&question, screen));
    compare_words(&said, key, name)
}

fn rotate(path: &Path, heard: &Heard, dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let rotation: Signed<Rotation> = read(path)?;
    let chain = read_chain(&dir.join("network.json"))?;
    let network = verify(&chain)?;
    let name = rotation.body.name.clone();
    let member = network.member(&name);
    let member = member.ok_or_else(|| Failure::usage(format!("no member `{name}`")))?;
    let new_key = check_rotation(&rotation, &network.name, member)?.new_key.clone();
    hear(heard, &new_key, &name, screen)?;
    change(dir, screen, |next| {
        known(&mut next.members, &name)?.key = new_key;
        next.rotations = vec![rotation];
        Ok(())
    })
}

fn known<'a>(members: &'a mut [Member], name: &str) -> Result<&'a mut Member, Failure> {
    let found = members.iter_mut().find(|it| it.name == name);
    found.ok_or_else(|| Failure::usage(format!("no member `{name}`;  konsil network show")))
}

/// Writes the version that follows, signed, and says what it changes.
fn change(
    dir: &Path,
    screen: &Screen,
    apply: impl FnOnce(&mut Network) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = dir.join("network.json");
    let mut chain = read_chain(&path)?;
    let before = verify(&chain)?.clone();
    let mut next = before.next()?;
    apply(&mut next)?;
    chain.push(sign(NETWORK, next, &key(&dir.join("admin.key"))?)?);
    let next = verify(&chain)?;
    for line in changes(Some(&before), next) {
        screen.note(&format!("  {line}"));
    }
    let version = next.version;
    write(&path, &chain)?;
    screen.note(&format!(
        "✓ version {version}: send {} to all members, who run  konsil node accept network.json",
        path.display()
    ));
    Ok(())
}

fn show(which: &WhichFile, screen: &Screen) -> Result<(), Failure> {
    let chain = chain_of(which)?;
    let network = verify(&chain)?;
    let rules = network.rules.in_words();
    screen.table(&format!("{} version {} · {rules}", network.name, network.version));
    for it in &network.members {
        let end = match standing(it.expires, today()) {
            Standing::Expired => format!("✗ ended {}", it.expires),
            Standing::Ends(days) => format!("! until {} ({days} days)", it.expires),
            _ => format!("until {}", it.expires),
        };
        screen.table(&format!(
            "  {:<10} {:<16} {:<40} {:<22} {end}",
            it.role.word(),
            it.name,
            words_of(&it.key),
            it.address
        ));
    }
    let members = network.members.iter().map(|it| {
        json!({"name": it.name, "role": it.role, "key": it.key, "words": words_of(&it.key),
            "address": it.address, "since": it.since, "expires": it.expires})
    });
    let members: Vec<_> = members.collect();
    screen.json_line(&json!({"schema": "konsil.network.v1", "network": network.name,
        "version": network.version, "rules": network.rules, "members": members}));
    Ok(())
}

/// A member as nodes list it.
pub(crate) fn peer(member: &Member) -> Peer {
    Peer {
        name: member.name.clone(),
        key: member.key.clone(),
        address: member.address.clone(),
        expires: Some(member.expires),
    }
}

/// The network as a researcher's commands read it.
pub(crate) fn researcher_file(network: &Network, name: &str) -> Result<NetworkFile, Failure> {
    let own = network.member(name).filter(|it| it.role == MemberRole::Researcher);
    if own.is_none() {
        return Err(Failure::usage(format!("`{name}` is no researcher of this network")));
    }
    let dealer = network.with_role(MemberRole::Dealer).next();
    let dealer = dealer.ok_or_else(|| Failure::usage("the network has no dealer yet"))?;
    Ok(NetworkFile {
        network: network.name.clone(),
        identity: "researcher.key".to_owned(),
        centre: network.with_role(MemberRole::Centre).map(peer).collect(),
        dealer: peer(dealer),
    })
}
