//! A panel from the variants of a file: PLINK's `.bim`, PLINK 2's `.pvar`, or a VCF.

use crate::allele::is_allele;
use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::lines::{Counter, Lines, fields, number, text};
use crate::panel::Panel;
use std::fmt::Write;
use std::path::Path;

/// Bytes of the longest line: a VCF's may have the genotypes of many people.
const LINE_MAX: usize = 256 << 20;

/// Which allele of a `.bim` is the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefAllele {
    /// The first, A1.
    First,
    /// The second, A2, as PLINK writes what it has read from a VCF.
    #[default]
    Second,
}

/// What of a file became a panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Variants of the panel.
    pub kept: usize,
    /// Left out: chromosomes and positions that a panel does not have.
    pub other_places: usize,
    /// Left out: alleles that are no bases, or are not named.
    pub other_alleles: usize,
    /// Left out: the same variant was there before.
    pub duplicates: usize,
}

/// A variant that is to be sorted.
struct Entry {
    chromosome: Chromosome,
    position: u32,
    /// Where name, reference and alternative allele stand, with tabs between.
    begin: usize,
    end: usize,
}

/// Variants so far.
#[derive(Default)]
struct Making {
    entries: Vec<Entry>,
    rest: String,
    made: Made,
    build: Option<Build>,
}

/// Makes a panel from the variants of a file, sorted, each alternative allele with a line of its own.
/// The build is what is given, or what the lengths of a header's contigs say.
///
/// # Errors
/// [`GenoError::File`] with the line for what is no such file, [`GenoError::Build`] where the header
/// says another build than the one given, [`GenoError::Panel`] where nothing is left.
pub fn make_panel(
    file: &Path,
    reference: RefAllele,
    build: Option<Build>,
) -> Result<(Panel, Made), GenoError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".bgz").to_owned();
    let mut making = Making::default();
    let mut lines = Lines::open(file, LINE_MAX, &Counter::default())?;
    if name.ends_with(".bim") {
        making.read_bim(&mut lines, reference)?;
    } else if name.ends_with(".vcf") || name.ends_with(".pvar") {
        making.read_records(&mut lines)?;
    } else {
        let what = "a panel is made from a .bim, .pvar, .vcf or .vcf.gz";
        return Err(GenoError::file(file, Place::Whole, what));
    }
    if let (Some(said), Some(given)) = (making.build, build)
        && said != given
    {
        let what = format!("its contigs have the lengths of {said}, not of {given}");
        return Err(GenoError::Build { file: file.to_owned(), what });
    }
    making.finish(build)
}

impl Making {
    fn read_bim(&mut self, lines: &mut Lines, reference: RefAllele) -> Result<(), GenoError> {
        while lines.next()?.is_some() {
            let wrong = |what: &str| GenoError::file(lines.file(), lines.place(), what);
            let own: Vec<&[u8]> = fields(lines.line()).collect();
            let [chromosome, id, _, position, first, second] = own.as_slice() else {
                return Err(wrong(
                    "a line has six fields: chromosome, name, centimorgan, position, two alleles",
                ));
            };
            let position: i64 =
                number(position).ok_or_else(|| wrong("the position is no whole number"))?;
            let (own, other) = match reference {
                RefAllele::First => (first, second),
                RefAllele::Second => (second, first),
            };
            self.add((chromosome, position), id, own, other);
        }
        Ok(())
    }

    /// Lines with chromosome, position, name, reference and alternative alleles first.
    fn read_records(&mut self, lines: &mut Lines) -> Result<(), GenoError> {
        let mut has_header = false;
        while lines.next()?.is_some() {
            let line = lines.line();
            let wrong = |what: &str| GenoError::file(lines.file(), lines.place(), what);
            if let Some(meta) = line.strip_prefix(b"##") {
                let build = contig(meta).and_then(|(it, length)| Build::of_length(it, length));
                self.build = self.build.or(build);
                continue;
            }
            if !has_header {
                has_header = line.starts_with(b"#CHROM\tPOS\tID\tREF\tALT");
                if !has_header {
                    return Err(wrong(
                        "the line #CHROM POS ID REF ALT, with tabs between, is missing",
                    ));
                }
                continue;
            }
            let own: Vec<&[u8]> = line.splitn(6, |it| *it == b'\t').take(5).collect();
            let [chromosome, position, id, reference, alternatives] = own.as_slice() else {
                return Err(wrong("a line has at least five fields, with tabs between"));
            };
            let position: i64 =
                number(position).ok_or_else(|| wrong("the position is no whole number"))?;
            for alternative in alternatives.split(|it| *it == b',') {
                self.add((chromosome, position), id, reference, alternative);
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        (chromosome, position): (&[u8], i64),
        id: &[u8],
        reference: &[u8],
        alternative: &[u8],
    ) {
        let chromosome = text(chromosome).and_then(Chromosome::parse);
        let position = u32::try_from(position).ok().filter(|it| *it > 0);
        let (Some(chromosome), Some(position)) = (chromosome, position) else {
            self.made.other_places += 1;
            return;
        };
        let (reference, alternative) =
            (reference.to_ascii_uppercase(), alternative.to_ascii_uppercase());
        let alleles = is_allele(&reference) && is_allele(&alternative) && reference != alternative;
        let texts = (text(&reference), text(&alternative));
        let (true, (Some(reference), Some(alternative))) = (alleles, texts) else {
            self.made.other_alleles += 1;
            return;
        };
        // a name that a panel cannot have is none
        let is_odd = |it: char| it.is_control() || it == ' ';
        let is_name = |it: &&str| (1..=256).contains(&it.len()) && !it.contains(is_odd);
        let id = text(id).filter(is_name).unwrap_or(".");
        let begin = self.rest.len();
        let _ = write!(self.rest, "{id}\t{reference}\t{alternative}");
        let end = self.rest.len();
        self.entries.push(Entry { chromosome, position, begin, end });
    }

    fn finish(self, build: Option<Build>) -> Result<(Panel, Made), GenoError> {
        let Self { mut entries, rest, mut made, build: said } = self;
        let text = |it: &Entry| rest.get(it.begin..it.end).unwrap_or_default();
        let alleles = |it: &Entry| text(it).split_once('\t').map_or("", |it| it.1).to_owned();
        let place = |it: &Entry| (it.chromosome, it.position);
        entries.sort_by(|one, other| {
            place(one).cmp(&place(other)).then_with(|| alleles(one).cmp(&alleles(other)))
        });
        let all = entries.len();
        entries.dedup_by(|one, other| place(one) == place(other) && alleles(one) == alleles(other));
        (made.kept, made.duplicates) = (entries.len(), all - entries.len());
        let mut panel = String::with_capacity(rest.len() + 16 * entries.len());
        if let Some(build) = build.or(said) {
            let _ = writeln!(panel, "##build={build}");
        }
        panel.push_str("#CHROM\tPOS\tID\tREF\tALT\n");
        for entry in &entries {
            let (name, position) = (entry.chromosome.name(), entry.position);
            let _ = writeln!(panel, "{name}\t{position}\t{}", text(entry));
        }
        Ok((Panel::parse(panel)?, made))
    }
}

/// Chromosome and length of a line `contig=<ID=chr1,length=248956422>`.
pub(crate) fn contig(meta: &[u8]) -> Option<(Chromosome, u32)> {
    let inner = text(meta)?.strip_prefix("contig=<")?.strip_suffix('>')?;
    let value = |key: &str| inner.split(',').find_map(|it| it.strip_prefix(key));
    Some((Chromosome::parse(value("ID=")?)?, value("length=")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, text: &str, build: Option<Build>) -> Result<(String, Made), GenoError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let made = make_panel(&file, RefAllele::Second, build);
        made.map(|(panel, made)| (panel.text().to_owned(), made))
    }

    #[test]
    fn panels_are_made_of_three_kinds_of_files() {
        let head = "#CHROM\tPOS\tID\tREF\tALT\n";
        let bim = "2 b 0 5 G A\n1 a 0 9 t c\n0 z 0 1 A C\n1 q 0 9 0 C\n1 a2 0 9 T C\nX i 0 3 I D\n";
        let (panel, counts) = made("a.bim", bim, None).unwrap();
        assert_eq!(panel, format!("{head}1\t9\ta\tC\tT\n2\t5\tb\tA\tG\n"));
        assert_eq!(counts, Made { kept: 2, other_places: 1, other_alleles: 2, duplicates: 1 });
        let vcf = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n\
                   chr1\t7\t.\tA\tG,T,*,<DEL>\t.\nchr1\t3\tx;y z\tAT\tA\t.\n";
        let (panel, counts) = made("a.vcf", vcf, None).unwrap();
        assert_eq!(
            panel,
            format!("##build=GRCh38\n{head}1\t3\tx;y z\tAT\tA\n1\t7\t.\tA\tG\n1\t7\t.\tA\tT\n")
                .replace("x;y z", ".")
        );
        assert_eq!(counts, Made { kept: 3, other_places: 0, other_alleles: 2, duplicates: 0 });
        assert_eq!(made("a.vcf", vcf, Some(Build::Grch37)).unwrap_err().code(), "K0125");
        let pvar = "#CHROM\tPOS\tID\tREF\tALT\n26\t5\tm\tA\tG\n";
        let (panel, _) = made("a.pvar", pvar, Some(Build::Grch37)).unwrap();
        assert_eq!(panel, format!("##build=GRCh37\n{head}MT\t5\tm\tA\tG\n"));
    }

    #[test]
    fn what_is_no_list_of_variants_is_refused_by_line() {
        for (name, text, code, words) in [
            ("a.bim", "1 a 0 5 A\n", "K0121", "line 1"),
            ("a.bim", "1 a 0 5 A C\n1 a 0 x A C\n", "K0121", "line 2"),
            ("a.vcf", "##a\n1\t2\t3\tA\tC\n", "K0121", "line 2"),
            ("a.vcf", "#CHROM\tPOS\tID\tREF\tALT\n1\t2\t3\tA\n", "K0121", "line 2"),
            ("a.txt", "", "K0121", ".bim, .pvar"),
            ("a.bim", "", "K0120", "no variant"),
            ("a.bim", "1 a 0 249250622 A C\n", "K0120", "beyond chromosome"),
        ] {
            let error = made(name, text, Some(Build::Grch37)).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
