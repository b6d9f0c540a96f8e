//! Polygenic scores of a lab's patients.

use crate::geno;
use crate::lab::CENTRES;

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
