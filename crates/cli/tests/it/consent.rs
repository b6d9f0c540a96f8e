//! Consent and opting out, asked anew at every run.

use crate::lab::{CENTRES, Lab, patients};
use crate::process::Ran;

const STUDY: &str = "[study]\nid = \"age\"\npurpose = \"dementia\"\n[[analysis]]\nkind = \"summary\"\nvariables = [\"age\"]\n";

/// How many patients had a value.
fn patients_of(ran: &Ran) -> i32 {
    let text = ran.json()["analyses"][0]["tables"][0]["rows"][0][2].to_string();
    text.trim_end_matches(".0").parse().unwrap()
}

fn run(lab: &Lab, out: &str) -> Ran {
    lab.write("age.toml", STUDY);
    lab.konsil(&["lab", "run", "lab", "age.toml", "--out", out, "--json"])
}

/// Identifiers of a centre's patients.
fn of_centre(centre: &str) -> Vec<String> {
    of_centre_of(centre, 61)
}

fn of_centre_of(centre: &str, seed: u64) -> Vec<String> {
    let text = patients(360, seed);
    let rows = text.lines().skip(1).filter(|row| row.starts_with(centre));
    rows.map(|row| row.split(',').nth(1).unwrap().to_owned()).collect()
}

// Cases 50 to 52: only who has consented to the purpose counts, a withdrawal works from the next run
// on, what cannot be understood leaves its person out, a list that cannot be read stops everything.
#[test]
fn only_who_consents_is_in_a_run_and_withdrawal_works_from_the_next() {
    let lab = Lab::with_patients(360, 61);
    assert_eq!(patients_of(&run(&lab, "all").exits(0)), 360);
    let first = CENTRES[0];
    let folder = lab.centre(first);
    let dir = folder.to_string_lossy().into_owned();
    let policy = |text: &str| std::fs::write(folder.join("policy.toml"), text).unwrap();
    policy("consent_required = true\n");
    // nobody at the first centre has said anything: two centres are too few
    run(&lab, "none").exits(6).says(&["K0501"]);
    let ids = of_centre(first);
    let mut table = "id,purpose,from,to\n".to_owned();
    for (at, id) in ids.iter().enumerate() {
        let row = match at {
            0..20 => format!("{id},cancer,2020-01-01,\n"),
            20..40 => format!("{id},dementia,2020-01-01,2021-01-01\n"),
            40 => format!("{id},dementia,soon,\n"),
            _ => format!("{id},dementia,2020-01-01,\n"),
        };
        table.push_str(&row);
    }
    lab.write("consent.csv", &table);
    let imported = lab.konsil(&["consent", "import", "consent.csv", "-C", &dir, "--json"]).exits(0);
    assert_eq!(imported.json()["flaws"], 1);
    assert_eq!(patients_of(&run(&lab, "some").exits(0)), 360 - 41);
    lab.write("ids.txt", &ids[60..85].join("\n"));
    lab.konsil(&["consent", "withdraw", "--id-file", "ids.txt", "-C", &dir]).exits(0);
    assert_eq!(patients_of(&run(&lab, "fewer").exits(0)), 360 - 41 - 25);
    policy("consent_required = true\nopt_out = \"out.txt\"\n");
    run(&lab, "unreachable").exits(5).says(&["K0650", "out.txt"]);
    std::fs::write(folder.join("out.txt"), ids[90..115].join("\n")).unwrap();
    assert_eq!(patients_of(&run(&lab, "out").exits(0)), 360 - 41 - 50);
}

// Who has withdrawn is out of the next run, also where a centre's policy does not ask for consent.
#[test]
fn a_withdrawal_holds_whatever_the_policy_asks_for() {
    let lab = Lab::with_patients(360, 67);
    let dir = lab.centre(CENTRES[1]).to_string_lossy().into_owned();
    lab.write("ids.txt", &of_centre(CENTRES[1])[10..35].join("\n"));
    lab.konsil(&["consent", "withdraw", "--id-file", "ids.txt", "-C", &dir]).exits(0);
    assert_eq!(patients_of(&run(&lab, "fewer").exits(0)), 335);
}

// Case 50 through files: a newer export is the truth. Who no longer permits, by a missing row or a
// resource that is no longer active, is out from the next run on; what was forbidden stays forbidden.
// Case 51: contradictions are counted at the centre. Files that may hide anybody's withdrawal, and
// lists that nobody can be found on, are refused whole.
#[test]
fn a_newer_export_takes_the_place_of_the_older_one() {
    let lab = Lab::with_patients(360, 64);
    let folder = lab.centre(CENTRES[0]);
    let dir = folder.to_string_lossy().into_owned();
    std::fs::write(folder.join("policy.toml"), "consent_required = true\n").unwrap();
    let ids = of_centre_of(CENTRES[0], 64);
    let all = 360 - i32::try_from(ids.len()).unwrap();
    let import = |name: &str, text: &str, more: &[&str]| {
        lab.write(name, text);
        let import = ["consent", "import", name, "-C", &dir, "--json"];
        lab.konsil(&[&import[..], more].concat())
    };
    let resource = |id: &String, status: &str, kind: &str| {
        let provision = |code: u8| {
            format!(
                r#"{{"type":"{kind}","period":{{"start":"2020-01-01"}},"code":[{{"coding":[{{"code":"2.16.840.1.113883.3.1937.777.24.5.3.{code}"}}]}}]}}"#
            )
        };
        format!(
            r#"{{"resourceType":"Consent","status":"{status}","patient":{{"identifier":{{"value":"{id}"}}}},"provision":{{"type":"deny","provision":[{},{}]}}}}"#,
            provision(6),
            provision(8)
        )
    };
    let export = |inactive: usize, denied: usize| {
        let line = |(at, id): (usize, &String)| match at {
            _ if at < inactive => resource(id, "inactive", "permit"),
            _ if at < inactive + denied => resource(id, "active", "deny"),
            _ => resource(id, "active", "permit"),
        };
        ids.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    };
    let used = |out: &str| patients_of(&run(&lab, out).exits(0)) - all;
    let known = i32::try_from(ids.len()).unwrap();
    import("all.ndjson", &export(0, 0), &[]).exits(0);
    assert_eq!(used("all"), known);
    let entries = export(25, 22).replace('\n', "},{\"resource\":");
    let bundle = format!("{{\"resourceType\":\"Bundle\",\"entry\":[{{\"resource\":{entries}}}]}}");
    import("later.json", &bundle, &["--format", "fhir"]).exits(0);
    assert_eq!(used("later"), known - 25 - 22);
    // an export that permits everything again does not undo what was forbidden
    import("all.ndjson", &export(0, 0), &[]).exits(0);
    assert_eq!(used("again"), known - 22);
    let show = ["consent", "show", "--purpose", "dementia", "-C", &dir, "--json"];
    let shown = lab.konsil(&show).exits(0).json();
    assert_eq!(
        (&shown["counts"]["denied"], &shown["counts"]["contradictory"]),
        (&22.into(), &22.into())
    );
    // nothing of a file that may hide somebody's withdrawal is taken over
    import("cut.ndjson", &export(30, 0)[..4000], &[]).exits(10).says(&["K0651", "line"]);
    import("odd.csv", "id;purpose\n", &[]).exits(10).says(&["K0651", "header"]);
    lab.write("none.txt", "");
    let withdraw = ["consent", "withdraw", "--id-file", "none.txt", "-C", &dir];
    lab.konsil(&withdraw).exits(10).says(&["K0652"]);
    assert_eq!(used("same"), known - 22);
    let policy = "consent_required = true\nopt_out = \"out.csv\"\n";
    std::fs::write(folder.join("policy.toml"), policy).unwrap();
    let list = format!("\u{feff}id,since\n{}", ids[47..69].join(",2024-01-01\n"));
    std::fs::write(folder.join("out.csv"), list).unwrap();
    assert_eq!(used("out"), known - 44);
    std::fs::write(folder.join("out.csv"), "").unwrap();
    run(&lab, "empty").exits(5).says(&["K0650", "out.csv"]);
}

// A patient who has withdrawn and signs anew, on a later day, is in again where the centre's policy says
// so, and only there; the next withdrawal works again. One that is not newer changes nothing.
#[test]
fn who_signs_anew_is_in_again_where_policy_says_so() {
    let lab = Lab::with_patients(360, 65);
    let folder = lab.centre(CENTRES[0]);
    let dir = folder.to_string_lossy().into_owned();
    let careful = "consent_required = true\n";
    let renewing = "consent_required = true\nrenewed_consent = true\n";
    let policy = |text: &str| std::fs::write(folder.join("policy.toml"), text).unwrap();
    policy(renewing);
    let ids = of_centre_of(CENTRES[0], 65);
    let (all, known) = (360, i32::try_from(ids.len()).unwrap());
    let import = |rows: &mut dyn Iterator<Item = String>| {
        let table = format!("id,purpose,from,to,signed\n{}", rows.collect::<String>());
        lab.write("consent.csv", &table);
        lab.konsil(&["consent", "import", "consent.csv", "-C", &dir, "--json"]).exits(0);
    };
    let permit = |id: &String, day: &str| format!("{id},*,{day},,{day}\n");
    import(&mut ids.iter().map(|id| permit(id, "2020-01-01")));
    assert_eq!(patients_of(&run(&lab, "all").exits(0)), all);
    // denials of 2024 of 30 patients, of whom 25 sign anew in 2025; 5 papers are older
    let denials = ids[..30].iter().map(|id| format!("{id},!*,2020-01-01,,2024-03-01\n"));
    let old = ids[25..].iter().map(|id| permit(id, "2020-01-01"));
    let new = ids[..25].iter().map(|id| permit(id, "2025-01-01"));
    import(&mut denials.chain(old).chain(new));
    let show = ["consent", "show", "--purpose", "dementia", "-C", &dir, "--json"];
    let counts = || lab.konsil(&show).exits(0).json()["counts"].clone();
    assert_eq!((&counts()["renewed"], &counts()["denied"]), (&25.into(), &5.into()));
    policy(careful);
    assert_eq!((&counts()["renewed"], &counts()["denied"]), (&0.into(), &30.into()));
    assert_eq!(patients_of(&run(&lab, "careful").exits(0)), all - 30);
    policy(renewing);
    assert_eq!(counts()["permitted"], known - 5);
    // withdrawn again, today
    lab.write("ids.txt", &ids[..25].join("\n"));
    lab.konsil(&["consent", "withdraw", "--id-file", "ids.txt", "-C", &dir]).exits(0);
    assert_eq!(patients_of(&run(&lab, "again").exits(0)), all - 30);
}

// With noise every patient is charged; whose own budget is used up is left out, untold; what the
// cohort's budget does not allow is not computed.
#[test]
fn patients_with_a_full_counter_are_left_out_and_budgets_end() {
    let lab = Lab::with_patients(360, 62);
    let noise = |id: &str, variable: &str| {
        let text = format!(
            "[study]\nid = \"{id}\"\n[release]\nepsilon = 0.5\n[[analysis]]\nkind = \"table1\"\nvariables = [\"{variable}\"]\n"
        );
        lab.write("noise.toml", &text);
        lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", id, "--json"])
    };
    let limit = |centre: &str, line: &str| {
        let path = lab.centre(centre).join("konsil.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("[budget]\n", &format!("[budget]\n{line}\n"))).unwrap();
    };
    // epsilon 0.5 at delta 1e-6 is a rho of 0.0044
    let spent = || {
        let dir = lab.centre(CENTRES[0]).to_string_lossy().into_owned();
        lab.konsil(&["budget", "show", "-C", &dir, "--json"]).exits(0).json()
    };
    let free = noise("free", "sex").exits(0);
    let before = spent();
    let same = noise("same", "sex").exits(0);
    // the same question to the same patients has the same answer, whatever it is called, for nothing
    assert_eq!(free.json()["analyses"][0]["tables"], same.json()["analyses"][0]["tables"]);
    assert_eq!(free.json()["planned_bytes"], free.json()["sent_bytes"]);
    assert_eq!(before, spent());
    limit(CENTRES[0], "patient_rho = \"0.005\"");
    let first = noise("first", "arm").exits(0);
    assert_ne!(before, spent());
    // of another question two centres are left: too few
    noise("next", "died").exits(6).says(&["K0501"]);
    // patients whose budget is used up are still in the answer that they have paid for
    let again = noise("again", "arm").exits(0);
    assert_eq!(first.json()["analyses"][0]["tables"], again.json()["analyses"][0]["tables"]);
    assert!(first.json()["analyses"][0]["tables"][0]["rows"].as_array().unwrap().len() > 2);
    // another centre's patients change: the answer is new, and there is no budget for it
    let folder = lab.centre(CENTRES[1]);
    std::fs::write(folder.join("policy.toml"), "opt_out = \"out.txt\"\n").unwrap();
    let out = of_centre_of(CENTRES[1], 62)[..15].join("\n");
    std::fs::write(folder.join("out.txt"), out).unwrap();
    noise("changed", "arm").exits(5).says(&["another centre's data have changed"]);
    let lab = Lab::with_patients(360, 63);
    let path = lab.centre(CENTRES[1]).join("konsil.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let limited = text.replace("[budget]\n", "[budget]\nlineage_year_rho = \"0.006\"\n");
    std::fs::write(&path, limited).unwrap();
    let noise = "[study]\nid = \"n\"\n[release]\nepsilon = 0.5\n[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n";
    lab.write("noise.toml", noise);
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "one"]).exits(0);
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "two"]).exits(0);
    lab.write("noise.toml", &noise.replace("sex", "arm"));
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "three"]).exits(7).says(&["K0640"]);
}
