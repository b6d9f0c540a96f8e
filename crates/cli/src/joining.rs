//! How a node, a dealer or a researcher gets a folder, joins a network and takes its versions over.

use crate::documents::{confirm, key, read, sign, today, words_of, write};
use crate::failure::Failure;
use crate::lab::new_identity;
use crate::network::{peer, read_chain, researcher_file};
use crate::screen::Screen;
use clap::{Args, Subcommand};
use konsil_cohort::Key;
use konsil_governance::Signed;
use konsil_governance::network::{
    Invitation, JOIN, Join, Member, MemberRole, Network, ROTATION, Rotation, changes, check_invite,
    continues, is_name, verify,
};
use konsil_node::{DealerConfig, Desk, NodeConfig, NodeError, Peer, write_private, write_toml};
use serde::Serialize;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a member listens unless said otherwise.
const LISTEN: &str = "0.0.0.0:7400";

#[derive(Debug, Subcommand)]
pub(crate) enum JoiningCommand {
    /// Make the folder: key, configuration.
    Init {
        /// The folder.
        dir: PathBuf,
        /// The member's name: 1 to 32 of a-z, 0-9 and -.
        #[arg(long)]
        name: String,
        /// Where to listen.
        #[arg(long, default_value = LISTEN, value_name = "HOST:PORT")]
        listen: String,
    },
    /// Answer an invite: shows the words to compare by phone, writes join.json.
    Join {
        /// The invite.
        invite: PathBuf,
        /// Where the others reach this member; without it where it listens.
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Take a version of the network over, after showing what it changes.
    Accept {
        /// The administrator's network.json.
        network: PathBuf,
        /// The changes and words have been compared already.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        folder: Folder,
    },
    /// Make the next key and have the present one sign it: writes rotation.json.
    Rotate(Folder),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Folder {
    /// The folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
}

pub(crate) fn joining(
    command: JoiningCommand,
    role: MemberRole,
    screen: &Screen,
) -> Result<(), Failure> {
    match command {
        JoiningCommand::Init { dir, name, listen } => init(&dir, (&name, &listen), role, screen),
        JoiningCommand::Join { invite, address, folder } => {
            join(&invite, address, (&folder.dir, role), screen)
        }
        JoiningCommand::Accept { network, yes, folder } => {
            accept(&network, yes, (&folder.dir, role), screen)
        }
        JoiningCommand::Rotate(folder) => rotate(&folder.dir, role, screen),
    }
}

fn key_file(role: MemberRole) -> &'static str {
    if role == MemberRole::Researcher { "researcher.key" } else { "identity.key" }
}

/// The command of a role.
fn program(role: MemberRole) -> &'static str {
    if role == MemberRole::Centre { "node" } else { role.word() }
}

fn init(
    dir: &Path,
    (name, listen): (&str, &str),
    role: MemberRole,
    screen: &Screen,
) -> Result<(), Failure> {
    if !is_name(name) {
        return Err(Failure::usage(format!("`{name}`: names are 1 to 32 of a-z, 0-9 and -")));
    }
    if dir.join(key_file(role)).exists() {
        let what = format!("{} has a key already; choose another folder", dir.display());
        return Err(Failure::usage(what));
    }
    let data = if role == MemberRole::Centre { dir.join("data") } else { dir.to_owned() };
    fs::create_dir_all(&data).map_err(|error| Failure::file(&data, &error))?;
    let own = new_identity(&dir.join(key_file(role)))?;
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let (name, listen) = (text(name), text(listen));
    let head = match role {
        MemberRole::Centre => {
            Key::create(&dir.join("data.key"))?;
            format!(
                "# A centre's node. Members and dealer are written by  konsil node accept.\n\
                 name = {name}\nnetwork = \"\"\nlisten = {listen}\n\
                 # the data set that studies run on\ndataset = \"patients\"\n"
            )
        }
        _ => format!("# The dealer.\nnetwork = \"\"\nlisten = {listen}\n"),
    };
    if role != MemberRole::Researcher {
        write_private(&dir.join("konsil.toml"), head.as_bytes())?;
    }
    screen.note(&format!(
        "✓ {}\n  words of its key  {}\nNext: konsil {} join INVITE -C {}",
        dir.display(),
        words_of(&own),
        program(role),
        dir.display()
    ));
    Ok(())
}

fn join(
    path: &Path,
    address: Option<String>,
    (dir, role): (&Path, MemberRole),
    screen: &Screen,
) -> Result<(), Failure> {
    let invitation: Invitation = read(path)?;
    let (invite, network) = check_invite(&invitation, today())?;
    if invite.role != role {
        let what = format!(
            "the invite is for a {};  konsil {} join",
            invite.role.word(),
            program(invite.role)
        );
        return Err(Failure::usage(what));
    }
    let listen = match role {
        MemberRole::Centre => {
            let config: NodeConfig = konsil_node::read_toml(&dir.join("konsil.toml"))?;
            if config.name != invite.name {
                let what =
                    format!("the invite is for `{}`, this is `{}`", invite.name, config.name);
                return Err(Failure::coded("K0663", what));
            }
            config.listen
        }
        MemberRole::Dealer => {
            konsil_node::read_toml::<DealerConfig>(&dir.join("konsil.toml"))?.listen
        }
        _ => String::new(),
    };
    let address = address.unwrap_or(listen);
    if address.starts_with("0.0.0.0:") || address.ends_with(":0") {
        let what = format!("nobody can reach {address} from elsewhere; say --address HOST:PORT");
        return Err(Failure::usage(what));
    }
    let identity = key(&dir.join(key_file(role)))?;
    let own = identity.public_key().to_string();
    let body = Join {
        network: network.name.clone(),
        nonce: invite.nonce.clone(),
        name: invite.name.clone(),
        key: own.clone(),
        address,
    };
    let out = dir.join("join.json");
    write(&out, &sign(JOIN, body, &identity)?)?;
    write(&dir.join("invite.json"), &invitation)?;
    screen.table(&format!(
        "Network   {} version {} · invite valid until {}\nThis is   {}  {}",
        network.name,
        network.version,
        invite.valid_to,
        invite.name,
        words_of(&own)
    ));
    show_words(network.members.iter(), screen);
    screen.note(&format!(
        "✓ {}\nNext: send it to the administrator and read the words of `{}` out by phone; then  konsil {} accept network.json",
        out.display(), invite.name, program(role)
    ));
    screen.json_line(&json!({"schema": "konsil.join.v1", "network": network.name,
        "version": network.version, "name": invite.name, "words": words_of(&own)}));
    Ok(())
}

fn show_words<'a>(members: impl Iterator<Item = &'a Member>, screen: &Screen) {
    for it in members {
        screen.table(&format!("    {:<10} {:<16} {}", it.role.word(), it.name, words_of(&it.key)));
    }
}

fn accept(
    path: &Path,
    yes: bool,
    (dir, role): (&Path, MemberRole),
    screen: &Screen,
) -> Result<(), Failure> {
    let chain = read_chain(path)?;
    let network = verify(&chain)?;
    let accepted = accepted(dir)?;
    continues(&chain, &accepted.0)?;
    let name = accepted.1.map_or_else(|| own_name(dir, role), Ok)?;
    let own = network.member(&name).filter(|it| it.role == role).ok_or_else(|| {
        let what = format!("version {} lists no {} `{name}`", network.version, role.word());
        Failure::coded("K0663", format!("{what}; ask the administrator"))
    })?;
    let turned = turned_key(dir, role, own)?;
    let before = accepted.0.last().filter(|_| dir.join("network.json").exists());
    let lines = changes(before.map(|it| &it.body), network);
    screen.note(&format!("Network {} version {}", network.name, network.version));
    lines.iter().for_each(|line| screen.note(&format!("  {line}")));
    let is_new = |it: &&Member| before.and_then(|old| old.body.member(&it.name)) != Some(it);
    let is_key_new = |it: &&Member| {
        let old = before.and_then(|old| old.body.member(&it.name));
        it.name != name && old.is_none_or(|old| old.key != it.key)
    };
    if network.members.iter().any(|it| is_new(&it)) {
        screen.note("Words of keys that are new here, to compare by phone:");
        show_words(network.members.iter().filter(is_key_new), screen);
    }
    if !yes && !lines.is_empty() {
        confirm("is this what you expect, and do all words match?", screen)?;
    }
    if role == MemberRole::Researcher {
        write_toml(&dir.join("network.toml"), &researcher_file(network, &name)?)?;
    } else {
        write_members(&dir.join("konsil.toml"), network, role)?;
    }
    if turned {
        let (next, now) = (dir.join("next.key"), dir.join(key_file(role)));
        fs::rename(&next, &now).map_err(|error| Failure::file(&next, &error))?;
    }
    write(&dir.join("network.json"), &chain)?;
    warn_of_rules(dir, network, role, screen);
    screen.note(&format!("✓ version {} taken over; restart the node to use it", network.version));
    screen.json_line(&json!({"schema": "konsil.accept.v1", "network": network.name,
        "version": network.version, "changes": lines}));
    Ok(())
}

/// What was taken over before: versions, and the own name where an invite tells it.
fn accepted(dir: &Path) -> Result<(Vec<Signed<Network>>, Option<String>), Failure> {
    let (now, invite) = (dir.join("network.json"), dir.join("invite.json"));
    let invitation = invite.exists().then(|| read::<Invitation>(&invite)).transpose()?;
    let name = invitation.as_ref().map(|it| it.invite.body.name.clone());
    if now.exists() {
        return Ok((read_chain(&now)?, name));
    }
    let Some(invitation) = invitation else {
        let what = "this folder has answered no invite, and so cannot tell this network from \
                    another one;  konsil node join INVITE  first";
        return Err(Failure::coded("K0663", what));
    };
    Ok((invitation.network, name))
}

fn own_name(dir: &Path, role: MemberRole) -> Result<String, Failure> {
    if role == MemberRole::Centre {
        return Ok(konsil_node::read_toml::<NodeConfig>(&dir.join("konsil.toml"))?.name);
    }
    Err(Failure::coded("K0663", "invite.json is missing, which tells this member's name"))
}

/// Whether the network lists this folder's next key rather than the present one.
fn turned_key(dir: &Path, role: MemberRole, own: &Member) -> Result<bool, Failure> {
    let present = key(&dir.join(key_file(role)))?.public_key().to_string();
    if present == own.key {
        return Ok(false);
    }
    let next = dir.join("next.key");
    if next.exists() && key(&next)?.public_key().to_string() == own.key {
        return Ok(true);
    }
    let what = format!(
        "the network lists for `{}` a key that is not in this folder ({}); nothing was changed. \
         Call the administrator",
        own.name,
        words_of(&own.key)
    );
    Err(Failure::coded("K0661", what))
}

/// A centre may be stricter than the network, not laxer: then it refuses every study.
fn warn_of_rules(dir: &Path, network: &Network, role: MemberRole, screen: &Screen) {
    if role != MemberRole::Centre {
        return;
    }
    let Ok(desk) = Desk::open(dir, konsil_node::Clock::system()) else { return };
    let Ok(policy) = desk.own_policy() else { return };
    for what in network.rules.laxer(&policy) {
        screen
            .note(&format!("! K0627 {what}; every study is refused until the policy is corrected"));
    }
}

/// The part of `konsil.toml` that the network decides.
#[derive(Debug, Serialize)]
struct Lists {
    centre: Vec<Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dealer: Option<Peer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    researcher: Vec<Peer>,
}

/// Writes members into a configuration and keeps everything else, comments too.
fn write_members(path: &Path, network: &Network, role: MemberRole) -> Result<(), Failure> {
    let fail = |what: String| Failure::from(NodeError::File { path: path.to_owned(), what });
    let is_centre = role == MemberRole::Centre;
    let some = |role| network.with_role(role).map(peer).collect::<Vec<Peer>>();
    let lists = Lists {
        centre: some(MemberRole::Centre),
        dealer: some(MemberRole::Dealer).pop().filter(|_| is_centre),
        researcher: if is_centre { some(MemberRole::Researcher) } else { Vec::new() },
    };
    let lists = toml::to_string_pretty(&lists).map_err(|error| fail(error.to_string()))?;
    let old = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let new = with_members(&old, &network.name, &lists);
    let rest = |text: &str| {
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        table.retain(|name, _| !["network", "centre", "dealer", "researcher"].contains(&name));
        Ok::<_, Failure>(table)
    };
    if rest(&old)? != rest(&new)? {
        let what = "[[centre]], [dealer] and [[researcher]] cannot be exchanged without touching \
                    other lines; move them to the end of the file";
        return Err(fail(what.to_owned()));
    }
    Ok(write_private(path, new.as_bytes())?)
}

/// A configuration's text with another network: its lists stand at the end.
fn with_members(old: &str, name: &str, lists: &str) -> String {
    let is_list = |line: &str| {
        ["[[centre]]", "[dealer]", "[[researcher]]"].iter().any(|it| line.starts_with(it))
    };
    let mut text = String::new();
    let (mut skips, mut in_head, mut named) = (false, true, false);
    for line in old.lines() {
        let start = line.trim_start();
        if start.starts_with('[') {
            in_head = false;
            skips = is_list(start);
        }
        let is_name = in_head
            && start.strip_prefix("network").is_some_and(|it| it.trim_start().starts_with('='));
        if is_name {
            text.push_str(&format!("network = \"{name}\"\n"));
            named = true;
        } else if !skips {
            text.push_str(line);
            text.push('\n');
        }
    }
    let head = if named { String::new() } else { format!("network = \"{name}\"\n") };
    format!("{head}{}\n\n{lists}", text.trim_end())
}

fn rotate(dir: &Path, role: MemberRole, screen: &Screen) -> Result<(), Failure> {
    let chain = read_chain(&dir.join("network.json"))?;
    let network = verify(&chain)?;
    let present = key(&dir.join(key_file(role)))?;
    let old_key = present.public_key().to_string();
    let own = network.members.iter().find(|it| it.key == old_key);
    let own = own.ok_or_else(|| Failure::usage("the network lists another key for this folder"))?;
    let next = dir.join("next.key");
    let new_key =
        if next.exists() { key(&next)?.public_key().to_string() } else { new_identity(&next)? };
    let body = Rotation {
        network: network.name.clone(),
        name: own.name.clone(),
        old_key,
        new_key: new_key.clone(),
    };
    let out = dir.join("rotation.json");
    write(&out, &sign(ROTATION, body, &present)?)?;
    screen.note(&format!(
        "✓ {}\n  words of the next key  {}\nNext: send it to the administrator, who runs  konsil network rotate rotation.json;\n  this node goes on with its present key until  konsil {} accept network.json",
        out.display(),
        words_of(&new_key),
        program(role)
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What a person has written into the configuration stays, word by word.
    #[test]
    fn members_are_exchanged_and_the_rest_stays() {
        let old = "# ours\nname = \"north\"\nnetwork = \"\"  # none yet\n\n[policy]\nthreshold = 20 # strict\n[[centre]]\nname = \"x\"\nkey = \"y\"\n[budget]\nyears = 1\n[dealer]\nname = \"d\"\nkey = \"e\"\n";
        let new = with_members(old, "net", "[[centre]]\nname = \"n\"\nkey = \"k\"\n");
        assert_eq!(
            new,
            "# ours\nname = \"north\"\nnetwork = \"net\"\n\n[policy]\nthreshold = 20 # strict\n[budget]\nyears = 1\n\n[[centre]]\nname = \"n\"\nkey = \"k\"\n"
        );
        assert_eq!(with_members(&new, "net", "[[centre]]\nname = \"n\"\nkey = \"k\"\n"), new);
    }
}
