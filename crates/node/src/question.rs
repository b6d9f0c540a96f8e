//! What is asked of whom. The same question to the same patients gets the same noise; when the
//! patients of any centre, or their values, are others, the noise of every centre is another.
//!
//! Were only the noise of the centre another whose patients have changed, then the noise of all
//! others would cancel in the difference of two answers, and the difference is about the few who
//! have changed. Each centre therefore tells the others a digest that depends on its own secret, its
//! data set and its cohort: they learn whether these are the same as before, and nothing else.

use crate::centre::CentreNode;
use crate::error::NodeError;
use crate::lineage::Cohort;
use konsil_governance::{Study, TOKEN_BYTES};
use konsil_mpc::{Wire, WireError};
use konsil_net::Mesh;
use sha2::{Digest, Sha256};

/// One centre's data and cohort, as the other centres may know them.
pub(crate) type Token = [u8; TOKEN_BYTES];

impl CentreNode {
    /// This centre's token for a study with noise; `None` for exact results.
    pub(crate) fn token(&self, study: &Study, cohort: &Cohort) -> Result<Option<Token>, NodeError> {
        if study.noise_budget().is_none() {
            return Ok(None);
        }
        let mut digest = Sha256::new();
        digest.update(b"konsil cohort token v1\n");
        digest.update(*self.noise_secret()?);
        digest.update(self.desk.dataset_root()?);
        digest.update(cohort.digest());
        Ok(Some(digest.finalize().into()))
    }
}

/// Tells the other centres this one's token and learns theirs: all of them, in the centres' order.
/// Sends [`konsil_governance::token_bytes`].
pub(crate) fn exchange_tokens(mesh: &mut Mesh, mine: &Token) -> Result<Vec<Token>, WireError> {
    let (me, parties) = (mesh.me(), mesh.parties());
    for other in (0..parties).filter(|other| *other != me) {
        mesh.send(other, mine)?;
    }
    let mut tokens = vec![*mine; parties];
    for (other, token) in tokens.iter_mut().enumerate().filter(|(other, _)| *other != me) {
        mesh.receive(other, token)?;
    }
    Ok(tokens)
}

/// What seeds the noise of one analysis, besides each centre's secret: the request without its name,
/// the study's cohort and rules, and every centre's token.
pub(crate) fn question(study: &Study, id: &str, tokens: &[Token]) -> Vec<u8> {
    let request = study.analysis.iter().find(|request| request.id == id);
    let asked = request.map(|it| konsil_analyses::Request { id: String::new(), ..it.clone() });
    serde_json::to_vec(&(asked, &study.cohort, &study.release, tokens)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: &str = "[study]\nid = \"s\"\n[release]\nepsilon = 0.5\n[[analysis]]\n\
        id = \"a\"\nkind = \"table1\"\nvariables = [\"sex\"]\n";

    // One centre's patients change: every centre's noise does. Names change nothing.
    #[test]
    fn every_centres_noise_follows_every_centres_patients() {
        let study = Study::parse(STUDY).unwrap();
        let (before, after) = ([[1; 32], [2; 32], [3; 32]], [[1; 32], [2; 32], [4; 32]]);
        let noise = |tokens: &[Token], secret: u8| {
            let noise = study.noise(&[secret; 32], &question(&study, "a", tokens)).unwrap();
            let query = konsil_disclosure::Query { label: "levels", one_of: 2, sensitivity: 1.0 };
            noise.parts(3, &query, 20).unwrap()
        };
        for secret in 0..3 {
            assert_eq!(noise(&before, secret), noise(&before, secret));
            assert_ne!(noise(&before, secret), noise(&after, secret));
        }
        let renamed = Study::parse(&STUDY.replace("\"a\"", "\"b\"")).unwrap();
        assert_eq!(question(&study, "a", &before), question(&renamed, "b", &before));
        let other = Study::parse(&STUDY.replace("sex", "age")).unwrap();
        assert_ne!(question(&study, "a", &before), question(&other, "a", &before));
    }
}
