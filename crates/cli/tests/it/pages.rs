//! The pages and the interface for programs, by plain HTTP: forms from elsewhere, passwords, paths,
//! a study from its text to its result.

use crate::lab::Lab;
use crate::process::{command, konsil, until};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Bytes of the longest answer.
const ANSWER_MOST: u64 = 4 << 20;

/// A server of pages; it ends with this value.
pub(crate) struct Pages {
    child: Child,
    pub(crate) host: String,
    pub(crate) token: String,
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|it| it.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The token of the page's forms.
    pub(crate) fn csrf(&self) -> String {
        let after = self.body.split("name=\"csrf\" value=\"").nth(1).unwrap_or_default();
        after.chars().take_while(|it| *it != '"').collect()
    }
}

impl Pages {
    /// Starts a command that serves pages, and reads where.
    pub(crate) fn start(folder: &Path, words: &[&str]) -> Self {
        let mut command = command(folder);
        command.args(words).args(["--listen", "127.0.0.1:0", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap().trim_start_matches("http://");
        let (host, rest) = url.split_once('/').unwrap();
        let token = rest.split_once("token=").map_or("", |(_, it)| it);
        Self { child, host: host.to_owned(), token: token.to_owned() }
    }

    /// A request as it stands.
    pub(crate) fn raw(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // a stream that does not end fails its test
        let mut all = stream.take(ANSWER_MOST);
        all.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        let host = &self.host;
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    pub(crate) fn post(&self, path: &str, headers: &str, (kind, body): (&str, &str)) -> Answer {
        let (host, length) = (&self.host, body.len());
        self.raw(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    pub(crate) fn form(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.post(path, headers, ("application/x-www-form-urlencoded", body))
    }

    /// Signs in; gives the header of the session.
    pub(crate) fn sign_in(&self, name: &str) -> String {
        let body = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        cookie(&self.form("/login", "", &body))
    }
}

/// The header of a session that an answer has begun.
pub(crate) fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("{answer:?}"));
    format!("Cookie: {}\r\n", set.split(';').next().unwrap())
}

/// A lab with a steward at each centre, which is up, and accounts at the first.
pub(crate) fn lab_with_accounts() -> Lab {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    lab.write("dictionary.csv", crate::lab::DICTIONARY);
    let centres = crate::lab::CENTRES.join(",");
    lab.konsil(&["lab", "new", "lab", "--by-hand", "--centres", &centres]).exits(0);
    lab.write("patients.csv", &crate::lab::patients(240, 7));
    lab.import("patients.csv").exits(0);
    lab.write("study.toml", crate::studies::SHORT);
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    lab.write("password", PASSWORD);
    fs::set_permissions(lab.path("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let file = lab.path("password").display().to_string();
    let folder = lab.centre(crate::lab::CENTRES[0]);
    for (name, role, key) in [
        ("eva", "steward", &["--key", "steward.key"][..]),
        ("jon", "admin", &[][..]),
        ("ida", "steward", &[][..]),
    ] {
        let words = ["node", "account", "add", name, "--role", role, "--password-file", &file];
        konsil(&folder, &[&words[..], key].concat()).exits(0);
    }
    konsil(&folder, &["node", "account", "add", "x", "--role", "boss"]).exits(2);
    lab
}

/// A program asks with the token: a plan, a job, its events, its result; the same key is the same job.
#[test]
fn a_program_plans_asks_and_reads_results() {
    let lab = lab_with_accounts();
    let network = ["ui", "--network", "lab/network.toml", "--no-browser", "--folder", "studies"];
    let pages = Pages::start(lab.folder.path(), &network);
    let bearer = format!("Authorization: Bearer {}\r\n", pages.token);
    let file = fs::read_to_string(lab.path("studies/ui.token")).unwrap();
    assert_eq!(file.lines().nth(1), Some(pages.token.as_str()));
    let study = fs::read_to_string(lab.path("study.toml")).unwrap();
    let call = json!({"study": study}).to_string();
    let json_kind = ("application/json", call.as_str());
    for wrong in ["", "Authorization: Bearer 00\r\n"] {
        let refused = pages.post("/api/v1/plans", wrong, json_kind);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("K0905")));
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    let plan = pages.post("/api/v1/plans", &bearer, json_kind).json();
    assert_eq!(plan["clear_patient_bytes"], 0);
    let bad = json!({"study": study.replace("age", "agee")}).to_string();
    let refused = pages.post("/api/v1/plans", &bearer, ("application/json", &bad));
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("agee"));
    for broken in ["", "{", "[]", "{\"study\": 7}"] {
        let refused = pages.post("/api/v1/jobs", &bearer, ("application/json", broken));
        assert_eq!(refused.status, 400, "{broken}: {refused:?}");
    }
    let keyed = format!("{bearer}Idempotency-Key: one\r\n");
    let begun = pages.post("/api/v1/jobs", &keyed, json_kind);
    assert_eq!(begun.status, 202, "{begun:?}");
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(begun.header("location"), Some(format!("/api/v1/jobs/{id}").as_str()));
    assert_eq!(pages.post("/api/v1/jobs", &keyed, json_kind).json()["id"], id.as_str());
    let job = || pages.get(&format!("/api/v1/jobs/{id}"), &bearer).json();
    // all nodes are away for a while, and listen elsewhere then: what waits goes on
    lab.konsil(&["lab", "down", "lab"]).exits(0);
    std::thread::sleep(Duration::from_millis(1500));
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    for centre in crate::lab::CENTRES {
        let asked = || job()["centres"].as_array().unwrap().iter().all(|it| it["request"] != 0);
        assert!(until(Duration::from_secs(20), asked), "{}", job());
        konsil(&lab.centre(centre), &["request", "approve", "1", "--yes"]).exits(0);
    }
    // the stream ends with the job
    let events = pages.get(&format!("/api/v1/jobs/{id}/events"), &bearer);
    assert!(
        events.body.contains("event: job") && events.body.contains("\"released\""),
        "{events:?}"
    );
    let done = job();
    assert_eq!(
        (done["state"].as_str(), done["sent_bytes"].clone()),
        (Some("released"), done["plan"]["sent_bytes"].clone())
    );
    let files = done["files"].as_array().unwrap();
    assert!(
        files.contains(&json!("result.json")) && files.contains(&json!("report.html")),
        "{files:?}"
    );
    let result = pages.get(&format!("/api/v1/jobs/{id}/files/result.json"), &bearer).json();
    assert_eq!(result["schema"], "konsil.run.v1");
    let cancelled = pages.post(&format!("/api/v1/jobs/{id}/cancel"), &bearer, json_kind);
    assert_eq!(cancelled.status, 409);
    for name in ["job.json", "..%2Fjob.json", "%2e%2e%2f%2e%2e%2fui.token", "study.toml%00"] {
        let refused = pages.get(&format!("/api/v1/jobs/{id}/files/{name}"), &bearer);
        assert_eq!(refused.status, 404, "{name}: {refused:?}");
    }
    // the same on the pages, after a new start, with what the report says
    drop(pages);
    let pages = Pages::start(lab.folder.path(), &network);
    let session = cookie(&pages.get(&format!("/enter?token={}", pages.token), ""));
    let page = pages.get(&format!("/jobs/{id}"), &session);
    assert!(page.status == 200 && page.body.contains("id=\"analysis-1\""), "{page:?}");
    let names = ["/api/openapi.json", "/static/konsil.css", "/healthz"];
    assert!(names.iter().all(|it| pages.get(it, "").status == 200));
}

/// The researcher's pages open with the token alone, go to no other place, and change nothing for a form
/// that comes from elsewhere.
#[test]
fn the_researchers_pages_are_the_researchers() {
    let lab = lab_with_accounts();
    let network = ["ui", "--network", "lab/network.toml", "--no-browser", "--folder", "studies"];
    let pages = Pages::start(lab.folder.path(), &network);
    for path in ["/", "/data", "/studies/new", "/jobs/00000000"] {
        assert_eq!(pages.get(path, "").status, 401, "{path}");
    }
    assert_eq!(pages.get("/enter?token=00", "").status, 401);
    let entered = pages.get(&format!("/enter?token={}&to=//elsewhere", pages.token), "");
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let session = cookie(&entered);
    let page = pages.get("/studies/new", &session);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let csrf = page.csrf();
    assert_eq!(csrf.len(), 64);
    let toml = "toml=%5Bstudy%5D%0Aid%3D%22x%22";
    for (headers, token) in [
        (session.clone(), "0".repeat(64)),
        (format!("{session}Sec-Fetch-Site: cross-site\r\n"), csrf.clone()),
    ] {
        for path in ["/jobs", "/studies/new", "/studies/check"] {
            let refused = pages.form(path, &headers, &format!("csrf={token}&{toml}"));
            assert_eq!(refused.status, 403, "{path}");
        }
    }
    // what people write stands on the page as text
    let odd = "title=%3Cscript%3Ealert(1)%3C%2Fscript%3E&kind=glm&what=%22%3E%3Cimg+src%3Dx%3E+~+age&do=add";
    let shown = pages.form("/studies/new", &session, &format!("csrf={csrf}&{odd}"));
    assert_eq!(shown.status, 200);
    assert!(
        !shown.body.contains("<script>alert") && !shown.body.contains("<img"),
        "{}",
        shown.body
    );
    let checked =
        pages.form("/studies/check", &session, &format!("csrf={csrf}&kind=lm&what=age+~+agee"));
    assert!(checked.body.contains("did you mean"), "{}", checked.body);
    let foreign = pages.raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(foreign.status, 421);
    let german = pages.get("/", &format!("{session}Accept-Language: de\r\n"));
    assert!(german.body.contains("Ihre Studien") && german.body.contains("lang=\"de\""));
    // others cannot reach it
    let outside = konsil(
        lab.folder.path(),
        &["ui", "--network", "lab/network.toml", "--no-browser", "--listen", "0.0.0.0:0"],
    );
    outside.exits(1).says(&["loopback"]);
}
