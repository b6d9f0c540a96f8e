//! An ID token: who signed it, for whom, and whom it names (OpenID Connect Core 1.0, section 3.1.3.7).

use crate::sessions::same;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// Signatures that are taken: those with a public key. With a shared secret every client could sign.
const TAKEN: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
    /// The claim that names the person.
    pub(super) claim: &'a str,
}

/// Keys that may have signed: the one that the token names, else all.
fn keys<'a>(keys: &'a JwkSet, id: Option<&str>) -> Vec<&'a Jwk> {
    match id {
        Some(id) => keys.find(id).into_iter().collect(),
        None => keys.keys.iter().collect(),
    }
}

/// The name in a token that is as expected.
pub(super) fn name_of(
    token: &str,
    set: &JwkSet,
    expected: &Expected<'_>,
) -> Result<String, String> {
    let wrong = |what: &str| format!("the sign-in server's token is not taken: {what}");
    let head = decode_header(token).map_err(|_| wrong("it is none"))?;
    if !TAKEN.contains(&head.alg) {
        return Err(wrong("it is not signed with a public key"));
    }
    let mut validation = Validation::new(head.alg);
    validation.set_audience(&[expected.client]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let mut reason = "its key is not one of the server's".to_owned();
    for key in keys(set, head.kid.as_deref()) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(data) => return person(&data.claims, expected).map_err(|what| wrong(&what)),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(wrong(&reason))
}

/// Who is named, of claims whose signature, issuer, audience and time are right.
fn person(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<String, String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !text("nonce").is_some_and(|it| same(it, expected.nonce)) {
        return Err("it belongs to another sign-in".to_owned());
    }
    if text("azp").is_some_and(|it| it != expected.client) {
        return Err("it was made for another program".to_owned());
    }
    // an address that the server has not verified may be anybody's
    if expected.claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return Err("its address is not verified".to_owned());
    }
    let name = text(expected.claim).filter(|it| !it.is_empty());
    name.map(str::to_owned).ok_or_else(|| format!("it has no claim `{}`", expected.claim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW_SECRET: &[u8] = b"a secret that every client has";

    fn expected() -> Expected<'static> {
        Expected { issuer: "https://sso", client: "konsil", nonce: "n", claim: "email" }
    }

    fn claims(change: (&str, Value)) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://sso", "aud": "konsil", "sub": "1", "nonce": "n", "email": "eva@a",
            "exp": jsonwebtoken::get_current_timestamp() + 60,
        });
        claims[change.0] = change.1;
        claims.as_object().cloned().unwrap()
    }

    #[test]
    fn a_token_of_a_shared_secret_or_of_nobody_is_not_taken() {
        let signed = |alg| {
            let key = EncodingKey::from_secret(NOW_SECRET);
            encode(&Header::new(alg), &claims(("azp", json!("konsil"))), &key).unwrap()
        };
        let set = JwkSet { keys: Vec::new() };
        let said = name_of(&signed(Algorithm::HS256), &set, &expected()).unwrap_err();
        assert!(said.contains("public key"), "{said}");
        // {"alg":"none"}
        assert!(name_of("eyJhbGciOiJub25lIn0.e30.", &set, &expected()).is_err());
        assert!(name_of("", &set, &expected()).is_err());
    }

    /// A server's key, and the set that it shows.
    fn server(id: &str) -> (EncodingKey, JwkSet) {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
        let key = EncodingKey::from_ed_der(pair.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        (key, JwkSet { keys: vec![jwk] })
    }

    #[test]
    fn a_token_is_of_the_servers_key_for_this_program_and_now() {
        let (key, set) = server("one");
        let (other, _) = server("one");
        let head = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let said = |change, key: &EncodingKey| {
            name_of(&encode(&head, &claims(change), key).unwrap(), &set, &expected())
        };
        assert_eq!(said(("sub", json!("1")), &key), Ok("eva@a".to_owned()));
        assert!(said(("sub", json!("1")), &other).is_err(), "another key of the same name");
        let past = jsonwebtoken::get_current_timestamp() - 3600;
        for change in [
            ("aud", json!("mail")),
            ("aud", json!(["mail", "calendar"])),
            ("iss", json!("https://other")),
            ("exp", json!(past)),
            ("nbf", json!(past + 7200)),
            ("sub", json!(null)),
        ] {
            let name = change.0;
            assert!(said(change, &key).is_err(), "{name}");
        }
        let unknown = Header { kid: Some("two".to_owned()), ..head.clone() };
        let token = encode(&unknown, &claims(("sub", json!("1"))), &key).unwrap();
        assert!(name_of(&token, &set, &expected()).unwrap_err().contains("not one of"));
    }

    #[test]
    fn a_person_is_of_this_sign_in_and_this_program() {
        let of = |name, value| person(&claims((name, value)), &expected());
        assert_eq!(of("azp", json!("konsil")), Ok("eva@a".to_owned()));
        for (name, value, words) in [
            ("nonce", json!("other"), "another sign-in"),
            ("nonce", json!(null), "another sign-in"),
            ("azp", json!("mail"), "another program"),
            ("email_verified", json!(false), "not verified"),
            ("email", json!(""), "no claim"),
        ] {
            assert!(of(name, value).unwrap_err().contains(words));
        }
    }
}
