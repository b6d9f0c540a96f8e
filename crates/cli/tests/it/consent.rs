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
    let text = patients(360, 61);
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

// With noise every patient is charged; whose own budget is used up is left out, untold; what the
// cohort's budget does not allow is not computed.
#[test]
fn patients_with_a_full_counter_are_left_out_and_budgets_end() {
    let lab = Lab::with_patients(360, 62);
    let noise = |id: &str| {
        let text = format!(
            "[study]\nid = \"{id}\"\n[release]\nepsilon = 0.5\n[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n"
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
    limit(CENTRES[0], "patient_rho = \"0.005\"");
    let first = noise("first").exits(0);
    let again = noise("again");
    // two centres are left: too few
    again.exits(6).says(&["K0501"]);
    assert!(first.json()["analyses"][0]["tables"][0]["rows"].as_array().unwrap().len() > 2);
    let lab = Lab::with_patients(360, 63);
    let path = lab.centre(CENTRES[1]).join("konsil.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let limited = text.replace("[budget]\n", "[budget]\nlineage_year_rho = \"0.006\"\n");
    std::fs::write(&path, limited).unwrap();
    let noise = "[study]\nid = \"n\"\n[release]\nepsilon = 0.5\n[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n";
    lab.write("noise.toml", noise);
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "one"]).exits(0);
    lab.konsil(&["lab", "run", "lab", "noise.toml", "--out", "two"]).exits(7).says(&["K0640"]);
}
