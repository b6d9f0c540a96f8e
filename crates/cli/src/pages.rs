//! `konsil node pages` and `konsil node account`: what stewards, administrators and patients see in a
//! browser, and who may sign in.

use crate::failure::Failure;
use crate::request::desk;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use konsil_node::{ask_passphrase, read_passphrase};
use konsil_web::{
    CentreOptions, NewAccount, Role, add_account, read_accounts, remove_account, serve_centre_pages,
};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct PagesOptions {
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
    /// Where the pages are.
    #[arg(long, default_value = "127.0.0.1:7071", value_name = "ADDRESS:PORT")]
    listen: String,
    /// Another name by which browsers call it, such as that of a proxy before it; may be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Browsers come over TLS, by a proxy.
    #[arg(long)]
    behind_tls: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account, or give it another password and roles.
    Add {
        /// The name to sign in with.
        name: String,
        /// What the person may do: steward, admin; may be repeated.
        #[arg(long, required = true, value_name = "ROLE")]
        role: Vec<Role>,
        /// The steward's key with which decisions are signed, from the centre's folder on.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// What the centre's sign-in server (oidc.toml) calls the person, who may then sign in there.
        #[arg(long, value_name = "NAME")]
        oidc: Option<String>,
        /// No password: the person signs in by --oidc only, and decides nothing.
        #[arg(long, requires = "oidc", conflicts_with_all = ["key", "password_file"])]
        no_password: bool,
        /// A file of mode 600 with the password; otherwise it is asked for.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show who may sign in.
    List {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Take an account away; who is signed in with it is out at once.
    Remove {
        /// Its name.
        name: String,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

pub(crate) fn pages(options: &PagesOptions, screen: &Screen) -> Result<(), Failure> {
    desk(&options.dir)?;
    if read_accounts(&options.dir)?.is_empty() {
        screen.note(
            "! nobody can sign in yet:  konsil node account add NAME --role steward --key steward.key",
        );
    }
    let served = CentreOptions {
        listen: options.listen.clone(),
        hosts: options.host.clone(),
        secure: options.behind_tls,
        demo: None,
    };
    let serving = serve_centre_pages(&options.dir, &served)?;
    crate::ui::say(&serving, screen);
    crate::processes::say_ready();
    serving.wait();
    Ok(())
}

pub(crate) fn account(command: AccountCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        AccountCommand::Add { name, role, key, oidc, no_password, password_file, dir } => {
            desk(&dir)?;
            let password = match password_file {
                _ if no_password => None,
                Some(path) => Some(read_passphrase(&path)?),
                None => Some(ask_passphrase(&format!("Password of {name}"))?),
            };
            let password = password.as_ref().map(|it| str::from_utf8(it)).transpose();
            let password =
                password.map_err(|_| Failure::usage("the password is no text in UTF-8"))?;
            if let Some(key) = &key {
                crate::request::open_key(&dir.join(key))?;
            }
            let new = NewAccount {
                name: &name,
                password,
                roles: &role,
                key: key.as_deref(),
                oidc: oidc.as_deref(),
            };
            add_account(&dir, &new)?;
            screen.note(&format!("✓ {name} can sign in"));
            screen.json_line(&json!({"schema": "konsil.account.v1", "name": name, "roles": role}));
            Ok(())
        }
        AccountCommand::List { dir } => {
            desk(&dir)?;
            let accounts = read_accounts(&dir)?;
            for it in &accounts {
                let key = if it.key.is_some() { "signs" } else { "" };
                screen.table(&format!("{:<20} {:?} {key}", it.name, it.roles));
            }
            let list = accounts.iter().map(|it| json!({"name": it.name, "roles": it.roles}));
            let list: Vec<_> = list.collect();
            screen.json_line(&json!({"schema": "konsil.accounts.v1", "accounts": list}));
            Ok(())
        }
        AccountCommand::Remove { name, dir } => {
            desk(&dir)?;
            if !remove_account(&dir, &name)? {
                return Err(Failure::usage(format!("there is no account `{name}`")));
            }
            screen.note(&format!("✓ {name} can no longer sign in"));
            Ok(())
        }
    }
}
