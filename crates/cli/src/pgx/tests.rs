//! Made-up tables in CPIC's layout; the real ones where the shared data are there.

use super::*;
use clap::Parser;

fn tables() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "diplotype-table.csv",
        "Gene,Diplotype,Phenotype\nGENA,*1/*1,Normal Metabolizer\nGENA,*1/*2,Intermediate Metabolizer\n\
         GENA,*2/*2,Poor Metabolizer\n",
    );
    write(
        "recommendation-table.csv",
        "Drug,Gene1,Phenotype1,Gene2,Phenotype2,Recommendation\n\
         onedrug,GENA,Poor Metabolizer,None,None,\"Avoid it, take another.\"\n\
         onedrug,GENA,Normal Metabolizer,None,None,None\n\
         twodrug,GENA,Poor Metabolizer,GENB,Normal Metabolizer,Half the dose.\n",
    );
    write(
        "allele-table.csv",
        "Gene,StarAllele,ActivityScore\nGENB,*1,1\nGENB,*2,0.5\nGENB,*3,N/A\nOTHER,*1,much\n",
    );
    write(
        "equation-table.csv",
        "Gene,Phenotype,Equation\nGENB,Poor Metabolizer,0 <= score < 1\n\
         GENB,Intermediate Metabolizer,1 <= score < 2\nGENB,Normal Metabolizer,2 == score\n",
    );
    folder
}

fn run(folder: &Path, more: &[&str]) -> Result<(), Failure> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: PgxOptions,
    }
    let tables = folder.to_string_lossy().into_owned();
    let words = ["pgx", "--tables", &tables];
    let line = Line::parse_from(words.iter().chain(more));
    pgx(&line.options, &Screen::new(&Parser::parse_from(["konsil", "-q", "explain"])))
}

// A phenotype of another diplotype means another dose.
#[test]
fn diplotypes_have_their_phenotypes() {
    let folder = tables();
    let tables = Tables::read(folder.path()).unwrap();
    let phenotype = |gene: &str, it: &str| tables.phenotype(gene, it);
    assert_eq!(phenotype("GENA", "*1/*2").unwrap(), "Intermediate Metabolizer");
    assert_eq!(phenotype("GENA", " *2 / *1").unwrap(), "Intermediate Metabolizer");
    assert_eq!(phenotype("GENA", "*9/*1"), None);
    assert_eq!(phenotype("GENB", "*2/*1").unwrap(), "Intermediate Metabolizer");
    assert_eq!(phenotype("GENB", "*1/*1").unwrap(), "Normal Metabolizer");
    assert_eq!(phenotype("GENB", "*1/*3").unwrap(), "Indeterminate");
    assert_eq!(phenotype("GENB", "*1"), None);
    let of = |list: &[(&'static str, &str)], drugs: &[&str]| -> Vec<String> {
        let list: Vec<(&str, String)> = list.iter().map(|(a, b)| (*a, (*b).to_owned())).collect();
        let drugs: Vec<String> = drugs.iter().map(|it| (*it).to_owned()).collect();
        let found = tables.recommendations(&list, &drugs);
        found.into_iter().map(|(drug, text)| format!("{drug}: {text}")).collect()
    };
    let poor = ("GENA", "Poor Metabolizer");
    assert_eq!(of(&[poor], &[]), ["onedrug: Avoid it, take another."]);
    let both = [poor, ("GENB", "Normal Metabolizer")];
    assert_eq!(of(&both, &[]).len(), 2);
    assert_eq!(of(&both, &["TwoDrug"]), ["twodrug: Half the dose."]);
    assert!(of(&[("GENA", "Normal Metabolizer")], &[]).is_empty());
}

#[test]
fn a_file_of_patients_gets_columns() {
    let folder = tables();
    let file = folder.path().join("patients.csv");
    let out = folder.path().join("out.csv");
    std::fs::write(&file, "pid,a,b\n1,*2/*2,*1/*1\n2,,*2/*2\n").unwrap();
    let (file, out) = (file.to_string_lossy().into_owned(), out.to_string_lossy().into_owned());
    let line = ["GENA=a", "GENB=b", "--drug", "twodrug", "--file", &file, "--out", &out];
    run(folder.path(), &line).unwrap();
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        "pid,a,b,GENA.phenotype,GENB.phenotype,twodrug.recommendation\n\
         1,*2/*2,*1/*1,Poor Metabolizer,Normal Metabolizer,Half the dose.\n\
         2,,*2/*2,,Intermediate Metabolizer,\n"
    );
    // an error names the place, never the patient's alleles
    std::fs::write(&file, "pid,a,b\n1,*2/*2,*1/*1\n2,*77/*1,*2/*2\n").unwrap();
    let failure = run(folder.path(), &line).unwrap_err();
    assert!(failure.text.contains("line 3, column 2") && !failure.text.contains("*77"));
}

#[test]
fn wrong_questions_and_tables_say_what_is_wrong() {
    let folder = tables();
    let failure = |line: &[&str]| run(folder.path(), line).unwrap_err().text;
    assert!(failure(&["GENA"]).contains("write GENE=DIPLOTYPE"));
    assert!(failure(&["GENX=*1/*1"]).contains("no gene `GENX` (they have GENA, GENB)"));
    assert!(failure(&["GENA=*1/*9"]).contains("`*1/*9` of GENA is not in the tables"));
    assert!(failure(&["GENA=*1/*1", "GENA=*1/*2"]).contains("given twice"));
    assert!(failure(&["GENA=*1/*1", "--drug", "x"]).contains("no drug `x`"));
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("equation-table.csv", "Gene,Phenotype,Equation\nGENB,Poor,score about 2\n");
    let text = failure(&["GENA=*1/*1"]);
    assert!(text.contains("equation-table.csv: line 2: Equation"), "{text}");
    std::fs::remove_file(folder.path().join("equation-table.csv")).unwrap();
    run(folder.path(), &["GENA=*1/*1"]).unwrap();
    write("diplotype-table.csv", "Gene,Phenotype\nGENA,Poor\n");
    assert!(failure(&["GENA=*1/*1"]).contains("line 1: there is no column Diplotype"));
    std::fs::remove_file(folder.path().join("diplotype-table.csv")).unwrap();
    assert!(failure(&["GENA=*1/*1"]).contains("diplotype-table.csv"));
}
