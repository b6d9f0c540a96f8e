//! Study files.

/// Every kind of analysis once.
pub(crate) const ALL: &str = r#"
[study]
id = "all-kinds"
title = "Every kind of analysis"

[[analysis]]
id = "summary"
kind = "summary"
variables = ["age", "crp"]

[[analysis]]
id = "table1"
kind = "table1"
by = "arm"
variables = ["age", "sex"]

[[analysis]]
id = "lm"
kind = "lm"
formula = "crp ~ age + sex"

[[analysis]]
id = "glm"
kind = "glm"
formula = "died ~ age + sex + arm"

[[analysis]]
id = "km"
kind = "km"
formula = "Surv(months, died) ~ arm"
"#;

/// About 300 short rounds: long enough to be interrupted.
pub(crate) const LONG: &str = r#"
[study]
id = "long"

[[analysis]]
id = "glm"
kind = "glm"
formula = "died ~ age + sex + arm"
iterations = 25
sealed = true

[[analysis]]
id = "km"
kind = "km"
formula = "Surv(months, died) ~ arm"
"#;

/// The shortest one.
pub(crate) const SHORT: &str = r#"
[study]
id = "short"

[[analysis]]
id = "summary"
kind = "summary"
variables = ["age"]
"#;

/// The short study for patients that meet a condition.
pub(crate) fn short_where(condition: &str) -> String {
    format!("{SHORT}\n[cohort]\nwhere = {}\n", toml::Value::from(condition))
}
