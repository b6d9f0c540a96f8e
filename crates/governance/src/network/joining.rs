//! How a member joins, and how it exchanges its key.

use super::{INVITE, JOIN, Member, MemberRole, Network, NetworkError, ROTATION, is_key, is_name};
use crate::signing::{Signed, hash_of};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// An administrator's leave to join under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Name of the network.
    pub network: String,
    /// Hash of the version that the new member is shown.
    pub network_hash: String,
    /// The new member's name.
    pub name: String,
    /// What it will do.
    pub role: MemberRole,
    /// 32 hexadecimal digits; an invite is used once.
    pub nonce: String,
    /// Last day.
    pub valid_to: Date,
}

/// An invite with the network that it invites to: one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// The invite.
    pub invite: Signed<Invite>,
    /// All versions of the network so far.
    pub network: Vec<Signed<Network>>,
}

/// A new member's answer, signed by its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Name of the network.
    pub network: String,
    /// The invite's nonce.
    pub nonce: String,
    /// Its name.
    pub name: String,
    /// Its public key, 64 hexadecimal digits.
    pub key: String,
    /// `host:port`; empty where nobody connects to it.
    pub address: String,
}

/// A key's consent to be followed by another, signed by the old key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Name of the network.
    pub network: String,
    /// Whose key.
    pub name: String,
    /// The key until now.
    pub old_key: String,
    /// The key from now on.
    pub new_key: String,
}

/// Checks an invitation on a day and gives the invite and the network as it is now.
///
/// # Errors
/// [`NetworkError`] of the network, or of the invite.
pub fn check_invite(
    invitation: &Invitation,
    today: Date,
) -> Result<(&Invite, &Network), NetworkError> {
    let network = super::verify(&invitation.network)?;
    let Signed { body: invite, signer, .. } = &invitation.invite;
    if !network.admins.contains(signer) || invitation.invite.verified(INVITE).is_err() {
        let what = "the invite was changed, or is not signed by an administrator of its network";
        return Err(NetworkError::Joining(what));
    }
    if invite.network != network.name || invite.network_hash != hash_of(network)? {
        return Err(NetworkError::Joining("the invite belongs to another network or version"));
    }
    if !is_name(&invite.name) {
        return Err(NetworkError::Joining("the invited name is no name of a member"));
    }
    if invite.valid_to < today {
        return Err(NetworkError::InviteExpired(invite.valid_to));
    }
    Ok((invite, network))
}

/// Checks a join request against the invite that it answers.
///
/// # Errors
/// [`NetworkError::Joining`], [`NetworkError::InviteExpired`].
pub fn check_join<'a>(
    join: &'a Signed<Join>,
    invite: &Invite,
    today: Date,
) -> Result<&'a Join, NetworkError> {
    let body = &join.body;
    if join.signer != body.key || join.verified(JOIN).is_err() {
        return Err(NetworkError::Joining(
            "the join request was changed, or is not signed by its own key",
        ));
    }
    let answers = body.nonce == invite.nonce
        && body.name == invite.name
        && body.network == invite.network
        && is_key(&body.key);
    if !answers {
        return Err(NetworkError::Joining("the join request answers another invite"));
    }
    if invite.valid_to < today {
        return Err(NetworkError::InviteExpired(invite.valid_to));
    }
    Ok(body)
}

/// Checks the consent of a member's key to be followed by another.
///
/// # Errors
/// [`NetworkError::Joining`].
pub fn check_rotation<'a>(
    rotation: &'a Signed<Rotation>,
    network: &str,
    member: &Member,
) -> Result<&'a Rotation, NetworkError> {
    let body = &rotation.body;
    let holds = rotation.signer == member.key
        && rotation.verified(ROTATION).is_ok()
        && body.old_key == member.key
        && body.name == member.name
        && body.network == network
        && is_key(&body.new_key);
    if holds {
        Ok(body)
    } else {
        let what = "the exchange of keys was changed, or is not signed by the member's present key";
        Err(NetworkError::Joining(what))
    }
}
