//! The words of the pages, in English and German.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use std::sync::OnceLock;
use unic_langid::LanguageIdentifier;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    German,
}

type Bundle = FluentBundle<FluentResource>;

const SOURCES: [(Language, &str); 2] = [
    (Language::English, include_str!("../texts/en.ftl")),
    (Language::German, include_str!("../texts/de.ftl")),
];

fn bundles() -> &'static [Bundle] {
    static BUNDLES: OnceLock<Vec<Bundle>> = OnceLock::new();
    BUNDLES.get_or_init(|| SOURCES.iter().map(|(language, text)| bundle(*language, text)).collect())
}

/// A bundle of all messages that can be read; a test reads them all.
fn bundle(language: Language, text: &str) -> Bundle {
    let id: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    bundle.set_use_isolating(false);
    let resource = match FluentResource::try_new(text.to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    bundle.add_resource_overriding(resource);
    bundle
}

impl Language {
    /// As HTML writes it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The one with a tag.
    pub(crate) fn of_tag(tag: &str) -> Option<Self> {
        [Self::English, Self::German].into_iter().find(|it| it.tag() == tag)
    }

    /// The first of a browser's list that the pages have, by its order.
    pub(crate) fn accepted(header: &str) -> Option<Self> {
        let tags = header.split(',').map(|it| it.split(';').next().unwrap_or_default().trim());
        tags.filter_map(|tag| Self::of_tag(tag.get(..2)?)).next()
    }

    /// A message; its name where there is none.
    pub(crate) fn text(self, name: &str, values: &[(&str, &str)]) -> String {
        let at = SOURCES.iter().position(|(language, _)| *language == self).unwrap_or(0);
        let Some(bundle) = bundles().get(at) else { return name.to_owned() };
        let Some(pattern) = bundle.get_message(name).and_then(|it| it.value()) else {
            return name.to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (key, value) in values {
            match value.parse::<f64>() {
                Ok(number) => arguments.set(*key, number),
                Err(_) => arguments.set(*key, (*value).to_owned()),
            }
        }
        let mut errors = Vec::new();
        bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(text: &str) -> BTreeSet<&str> {
        let names = text.lines().filter(|it| it.starts_with(|c: char| c.is_ascii_lowercase()));
        names.filter_map(|line| Some(line.split_once('=')?.0.trim())).collect()
    }

    #[test]
    fn both_languages_have_all_messages() {
        for (language, text) in SOURCES {
            let read = FluentResource::try_new(text.to_owned());
            assert!(read.is_ok(), "{language:?}: {:?}", read.err().map(|it| it.1));
        }
        let [english, german] = SOURCES.map(|(_, text)| names(text));
        assert_eq!(english.difference(&german).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert_eq!(german.difference(&english).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(english.len() > 100);
    }

    /// Every message that a template or the code names is there, and every message is used.
    #[test]
    fn messages_are_those_that_pages_name() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = String::new();
        let mut waiting = vec![folder.join("templates"), folder.join("src")];
        while let Some(path) = waiting.pop() {
            for entry in std::fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else if path.file_name().is_some_and(|it| it != "texts.rs") {
                    all.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        let known = names(SOURCES[0].1);
        let unused: Vec<_> =
            known.iter().filter(|it| !all.contains(&format!("\"{it}\""))).collect();
        // names that are put together: states, steps, marks
        let put = ["state-", "step-", "stage-", "role-", "kind-", "nav-"];
        let unused: Vec<_> =
            unused.into_iter().filter(|it| !put.iter().any(|put| it.starts_with(put))).collect();
        assert!(unused.is_empty(), "{unused:?}");
        for begin in ["f.t(\"", "f.t1(\"", "f.t2(\""] {
            for piece in all.split(begin).skip(1) {
                let name = piece.split('"').next().unwrap();
                assert!(known.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn a_browser_gets_its_language() {
        assert_eq!(Language::accepted("de-DE,de;q=0.9,en;q=0.8"), Some(Language::German));
        assert_eq!(Language::accepted("fr, en-GB;q=0.5"), Some(Language::English));
        assert_eq!(Language::accepted("fr,é"), None);
        assert_eq!(Language::German.text("no-such-message", &[]), "no-such-message");
    }
}
