//! Relatives and linkage in a lab: what each centre is told, and what the researcher's files say.

use crate::geno;
use crate::lab::CENTRES;
use std::fmt::Write as _;
use std::fs;

const VARIANTS: usize = 200;
const PEOPLE: usize = 60;
const STUDY: &str = "[study]\nid = \"s\"\n[[analysis]]\nid = \"kin\"\nkind = \"relatives\"\n\
                     panel = \"panel.tsv\"\nkinship = 0.4\n[[analysis]]\nid = \"ld\"\nkind = \"ld\"\n\
                     panel = \"panel.tsv\"\nwindow = 5\nr2 = 0.5\n";

/// PLINK files of 60 people who are nobody's relatives, but for two who are the same.
fn write_genotypes(lab: &crate::lab::Lab, same: (usize, usize)) {
    let mut state = 9_u64;
    let mut allele = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::from(state >> 33 & 3 > 1)
    };
    let (mut bim, mut bed) = (String::new(), vec![0x6c, 0x1b, 1]);
    let mut before = Vec::new();
    for variant in 0..VARIANTS {
        let chromosome = 1 + variant / 100;
        let _fits = writeln!(bim, "{chromosome} v{variant} 0 {} G A", 1000 + 10 * variant);
        let mut copies: Vec<usize> = (0..PEOPLE).map(|_| allele() + allele()).collect();
        copies[same.1] = copies[same.0];
        // two neighbours that are alike, and two that only seem to be neighbours
        if variant == 42 || variant == 100 {
            copies.clone_from(&before);
        }
        let code = |copies: &usize| [0b11_u8, 0b10, 0b00][*copies];
        let bytes = copies.chunks(4).map(|four| {
            four.iter().enumerate().fold(0, |byte, (at, it)| byte | code(it) << (2 * at))
        });
        bed.extend(bytes);
        before = copies;
    }
    lab.write("all.bim", &bim);
    fs::write(lab.path("all.bed"), bed).unwrap();
}

// Only the later centre of a pair learns that it has a relative, and who; a scan without them follows.
#[test]
fn the_later_centre_learns_who_has_a_relative() {
    let lab = geno::lab();
    let links = fs::read_to_string(lab.path("links.csv")).unwrap();
    let of = |centre: &str| links.lines().skip(1).position(|it| it.ends_with(centre)).unwrap();
    let network = lab.path("lab/network.toml");
    let network = fs::read_to_string(network).unwrap();
    let place = |centre: &str| network.find(&format!("\"{centre}\"")).unwrap();
    let (first, second) = (CENTRES[0], CENTRES[1]);
    let later = if place(first) < place(second) { second } else { first };
    write_genotypes(&lab, (of(first), of(second)));
    lab.write("study.toml", STUDY);
    lab.konsil(&["geno", "panel", "all.bim"]).exits(0);
    let split = ["lab", "geno", "lab", "--panel", "panel.tsv", "--split-by", "links.csv:centre"];
    lab.konsil(&[&split[..], &["all.bed"]].concat()).exits(0);
    let told = |centre: &str, more: &[&str]| {
        let folder = lab.centre(centre).to_str().unwrap().to_owned();
        lab.konsil(&[&["geno", "relatives", "-C", &folder], more].concat())
    };
    told(first, &[]).exits(2).says(&["no study has looked for relatives"]);
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "out"]).exits(0);
    for text in ["their number is not shown", "1 linked pairs · 199 of 200 variants kept"] {
        assert!(ran.out.contains(text), "{ran:?}");
    }
    for centre in CENTRES {
        let marked = usize::from(centre == later);
        told(centre, &[]).exits(0).says(&[&format!("{marked} of 20 people have a relative")]);
    }
    told(later, &["--id-map", "links.csv", "--out", "kept.csv"]).exits(0);
    let kept = fs::read_to_string(lab.path("kept.csv")).unwrap();
    assert_eq!(kept.lines().count(), PEOPLE);
    let left_out = format!("G{},", of(later));
    assert!(!kept.contains(&left_out) && links.contains(&left_out), "{kept}");
    // pairs of one chromosome only; the list that is kept has one of them
    let linked = fs::read_to_string(lab.path("out/ld.linked.tsv")).unwrap();
    assert!(linked.starts_with("##panel="), "{linked}");
    assert!(linked.contains("##r2=0.5\n##window=5\n#CHROM\tPOS_A"), "{linked}");
    assert!(linked.ends_with("\n1\t1410\tv41\tA\tG\t1420\tv42\tA\tG\n"), "{linked}");
    assert_eq!(fs::read_to_string(lab.path("out/ld.prune.out")).unwrap(), "v42\n");
    assert_eq!(fs::read_to_string(lab.path("out/ld.prune.in")).unwrap().lines().count(), 199);
    // some variants, by that list
    let study = STUDY.replace("kinship", "among = \"out/ld.prune.in\"\nkinship");
    lab.write("study.toml", &study.replace("window", "among = \"out/ld.prune.out\"\nwindow"));
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "out"]).exits(0);
    assert!(ran.out.contains("0 linked pairs · 1 of 1 variants kept"), "{ran:?}");
    lab.write("out/ld.prune.in", "v1\nv999\n");
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "out"]);
    ran.exits(2).says(&["ld.prune.in, line 2: the panel has no variant `v999`"]);
}
