//! Polygenic scores of a lab's patients.

use crate::geno;
use crate::lab::{CENTRES, HEADER, Lab, patients};

const SCORE: &str = "#pgs_name=test\n#genome_build=GRCh38\nrsID\tchr_name\tchr_position\teffect_allele\t\
                     other_allele\teffect_weight\nrs1\t1\t100\tG\tA\t3\nrs9\t7\t1\tA\tC\t1\n";
const STUDY: &str =
    "[study]\nid = \"s\"\n[[analysis]]\nid = \"a\"\nkind = \"summary\"\nvariables = [\"crp\"]\n";

// Each centre keeps its patients' scores as a variable; the patients together have the mean that their
// genotypes make, which is what a study of the score starts from.
#[test]
fn a_score_becomes_a_variable() {
    let lab = geno::lab();
    lab.write("score.txt", SCORE);
    lab.write("study.toml", STUDY);
    lab.konsil(&["geno", "panel", "all.bim", "--build", "GRCh38"]).exits(0);
    let apply = |centre: &str, more: &[&str]| {
        let folder = lab.centre(centre).to_str().unwrap().to_owned();
        lab.konsil(&[&["prs", "apply", "score.txt", "-C", &folder], more].concat())
    };
    apply("ahorn", &["--variable", "crp"]).exits(1).says(&["geno"]);
    let split = ["lab", "geno", "lab", "--panel", "panel.tsv", "--split-by", "links.csv:centre"];
    lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    for centre in CENTRES {
        let ran = apply(centre, &["--variable", "crp"]).exits(0);
        let ran = ran
            .says(&["20 of 20 patients have a score, from 1 of 2 variants", "1 not on the panel"]);
        ran.says(&["many variants are missing"]);
    }
    // copies 0, 2, 0, 1 of a weight of 3
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--json"]).exits(0);
    let tables = ran.json()["analyses"][0]["tables"].to_string();
    assert!(tables.contains("2.25"), "{tables}");

    // what does not fit is refused, and nothing is stored
    apply("ahorn", &["--variable", "crq"]).exits(10).says(&["crq", "crp"]);
    apply("ahorn", &["--variable", "age"]).says(&["is no number in the dictionary"]);
    lab.write("score.txt", &SCORE.replace("GRCh38", "hg19"));
    apply("ahorn", &["--variable", "crp"]).exits(2).says(&["GRCh38", "harmonised"]);
    lab.write("score.txt", &SCORE.replace("\t3\n", "\t-3\n"));
    apply("ahorn", &["--variable", "crp"]).says(&["values outside the dictionary's range"]);
    lab.write("score.txt", &SCORE.replace("\t100\t", "\t101\t"));
    apply("ahorn", &["--variable", "crp"]).exits(2).says(&["none of its 2 variants"]);
}

// One command judges a score over all centres: alone, against covariates, and with them, of the same
// patients; or it writes the study, which runs as any other.
#[test]
fn a_score_is_judged_in_one_study() {
    let centres = ["ahorn", "birke", "eiche", "linde"];
    let lab = Lab::of(&centres);
    let rows = patients(800, 11);
    let rows = rows.lines().skip(1).map(|line| line.split_once(',').unwrap().1).enumerate();
    let rows: String = rows.map(|(at, row)| format!("{},{row}\n", centres[at % 4])).collect();
    lab.write("patients.csv", &format!("{HEADER}\n{rows}"));
    lab.import("patients.csv").exits(0);
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let evaluate = |more: &[&str]| {
        let start = ["prs", "evaluate", "crp", "died", "--network", "lab/network.toml"];
        lab.konsil(&[&start[..], more].concat())
    };
    let ran = evaluate(&["--covar", "age", "--out", "judged", "--json"]).exits(0).json();
    let analyses = ran["analyses"].as_array().unwrap();
    let ids: Vec<&str> = analyses.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let wanted =
        ["glm-score", "leave_out-score", "leave_out-covariates", "glm-both", "leave_out-both"];
    assert_eq!(ids, wanted);
    for at in [1, 2, 4] {
        let tables = analyses[at]["tables"].to_string();
        assert!(tables.contains("auc") && tables.contains("slope"), "{tables}");
    }
    assert!(lab.path("judged/report.html").exists());
    evaluate(&["--study", "judge.toml"]).exits(0).says(&["judge.toml  2 analyses"]);
    evaluate(&["--study", "judge.toml"]).exits(2).says(&["judge.toml exists"]);
    evaluate(&["--covar", "agee"]).exits(2).says(&["K0203", "`agee`"]);
    evaluate(&["--covar", "crp"]).exits(2).says(&["stands twice"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
    let study = std::fs::read_to_string(lab.path("judge.toml")).unwrap();
    assert!(study.contains("crp IS NOT NULL"), "{study}");
    lab.konsil(&["lab", "run", "lab", "judge.toml", "--out", "again"]).exits(0);
}

const BROUGHT: &str = "[study]\nid = \"s\"\n[[score]]\nname = \"own\"\nfile = \"score.txt\"\n\
                       panel = \"panel.tsv\"\n[[analysis]]\nid = \"a\"\nkind = \"lm\"\nformula = \"age ~ own\"\n";

// A study brings its score: each centre applies it at home, and nobody's data set has it before or after.
// What does not fit is refused, by the researcher's command or by the centre.
#[test]
fn a_study_brings_a_score() {
    let lab = geno::lab();
    lab.write("score.txt", SCORE);
    lab.write("study.toml", BROUGHT);
    lab.konsil(&["geno", "panel", "all.bim", "--build", "GRCh38"]).exits(0);
    let run = |more: &[&str]| {
        lab.konsil(&[&["lab", "run", "lab", "study.toml", "--json"], more].concat())
    };
    run(&["--out", "none"]).says(&["K0224", "konsil geno import"]);
    let split = ["lab", "geno", "lab", "--panel", "panel.tsv", "--split-by", "links.csv:centre"];
    lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    let brought = run(&["--out", "out"]).exits(0).json();
    // the same as of a variable that the centres keep
    for centre in CENTRES {
        let folder = lab.centre(centre).to_str().unwrap().to_owned();
        lab.konsil(&["prs", "apply", "score.txt", "-C", &folder, "--variable", "crp"]).exits(0);
    }
    lab.write(
        "kept.toml",
        "[study]\nid = \"k\"\n[[analysis]]\nid = \"a\"\nkind = \"lm\"\nformula = \"age ~ crp\"\n",
    );
    let kept = lab.konsil(&["lab", "run", "lab", "kept.toml", "--json", "--out", "kept"]).exits(0);
    let tidy = |it: &serde_json::Value| {
        let rows = it["analyses"][0]["tables"][0]["rows"].as_array().unwrap().clone();
        let numbers = rows.iter().flat_map(|row| row.as_array().unwrap()[1..4].to_vec());
        let numbers: Vec<f64> = numbers.map(|it| it.as_f64().unwrap()).collect();
        (rows[1][0].as_str().unwrap().to_owned(), numbers)
    };
    let ((name, brought), (_, kept)) = (tidy(&brought), tidy(&kept.json()));
    assert_eq!((name.as_str(), brought.len()), ("own", 6));
    for (brought, kept) in brought.iter().zip(&kept) {
        assert!((brought - kept).abs() < 1e-8 * kept.abs(), "{brought} {kept}");
    }
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let plan = lab.konsil(&["plan", "study.toml", "--network", "lab/network.toml", "--json"]);
    let plan = plan.exits(0).json();
    let understood = plan["analyses"][0]["understood"].to_string();
    assert!(understood.contains("own: a score of 1 variants of panel"), "{understood}");
    let evaluate = |more: &[&str]| {
        let network = ["--network", "lab/network.toml", "--dry-run", "--json"];
        lab.konsil(&[&["prs", "evaluate", "score.txt"][..], more, &network].concat())
    };
    let ran = evaluate(&["died", "--panel", "panel.tsv", "--covar", "age"]).exits(0);
    let plan = ran.says(&["1 of 2 variants are on the panel"]).json();
    let ids: Vec<&str> =
        plan["analyses"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["glm-score", "glm-both"]);
    evaluate(&["died"]).exits(2).says(&["`score.txt` is no variable"]);
    evaluate(&["died", "--panel", "panel.tsv", "--name", "crp"]).says(&["K0704", "of this name"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0);

    // a score that is a rare allele picks out two people
    let mut bed = std::fs::read(lab.path("all.bed")).unwrap();
    bed[3..18].fill(0xff);
    bed[3] = 0b11_11_10_10;
    std::fs::write(lab.path("all.bed"), bed).unwrap();
    lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    run(&["--out", "rare"]).says(&["K0502"]);
    lab.write("study.toml", &BROUGHT.replace("age ~ own", "own ~ age"));
    run(&["--out", "left"]).says(&["K0704", "can only be a term"]);
    lab.write("study.toml", &BROUGHT.replace("\"own\"", "\"crp\""));
    run(&["--out", "twice"]).says(&["K0704", "the dictionary has a variable of this name"]);
    lab.write("study.toml", &BROUGHT.replace("panel = \"panel.tsv\"\n", ""));
    run(&["--out", "bare"]).exits(2).says(&["`panel` names the panel's file"]);
    lab.write("study.toml", BROUGHT);
    lab.write("score.txt", &SCORE.replace("GRCh38", "hg19"));
    run(&["--out", "build"]).exits(2).says(&["harmonised"]);
    lab.write("score.txt", SCORE);
    let panel = std::fs::read_to_string(lab.path("panel.tsv")).unwrap();
    lab.write("panel.tsv", &panel.replace("\trs3\t", "\trs4\t"));
    run(&["--out", "other"]).says(&["K0224", "another panel"]);
}
