//! What two versions of a dictionary differ in.

use super::{Dictionary, Variable};
use serde::Serialize;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `+` added, `~` changed, `-` removed.
    pub mark: char,
    /// The variable.
    pub variable: String,
    /// The column of the dictionary; empty where the whole variable is new or gone.
    pub field: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// What a variable's columns say.
fn fields(variable: &Variable) -> [(&'static str, String); 10] {
    let number = |value: Option<f64>| value.map(|it| it.to_string()).unwrap_or_default();
    let levels = variable.levels.iter().map(|it| {
        if it.label == it.code { it.code.clone() } else { format!("{}={}", it.code, it.label) }
    });
    [
        ("label", variable.label.clone()),
        ("type", variable.kind.word().to_owned()),
        ("unit", variable.unit.clone().unwrap_or_default()),
        ("levels", levels.collect::<Vec<_>>().join("|")),
        ("min", number(variable.min)),
        ("max", number(variable.max)),
        ("decimals", variable.decimals.map(|it| it.to_string()).unwrap_or_default()),
        ("missing", variable.missing.join("|")),
        ("code", variable.code.clone()),
        ("sensitivity", variable.sensitivity.word().to_owned()),
    ]
}

impl Dictionary {
    /// What `new` differs in: variables added and changed in its order, then those that are gone.
    /// Notes do not count.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<Difference> {
        let whole = |mark: char, variable: &Variable| {
            let about = [variable.kind.word().to_owned(), fields(variable)[3].1.clone()];
            let text = about.join(" ").trim_end().to_owned();
            let (old, new) =
                if mark == '+' { (String::new(), text) } else { (text, String::new()) };
            let (variable, field) = (variable.name.clone(), String::new());
            Difference { mark, variable, field, old, new }
        };
        let mut found = Vec::new();
        for variable in &new.variables {
            let Some(before) = self.variable(&variable.name) else {
                found.push(whole('+', variable));
                continue;
            };
            for ((field, old), (_, new)) in fields(before).into_iter().zip(fields(variable)) {
                if old != new {
                    let variable = variable.name.clone();
                    found.push(Difference {
                        mark: '~',
                        variable,
                        field: field.to_owned(),
                        old,
                        new,
                    });
                }
            }
        }
        let gone = self.variables.iter().filter(|it| new.variable(&it.name).is_none());
        found.extend(gone.map(|it| whole('-', it)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name,label,type,unit,levels,min,max,missing,code,sensitivity,notes\n";

    #[test]
    fn added_changed_and_removed_variables_are_named() {
        let parse = |rows: &str| Dictionary::parse("hmsp@4", &format!("{HEAD}{rows}")).unwrap();
        let old =
            parse("hba1c,,number,mmol/mol,,10,180,,,clinical,a\nold,,boolean,,,,,,,clinical,\n");
        let new = parse(
            "hba1c,,number,mmol/mol,,10,200,,,clinical,b\nsmoker,,category,,never|former,,,,,clinical,\n",
        );
        let lines: Vec<String> = (old.differences(&new).iter())
            .map(|it| format!("{} {} {} {} {}", it.mark, it.variable, it.field, it.old, it.new))
            .collect();
        assert_eq!(
            lines,
            ["~ hba1c max 180 200", "+ smoker   category never|former", "- old  boolean "]
        );
        assert_eq!(old.differences(&old), []);
    }
}
