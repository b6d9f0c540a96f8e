//! Accounts of a centre: a file of names, roles and kept passwords in its folder.

use crate::error::WebError;
use crate::passwords::{fits, keep};
use konsil_node::{read_toml, write_toml};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file.
const FILE: &str = "accounts.toml";
/// Letters of the longest name.
pub(crate) const NAME_MOST: usize = 64;

/// What somebody may do at a centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Decides on requests, sets the policy.
    Steward,
    /// Looks after the node and its log.
    Admin,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "steward" => Ok(Self::Steward),
            "admin" => Ok(Self::Admin),
            _ => Err("a role is steward or admin".to_owned()),
        }
    }
}

/// Somebody who may sign in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The name to sign in with.
    pub name: String,
    /// What the person may do.
    pub roles: Vec<Role>,
    /// The steward's key with which decisions are signed: a file, from the centre's folder on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// What the centre's sign-in server calls the person; without it only the password lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
    /// What is kept of the password; nothing for an account without.
    #[serde(default)]
    password: String,
}

/// An account to be made.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// The name to sign in with: letters, digits and `-_.@`.
    pub name: &'a str,
    /// `None` for somebody who signs in elsewhere and decides nothing.
    pub password: Option<&'a str>,
    /// What the person may do.
    pub roles: &'a [Role],
    /// The steward's key, from the centre's folder on.
    pub key: Option<&'a Path>,
    /// What the centre's sign-in server calls the person.
    pub oidc: Option<&'a str>,
}

impl std::fmt::Debug for NewAccount<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewAccount[{} {:?}]", self.name, self.roles)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account[{} {:?}]", self.name, self.roles)
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    #[serde(default)]
    account: Vec<Account>,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) key: Option<PathBuf>,
    /// What the account was made of: sessions of an earlier password end with it.
    pub(crate) mark: Option<[u8; 32]>,
}

impl Account {
    fn who(self) -> Who {
        let kept = [self.password.as_str(), self.oidc.as_deref().unwrap_or_default()].join("\n");
        let mark = Some(Sha256::digest(kept).into());
        Who { name: self.name, roles: self.roles, key: self.key, mark }
    }
}

impl Who {
    pub(crate) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

fn read(folder: &Path) -> Result<Accounts, WebError> {
    let path = folder.join(FILE);
    if path.exists() { Ok(read_toml(&path)?) } else { Ok(Accounts::default()) }
}

/// All accounts of a centre's folder.
///
/// # Errors
/// [`WebError::Node`] for a file that cannot be read.
pub fn read_accounts(folder: &Path) -> Result<Vec<Account>, WebError> {
    Ok(read(folder)?.account)
}

/// Makes an account, or gives one of the same name another password, roles and key.
///
/// # Errors
/// [`WebError::Account`] for a name or password that cannot be taken, [`WebError::Node`].
pub fn add_account(folder: &Path, new: &NewAccount<'_>) -> Result<(), WebError> {
    let NewAccount { name, password, roles, key, oidc } = *new;
    let plain = |c: char| c.is_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.chars().count() > NAME_MOST || !name.chars().all(plain) {
        let what = "a name has 1 to 64 letters, digits and -_.@";
        return Err(WebError::Account(what.to_owned()));
    }
    if roles.is_empty() {
        return Err(WebError::Account("give a role: --role steward or --role admin".to_owned()));
    }
    if password.is_none() && (oidc.is_none() || key.is_some()) {
        let what = "who has no password signs in elsewhere (--oidc) and decides nothing (no --key)";
        return Err(WebError::Account(what.to_owned()));
    }
    let mut accounts = read(folder)?;
    accounts.account.retain(|it| it.name != name);
    if let Some(other) =
        accounts.account.iter().find(|it| oidc.is_some() && it.oidc.as_deref() == oidc)
    {
        return Err(WebError::Account(format!("`{}` has this name of --oidc already", other.name)));
    }
    let password = password.map(keep).transpose()?.unwrap_or_default();
    let (key, oidc) = (key.map(Path::to_owned), oidc.map(str::to_owned));
    let (name, roles) = (name.to_owned(), roles.to_vec());
    accounts.account.push(Account { name, roles, key, oidc, password });
    Ok(write_toml(&folder.join(FILE), &accounts)?)
}

/// Takes an account away; whether it was there.
///
/// # Errors
/// [`WebError::Node`].
pub fn remove_account(folder: &Path, name: &str) -> Result<bool, WebError> {
    let mut accounts = read(folder)?;
    let before = accounts.account.len();
    accounts.account.retain(|it| it.name != name);
    let gone = accounts.account.len() < before;
    if gone {
        write_toml(&folder.join(FILE), &accounts)?;
    }
    Ok(gone)
}

/// Who has this name and password. It takes as long for a name that is not there.
pub(crate) fn check(folder: &Path, name: &str, password: &str) -> Option<Who> {
    let accounts = read(folder).unwrap_or_default();
    let account = accounts.account.into_iter().find(|it| it.name == name);
    let kept = account.as_ref().map(|it| it.password.as_str());
    let fits = fits(password, kept);
    account.filter(|_| fits).map(Account::who)
}

/// Whose account has this name at the centre's sign-in server.
pub(crate) fn of_oidc(folder: &Path, name: &str) -> Option<Who> {
    let accounts = read(folder).ok()?.account;
    accounts.into_iter().find(|it| it.oidc.as_deref() == Some(name)).map(Account::who)
}

/// The same as it is now: an account that was taken away has no rights left.
pub(crate) fn current(folder: &Path, name: &str) -> Option<Who> {
    read(folder).ok()?.account.into_iter().find(|it| it.name == name).map(Account::who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_made_changed_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let words = "correct horse battery";
        let new =
            |name, password, roles| NewAccount { name, password, roles, key: None, oidc: None };
        let add = |name, password, roles| add_account(at, &new(name, Some(password), roles));
        let steward = new("anna", Some(words), &[Role::Steward]);
        add_account(at, &NewAccount { key: Some(Path::new("k")), ..steward }).unwrap();
        add("bert", words, &[Role::Admin]).unwrap();
        assert!(check(at, "anna", words).is_some_and(|it| it.is(Role::Steward)));
        assert!(
            check(at, "anna", "wrong horse battery").is_none()
                && check(at, "carl", words).is_none()
        );
        add("anna", "another horse here", &[Role::Admin]).unwrap();
        assert!(check(at, "anna", words).is_none());
        assert_eq!(read_accounts(at).unwrap().len(), 2);
        let shown = format!("{:?}", read_accounts(at).unwrap());
        assert!(!shown.contains("argon2id"), "{shown}");
        assert!(remove_account(at, "bert").unwrap() && !remove_account(at, "bert").unwrap());
        assert!(current(at, "bert").is_none() && current(at, "anna").is_some());
        for (name, password) in [("", words), ("an na", words), ("anna", "short")] {
            assert!(add(name, password, &[Role::Admin]).is_err());
        }
        assert!(add("carl", words, &[]).is_err());
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(at.join(FILE)).unwrap().permissions(),
        );
        assert_eq!(mode & 0o077, 0);
    }
    // Who signs in elsewhere has no password here, and none lets in.
    #[test]
    fn an_account_of_a_sign_in_server_needs_no_password_and_decides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let roles = &[Role::Admin];
        let dora =
            NewAccount { name: "dora", password: None, roles, key: None, oidc: Some("dora@a") };
        add_account(at, &dora).unwrap();
        assert!(of_oidc(at, "dora@a").is_some_and(|it| it.name == "dora"));
        assert!(of_oidc(at, "dora").is_none() && of_oidc(at, "").is_none());
        assert!(check(at, "dora", "").is_none());
        let key = Some(Path::new("k"));
        assert!(add_account(at, &NewAccount { key, ..dora }).is_err());
        assert!(add_account(at, &NewAccount { oidc: None, ..dora }).is_err());
        assert!(add_account(at, &NewAccount { name: "eva", ..dora }).is_err());
    }
}
