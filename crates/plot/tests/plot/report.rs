//! The report: its structure, what it refuses to load, and samples to look at.

use crate::sample::{self, elements};
use konsil_plot::report::{Question, Report, Revealed, Section, Status};
use konsil_plot::svg::{forest, kaplan_meier};
use konsil_plot::table::{Column, Table};
use std::path::Path;

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|it| *it == name).count()
}

#[test]
fn the_page_has_its_parts() {
    let html = sample::report().to_html();
    let names = elements(&html);
    assert_eq!(count(&names, "svg"), 2);
    assert_eq!(count(&names, "table"), 2);
    assert_eq!(count(&names, "h1"), 1);
    for landmark in ["header", "nav", "main", "footer"] {
        assert_eq!(count(&names, landmark), 1, "{landmark}");
    }
    for heading in [
        "How the question was understood",
        "What was revealed",
        "Guarantee",
        "Methods and versions",
    ] {
        assert!(html.contains(&format!(">{heading}</h2>")), "{heading}");
    }
    assert_eq!(count(&names, "caption"), 2);
    assert_eq!(html.matches("<th scope=").count(), count(&names, "th"));
    assert!(html.contains("\u{2713} planned = sent = 38\u{202f}412\u{202f}288\u{a0}B"));
    assert!(html.contains("<td class=\"num muted\">&lt;10</td>"));
    assert!(html.contains("<th scope=\"row\" class=\"level\">never</th>"));
    assert!(html.contains(">89</td>"), "the ledger is added up");
}

/// The page opens on a machine without a network, and stays silent on one with it.
#[test]
fn the_page_loads_and_runs_nothing() {
    let html = sample::report().to_html();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    assert!(html.contains(&format!("http-equiv=\"Content-Security-Policy\" content=\"{policy}\"")));
    let names = elements(&html);
    for name in ["script", "link", "img", "iframe", "object", "embed", "base", "form", "use"] {
        assert_eq!(count(&names, name), 0, "{name}");
    }
    let plain = html.replace("http://www.w3.org/2000/svg", "");
    for word in ["http:", "https:", "//", "url(", "@import", "@font-face", "javascript:", " on"] {
        let found =
            plain.match_indices(word).filter(|(at, _)| word != " on" || handler(&plain, *at));
        assert_eq!(found.count(), 0, "{word}");
    }
}

/// Whether an attribute such as `onload=` starts here.
fn handler(html: &str, at: usize) -> bool {
    let name = html[at + 1..].split(|it: char| !it.is_ascii_alphabetic()).next().unwrap();
    html[at + 1 + name.len()..].starts_with('=')
}

#[test]
fn all_text_is_escaped() {
    let bad = "<script>\"'&".to_owned();
    let status = Status { planned_bytes: 1, clear_bytes: 7, ..Status::default() };
    let table =
        Table::new(bad.clone(), vec![Column::words(bad.clone()), Column::numbers(bad.clone())]);
    let section = Section::new(bad.clone())
        .note(bad.clone())
        .table(table.row([bad.clone(), bad.clone(), bad.clone()]).row([bad.clone()]));
    let [name, says, to] = [bad.clone(), bad.clone(), bad.clone()];
    let question =
        Question { study: bad.clone(), purpose: bad.clone(), centres: vec![bad.clone()] };
    let html = Report::new(bad.clone(), status)
        .question(question)
        .understood(bad.clone(), bad.clone())
        .section(section)
        .revealed(Revealed { name, says, to, numbers: 3 })
        .guarantee(bad.clone())
        .method(bad.clone(), bad)
        .to_html();
    let names = elements(&html);
    assert_eq!(count(&names, "script"), 0);
    assert!(html.contains("&lt;script&gt;&quot;&#39;&amp;"));
    // What went wrong is not shown as right.
    assert!(html.contains("\u{2717} planned 1\u{a0}B, sent 0\u{a0}B"));
    assert!(html.contains("\u{2717} of patient data in the clear"));
}

#[test]
fn an_empty_report_is_a_page() {
    let html = Report::new("Nothing", Status::default()).to_html();
    let names = elements(&html);
    assert_eq!(count(&names, "h2"), 0);
    assert_eq!(count(&names, "main"), 1);
}

/// Text and background colours of the page, read back from its style sheet.
#[test]
fn colours_keep_their_contrast() {
    let html = sample::report().to_html();
    let schemes: Vec<&str> = html.split(":root{").skip(1).collect();
    let mut checked = 0;
    for scheme in schemes.iter().filter(|it| it.contains("--page:")) {
        let colour = |name: &str| {
            let start = scheme.find(&format!("--{name}:#")).expect(name) + name.len() + 4;
            let text: String =
                scheme[start..].chars().take_while(char::is_ascii_hexdigit).collect();
            luminance(&text)
        };
        for ground in ["page", "card"] {
            for ink in ["ink", "soft", "accent", "ok", "bad"] {
                let contrast = contrast(colour(ink), colour(ground));
                assert!(contrast >= 4.5, "{ink} on {ground}: {contrast}");
                checked += 1;
            }
        }
        for series in 1..=6 {
            assert!(
                contrast(colour(&format!("series-{series}")), colour("card")) >= 3.0,
                "{series}"
            );
        }
    }
    assert_eq!(checked, 30);
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Relative luminance as WCAG 2 defines it.
fn luminance(hex: &str) -> f64 {
    let wide: String = match hex.len() {
        3 => hex.chars().flat_map(|it| [it, it]).collect(),
        _ => hex.to_owned(),
    };
    let part = |index: usize| {
        let byte = u8::from_str_radix(&wide[2 * index..2 * index + 2], 16).unwrap();
        let share = f64::from(byte) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
}

/// Writes samples below the build folder, for people to look at.
#[test]
fn samples_are_written() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samples");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: String| {
        assert!(text.len() < 100_000);
        std::fs::write(folder.join(name), text).unwrap();
    };
    write("report.html", sample::report().to_html());
    write("survival.svg", kaplan_meier(&sample::km()));
    write("forest.svg", forest(&sample::forest()));
    let mut many = sample::km();
    many.curves = (0..6_u32)
        .map(|it| {
            sample::curve(
                &format!("Stage {it}, a rather long name"),
                900.0,
                0.004 * f64::from(it + 1),
            )
        })
        .collect();
    many.curves[5].points.truncate(9);
    many.curves[1].points[5].lower = f64::NAN;
    write("survival-many.svg", kaplan_meier(&many));
    let mut linear = sample::forest();
    linear.ratios = false;
    linear.axis_label = "Difference, mmHg".to_owned();
    linear.rows[2].estimate = -0.4;
    linear.rows[2].low = -0.9;
    write("forest-linear.svg", forest(&linear));
}
