//! The pen: the few SVG elements that the figures are made of.

use crate::escape;

/// Width of every figure; the height follows from what it shows.
pub(crate) const WIDTH: f64 = 720.0;

/// Colours come twice: the second declaration is for readers that know variables.
pub(super) const STYLE: &str = "\
svg:root{color:#17212b;background:#fff}\
@media(prefers-color-scheme:dark){svg:root{color:#e6ebf0;background:#1a2129}}\
.konsil-plot{font-family:system-ui,\"DejaVu Sans\",sans-serif;font-size:13px}\
.konsil-plot text{fill:currentColor;font-variant-numeric:tabular-nums}\
.konsil-plot .head{font-size:15px;font-weight:600}\
.konsil-plot .strong{font-weight:600}\
.konsil-plot .soft{font-size:12px;fill-opacity:.78}\
.konsil-plot .end{text-anchor:end}.konsil-plot .mid{text-anchor:middle}\
.konsil-plot .grid{stroke:currentColor;stroke-opacity:.13}\
.konsil-plot .axis{stroke:currentColor;stroke-opacity:.55}\
.konsil-plot .null{stroke:currentColor;stroke-opacity:.6;stroke-dasharray:2 3}\
.konsil-plot .stripe{fill:currentColor;fill-opacity:.045}\
.konsil-plot .curve{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}\
.konsil-plot .band{fill:currentColor;fill-opacity:.17}\
.konsil-plot .lead{fill:none;stroke:currentColor;stroke-opacity:.7}\
.konsil-plot .far{stroke-dasharray:1 5;stroke-opacity:.9}\
.konsil-plot .limit{stroke:#b02a37;stroke:var(--bad,#c8434f);stroke-dasharray:6 3}\
.konsil-plot .spots{fill:none;stroke:currentColor;stroke-width:3;stroke-linecap:round}\
.konsil-plot .wide{stroke-width:5}\
.konsil-plot .bar{fill:currentColor;fill-opacity:.75}\
.konsil-plot .mark{fill:currentColor}.konsil-plot .whisker{stroke:currentColor;stroke-width:2}\
.konsil-plot .s0{color:#0b7285;color:var(--accent,#108299)}\
.konsil-plot .s1{color:#0072b2;color:var(--series-1,#1a7fbe)}\
.konsil-plot .s2{color:#d55e00;color:var(--series-2,#d55e00)}\
.konsil-plot .s3{color:#00875f;color:var(--series-3,#009167)}\
.konsil-plot .s4{color:#b5579a;color:var(--series-4,#bb619f)}\
.konsil-plot .s5{color:#94690a;color:var(--series-5,#a5770e)}\
.konsil-plot .s6{color:#6b7380;color:var(--series-6,#79818d)}\
.konsil-plot .d2{stroke-dasharray:7 3}.konsil-plot .d3{stroke-dasharray:2 2.5}\
.konsil-plot .d4{stroke-dasharray:9 3 2 3}\
@media print{.konsil-plot .soft{fill-opacity:1}}";

/// A figure in the making.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    body: String,
}

impl Drawing {
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(coordinate);
        self.push(&format!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    pub(crate) fn dot(&mut self, class: &str, at: (f64, f64)) {
        let (x, y) = (coordinate(at.0), coordinate(at.1));
        self.push(&format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>"));
    }

    /// A dot that says something when it is pointed at.
    pub(crate) fn named_dot(&mut self, class: &str, at: (f64, f64), says: &str) {
        let (x, y, says) = (coordinate(at.0), coordinate(at.1), escape(says));
        self.push(&format!(
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"><title>{says}</title></circle>"
        ));
    }

    pub(crate) fn rectangle(&mut self, class: &str, corner: (f64, f64), size: (f64, f64)) {
        let [x, y, width, height] = [corner.0, corner.1, size.0, size.1].map(coordinate);
        self.push(&format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        ));
    }

    /// A path that [`Path`] has written.
    pub(crate) fn path(&mut self, class: &str, path: &Path) {
        if !path.text.is_empty() {
            self.push(&format!("<path class=\"{class}\" d=\"{}\"/>", path.text));
        }
    }

    /// Text that is cut at a width; the whole of it then shows when pointed at.
    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), text: &str, width_max: f64) {
        let (x, y) = (coordinate(at.0), coordinate(at.1));
        let shown = shortened(text, width_max / relative_size(class));
        let whole =
            if shown == text { String::new() } else { format!("<title>{}</title>", escape(text)) };
        let shown = escape(&shown);
        self.push(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{whole}{shown}</text>"));
    }

    /// Opens a group; each is closed by [`Drawing::close`].
    pub(crate) fn open(&mut self, class: &str) {
        self.push(&format!("<g class=\"{class}\">"));
    }

    pub(crate) fn close(&mut self) {
        self.push("</g>");
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// The figure with its name and a description for those who cannot see it.
    pub(crate) fn finish(self, height: f64, title: &str, description: &str) -> String {
        let (width, height) = (coordinate(WIDTH), coordinate(height));
        let (title, description) = (escape(title), escape(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"konsil-plot\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\">\n<title>{title}</title>\n\
             <desc>{description}</desc>\n<style>{STYLE}</style>\n{}</svg>\n",
            self.body
        )
    }
}

/// The `d` of a path, in lines that go right and then up or down.
#[derive(Debug, Default)]
pub(crate) struct Path {
    text: String,
}

impl Path {
    pub(crate) fn start(&mut self, x: f64, y: f64) {
        self.text.push_str(&format!("M{} {}", coordinate(x), coordinate(y)));
    }

    pub(crate) fn across(&mut self, x: f64) {
        self.text.push_str(&format!("H{}", coordinate(x)));
    }

    pub(crate) fn down(&mut self, y: f64) {
        self.text.push_str(&format!("V{}", coordinate(y)));
    }

    /// Down to a place, or a mark without length, which a round end makes a dot.
    pub(crate) fn stroke_to(&mut self, y: f64, dot: bool) {
        if dot { self.text.push_str("h0") } else { self.down(y) }
    }

    pub(crate) fn to(&mut self, x: f64, y: f64) {
        self.text.push_str(&format!("L{} {}", coordinate(x), coordinate(y)));
    }

    pub(crate) fn finish(&mut self) {
        self.text.push('Z');
    }
}

/// A coordinate with one decimal.
///
/// INVARIANT: what this returns is a finite number whatever comes in. Figures drop what is not
/// finite before; a zero here is a lesser evil than a file that no reader opens.
fn coordinate(value: f64) -> String {
    let value = if value.is_finite() { value.clamp(-1e6, 1e6) } else { 0.0 };
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// How much wider than usual a class of [`STYLE`] makes a text.
fn relative_size(class: &str) -> f64 {
    match class.split(' ').next() {
        Some("head") => 1.3,
        Some("strong") => 1.12,
        _ => 1.0,
    }
}

/// Width of a text in the figures' usual size, on the wide side: fonts differ.
pub(crate) fn text_width(text: &str) -> f64 {
    let width = |character| match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 4.0,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '-' | '/' | '\u{202f}' => 5.2,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '\u{2014}' => 12.5,
        'A'..='Z' => 9.4,
        ' '..='\u{24f}' | '\u{2000}'..='\u{22ff}' => 8.1,
        '\u{1100}'.. => 13.0,
        _ => 9.0,
    };
    text.chars().map(width).sum()
}

/// The text, or as much of it as fits and `…`.
fn shortened(text: &str, width_max: f64) -> String {
    if text_width(text) <= width_max {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if text_width(&kept) + 9.0 > width_max {
            kept.pop();
            break;
        }
    }
    format!("{}\u{2026}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_finite_and_short() {
        assert_eq!(coordinate(1.0), "1");
        assert_eq!(coordinate(12.34), "12.3");
        assert_eq!(coordinate(-0.01), "0");
        assert_eq!(coordinate(f64::NAN), "0");
        assert_eq!(coordinate(f64::INFINITY), "0");
        assert_eq!(coordinate(1e300), "1000000");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shortened("short", 100.0), "short");
        let cut = shortened("a label that does not fit at all", 100.0);
        assert!(cut.ends_with('\u{2026}') && text_width(&cut) <= 101.0, "{cut}");
        assert_eq!(shortened("label", 0.0), "\u{2026}");
    }
}
