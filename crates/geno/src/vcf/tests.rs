//! Lines of a VCF: what is read, and what is refused with its place.

use super::*;
use konsil_kernels::Packed;
use std::fs;

const HEAD: &str = "##fileformat=VCFv4.2\n##contig=<ID=1,length=248956422>\n#CHROM\tPOS\tID\tREF\tALT\t\
                    QUAL\tFILTER\tINFO\tFORMAT\tA\tB_B\tC\n";

type Read = (u32, String, String, Vec<u8>);

fn read_with(text: &str, half_call: HalfCall) -> Result<(Vec<Read>, Notes), GenoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.vcf");
    fs::write(&path, text).unwrap();
    let mut vcf = Vcf::open(&path, half_call)?;
    let people = vcf.samples().len();
    let (mut all, mut words) = (Vec::new(), Vec::new());
    while let Some(record) = vcf.next()? {
        let string = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        let (counted, other) = (string(record.counted), string(record.other));
        let position = record.position;
        vcf.genotypes(&mut words)?;
        let packed = Packed::new(people, words.clone()).unwrap();
        assert_eq!((packed.variants(), packed.words()), (1, words.as_slice()));
        let genotypes = (0..people).map(|it| packed.genotype(0, it)).collect();
        all.push((position, counted, other, genotypes));
    }
    Ok((all, vcf.notes()))
}

fn read(lines: &str) -> Result<(Vec<Read>, Notes), GenoError> {
    read_with(&format!("{HEAD}{lines}"), HalfCall::Missing)
}

fn genotypes(line: &str) -> Vec<Vec<u8>> {
    let all = read(&format!("{line}\n")).unwrap().0;
    all.into_iter().map(|it| it.3).collect()
}

#[test]
fn calls_and_doses_are_read() {
    let (all, notes) = read(
        "1\t5\t.\tA\tG\t.\t.\t.\tGT\t0/0\t0|1\t1/1\n\
         X\t6\trs1\tAC\tA,ACC\t9\tPASS\tAF=1\tGT:DP\t0/2:3\t1\t./.:.\n\
         chrUn\t7\t.\tA\t.\t.\t.\t.\tGT\t0/0\t./.\t.\n",
    )
    .unwrap();
    let string = str::to_owned;
    assert_eq!(
        all,
        [
            (5, string("G"), string("A"), vec![0, 1, 2]),
            (6, string("A"), string("AC"), vec![0, 2, 3]),
            (6, string("ACC"), string("AC"), vec![1, 0, 3]),
            (7, string("."), string("A"), vec![0, 3, 3]),
        ]
    );
    assert_eq!(notes, Notes { half_calls: 0, haploid: 2, unclear: 0 });
    // phased with a sign before, as in VCF 4.4; two digits; missing at the end left out
    assert_eq!(genotypes("1\t5\t.\tA\tG\t.\t.\t.\tGT:AD\t|0|1\t/1/1:3\t."), [[1, 2, 3]]);
    let ten = "1\t5\t.\tA\tC,G,T,AA,AC,AG,AT,CA,CC,CG\t.\t.\t.\tGT\t0/10\t10|10\t1/10";
    let found = genotypes(ten);
    assert_eq!((found.len(), &found[0], &found[9]), (10, &vec![0, 0, 1], &vec![1, 2, 1]));
    assert_eq!(genotypes("1\t5\t.\tA\tG\t.\t.\t.\tAD:DS\t1:0.05\t1:1\t2:1.5"), [[0, 1, 3]]);
    assert_eq!(genotypes("1\t5\t.\tA\tG,T\t.\t.\t.\tDS\t0,2\t.\t1.0,."), [[0, 3, 1], [2, 3, 3]]);
    assert_eq!(genotypes("1\t5\t.\tA\tG\t.\t.\t.\tAD:DS\t1\t1:.\t2:2"), [[3, 3, 2]]);
}

#[test]
fn half_calls_are_decided_by_rule() {
    let text = format!("{HEAD}1\t5\t.\tA\tG\t.\t.\t.\tGT\t0/.\t.|1\t1/1\n");
    for (rule, wanted) in [
        (HalfCall::Missing, [3, 3, 2]),
        (HalfCall::Reference, [0, 1, 2]),
        (HalfCall::Haploid, [0, 2, 2]),
    ] {
        let (all, notes) = read_with(&text, rule).unwrap();
        assert_eq!((all[0].3.as_slice(), notes.half_calls), (&wanted[..], 2));
    }
    let error = read_with(&text, HalfCall::Error).unwrap_err();
    assert!(error.code() == "K0126" && error.to_string().contains("line 4: person 1"), "{error}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    let start = "1\t5\t.\tA\tG\t.\t.\t.\t";
    for (line, code, words) in [
        (
            format!("{start}GT\t0/0/1\t0/0\t0/0"),
            "K0126",
            "line 4: person 1: a genotype of more than two",
        ),
        (format!("{start}GT\t0/0\t0/1\t1"), "K0126", "person 3: a genotype of one copy"),
        (format!("{start}GT\t0/2\t0/0\t0/0"), "K0126", "does not have"),
        (format!("{start}GT\t0/x\t0/0\t0/0"), "K0126", "no number"),
        (format!("{start}GT\t0/\t0/0\t0/0"), "K0126", "no number"),
        (format!("{start}GT\t0/99999999999\t0/0\t0/0"), "K0126", "no number"),
        (format!("{start}GT\t0/0\t0/0"), "K0121", "line 4: the line has genotypes of 2 people"),
        (format!("{start}GT\t0/0\t0/0\t0/0\t0/0"), "K0121", "4 people"),
        (format!("{start}DP\t1\t1\t1"), "K0121", "neither"),
        (format!("{start}DS\t3\t1\t1"), "K0126", "between 0 and 2"),
        (format!("{start}DS\tx\t1\t1"), "K0126", "no number"),
        ("1\t5\t.\tA".to_owned(), "K0121", "nine fields"),
        ("1\tx\t.\tA\tG\t.\t.\t.\tGT\t0/0\t0/0\t0/0".to_owned(), "K0121", "position"),
        ("1\t5\t.\t\tG\t.\t.\t.\tGT\t0/0\t0/0\t0/0".to_owned(), "K0121", "empty"),
        ("1\t5\t.\tA\tG,\t.\t.\t.\tGT\t0/0\t0/0\t0/0".to_owned(), "K0121", "empty"),
        (String::new(), "K0121", "nine fields"),
    ] {
        let error = read(&format!("{line}\n")).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for (text, words) in [
        ("", "ends within its header"),
        ("##fileformat=VCFv4.2\n", "line 2: the file ends within"),
        ("#CHROM\tPOS\n", "line 1: a VCF begins"),
        ("\x1f\x00", "line 1: a VCF begins"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\n", "line 2: the header's last line"),
    ] {
        let error = read_with(text, HalfCall::Missing).unwrap_err();
        assert!(error.code() == "K0121" && error.to_string().contains(words), "{error}");
    }
    let long = read(&"A".repeat(LINE_MAX + 1)).unwrap_err();
    assert!(long.code() == "K0127" && long.to_string().contains("line 4"), "{long}");
}
