//! Who sees what of a centre's pages: a table of roles and paths, held against a file; passwords,
//! decisions, sessions.

use crate::pages::{PASSWORD, Pages, cookie, lab_with_accounts};
use crate::process::konsil;
use std::fmt::Write;

/// Everything that can be asked for, besides what is not there.
const PATHS: [&str; 24] = [
    "/",
    "/login",
    "/demo",
    "/oidc/start",
    "/oidc/back",
    "/inbox",
    "/requests/1",
    "/datasets",
    "/policy",
    "/budget",
    "/node",
    "/audit",
    "/transparency",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/v1/studies",
    "/api/v1/requests",
    "/api/v1/requests/1",
    "/api/v1/budgets",
    "/api/v1/node",
    "/api/v1/audit",
    "/api/v1/audit/verification",
];

#[test]
fn each_role_sees_its_own_pages() {
    let lab = lab_with_accounts();
    let network = ["--network", "lab/network.toml"];
    lab.konsil(&[&["submit", "study.toml"], &network[..]].concat()).exits(0);
    let pages = Pages::start(&lab.centre(crate::lab::CENTRES[0]), &["node", "pages"]);
    let people = [
        ("nobody", String::new()),
        ("steward", pages.sign_in("eva")),
        ("admin", pages.sign_in("jon")),
    ];
    let mut table = String::from("path,nobody,steward,admin\n");
    for path in PATHS {
        let statuses =
            people.iter().map(|(_, session)| pages.get(path, session).status.to_string());
        writeln!(table, "{path},{}", statuses.collect::<Vec<_>>().join(",")).unwrap();
    }
    let expected = include_str!("../roles.csv");
    assert_eq!(table, expected);
    // nothing of another role is named on a page
    let steward = pages.get("/inbox", &people[1].1);
    assert!(steward.body.contains("href=\"/policy\"") && !steward.body.contains("href=\"/node\""));
    let public = pages.get("/transparency", "");
    assert!(!public.body.contains("/inbox") && !public.body.contains("/audit"));
    for path in ["/requests/1", "/requests/999", "/requests/x", "/static/../accounts.toml"] {
        let seen = pages.get(path, &people[2].1);
        assert!([303, 400, 403, 404].contains(&seen.status), "{path}: {}", seen.status);
        assert!(!seen.body.contains("argon2id"));
    }
}

/// Names and passwords: wrong ones are refused alike, and after some tries a name waits; an account that is
/// taken away is out at once.
#[test]
fn signing_in_and_out() {
    let lab = lab_with_accounts();
    let folder = lab.centre(crate::lab::CENTRES[0]);
    let pages = Pages::start(&folder, &["node", "pages"]);
    let right = format!("password={}", PASSWORD.replace(' ', "+"));
    let known = pages.form("/login", "", "name=eva&password=wrong+horse+battery");
    let unknown = pages.form("/login", "", "name=nobody&password=wrong+horse+battery");
    assert_eq!((known.status, unknown.status), (401, 401));
    assert!(known.body.contains("do not fit") && unknown.body.contains("do not fit"));
    let foreign = "Sec-Fetch-Site: cross-site\r\n";
    assert_eq!(pages.form("/login", foreign, &format!("name=eva&{right}")).status, 401);
    let entered = pages.form("/login", "", &format!("name=eva&{right}"));
    let set = entered.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let session = cookie(&entered);
    let csrf = pages.get("/inbox", &session).csrf();
    pages.form("/logout", &session, "csrf=00");
    assert_eq!(pages.get("/inbox", &session).status, 200);
    pages.form("/logout", &session, &format!("csrf={csrf}"));
    assert_eq!(pages.get("/inbox", &session).status, 303);
    let session = pages.sign_in("jon");
    konsil(&folder, &["node", "account", "remove", "jon"]).exits(0);
    assert_eq!(pages.get("/node", &session).status, 303);
    // a new password ends the sessions of the old one, a new sign-in that before it
    let session = pages.sign_in("ida");
    let again = pages.form("/login", &session, &format!("name=ida&{right}"));
    assert_eq!(pages.get("/inbox", &session).status, 303);
    let session = cookie(&again);
    assert_eq!(pages.get("/inbox", &session).status, 200);
    let file = lab.path("password").display().to_string();
    let words = ["node", "account", "add", "ida", "--role", "steward", "--password-file", &file];
    konsil(&folder, &words).exits(0);
    assert_eq!(pages.get("/inbox", &session).status, 303);
    // wrong passwords at the policy count as those at the door
    let session = pages.sign_in("eva");
    let csrf = pages.get("/policy", &session).csrf();
    let policy = |password: &str| {
        let body = format!("csrf={csrf}&do=file&text=&password={password}");
        pages.form("/policy", &session, &body).body
    };
    for _ in 0..5 {
        assert!(policy("wrong+horse+battery").contains("is not the one"));
    }
    assert!(policy(&PASSWORD.replace(' ', "+")).contains("wrong too often"));
    for _ in 0..5 {
        pages.form("/login", "", "name=ida&password=wrong+horse+battery");
    }
    let waits = pages.form("/login", "", &format!("name=ida&{right}"));
    assert!(waits.status == 401 && waits.body.contains("Wait"), "{waits:?}");
    let log = konsil(&folder, &["audit", "log", "--json"]).exits(0).out;
    assert!(log.contains("sign-in-refused") && !log.contains("wrong horse"), "{log}");
    let list = konsil(&folder, &["node", "account", "list", "--json"]).exits(0).out;
    assert!(list.contains("eva") && !list.contains("jon") && !list.contains("argon2"), "{list}");
    konsil(&folder, &["node", "account", "remove", "jon"]).exits(2);
    let open = ["node", "pages", "--listen", "0.0.0.0:0"];
    konsil(&folder, &open).exits(1).says(&["TLS"]);
}

/// A decision is signed with the steward's key, and only with the password once more.
#[test]
fn stewards_decide_on_the_page() {
    let lab = lab_with_accounts();
    let network = ["--network", "lab/network.toml"];
    lab.konsil(&[&["submit", "study.toml"], &network[..]].concat()).exits(0);
    let folder = lab.centre(crate::lab::CENTRES[0]);
    let pages = Pages::start(&folder, &["node", "pages"]);
    let session = pages.sign_in("eva");
    let page = pages.get("/requests/1", &session);
    let csrf = page.csrf();
    assert!(page.body.contains("value=\"approve\""), "{}", page.body);
    let decide = |session: &str, body: &str| pages.form("/requests/1", session, body);
    let password = PASSWORD.replace(' ', "+");
    assert_eq!(decide(&session, &format!("csrf=0&do=approve&password={password}")).status, 403);
    let wrong = decide(&session, &format!("csrf={csrf}&do=approve&password=x"));
    assert!(wrong.body.contains("password is not"), "{}", wrong.body);
    let no_note = decide(&session, &format!("csrf={csrf}&do=decline&password={password}"));
    assert!(no_note.body.contains("Write in the note"));
    // an account without a steward's key signs nothing
    let other = pages.sign_in("ida");
    let csrf_other = pages.get("/requests/1", &other).csrf();
    let keyless = decide(&other, &format!("csrf={csrf_other}&do=approve&password={password}"));
    assert!(keyless.body.contains("no steward"), "{}", keyless.body);
    let odd = "note=%3Cb%3Efine%3C%2Fb%3E";
    let done = decide(&session, &format!("csrf={csrf}&do=approve&{odd}&password={password}"));
    assert_eq!(done.status, 303, "{done:?}");
    let after = pages.get("/requests/1", &session);
    assert!(after.body.contains("value=\"revoke\"") && !after.body.contains("<b>fine"));
    let list = konsil(&folder, &["request", "list"]).exits(0).out;
    assert!(list.contains("approved"), "{list}");
    // the policy: a laxer or broken one stays out
    let csrf = pages.get("/policy", &session).csrf();
    let form = |threshold: u32| {
        let numbers = "centres_min=3&approval_days=7&refusals_per_day=9";
        let body =
            format!("csrf={csrf}&do=form&threshold={threshold}&{numbers}&password={password}");
        pages.form("/policy", &session, &body)
    };
    let saved = form(10);
    assert!(saved.body.contains("The policy is in force"), "{}", saved.body);
    let policy = konsil(&folder, &["policy", "show"]).exits(0).out;
    assert!(policy.contains("threshold = 10") && policy.contains("approval_days = 7"), "{policy}");
    // the lab's configuration states rules, so that the file may not state others
    let refused = form(12);
    assert!(refused.body.contains("differs from [policy]"), "{}", refused.body);
    assert_eq!(konsil(&folder, &["policy", "show"]).exits(0).out, policy);
    let broken = format!("csrf={csrf}&do=file&text=nothing%3D1&password={password}");
    let kept = pages.form("/policy", &session, &broken);
    assert!(kept.body.contains("class=\"trouble\""), "{}", kept.body);
    let text = std::fs::read_to_string(folder.join("metrics.token")).unwrap();
    let numbers = pages.get("/metrics", &format!("Authorization: Bearer {text}\r\n"));
    assert!(numbers.body.contains("konsil_requests_pending 0"), "{}", numbers.body);
    let audit = pages.get("/api/v1/audit/verification", &session);
    assert!(audit.status == 200 && audit.body.contains("\"root\""), "{audit:?}");
}
