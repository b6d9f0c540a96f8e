//! The registry: one entry for each analysis. Commands, help, plans and study files follow from it.

use crate::analysis::{Analysis, AnalysisError, Prepare, Request};
use crate::{
    anova, chisq, cmh, concordance, cor, cox, cuminc, firth, fisher, gee, glm, histogram, km,
    kmeans, kruskal, ks, leave_out, levene, lm, mcnemar, multinom, oneway, options, ordinal, pca,
    roc, signed_rank, spearman, summary, survreg, t_test, table1, validate, wilcox,
};
use konsil_cohort::{Dictionary, suggest};
use konsil_mpc::Opening;

/// One analysis.
#[derive(Debug)]
pub struct Entry {
    /// Its name in study files and on the command line.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it tells, as patients are told, in English and in German.
    pub says: [&'static str; 2],
    /// A one-line command that runs in the lab of `konsil lab new --example`.
    pub example: &'static str,
    /// The options that it takes: names in [`crate::OPTIONS`].
    pub options: &'static [&'static str],
    /// What it is compared with.
    pub reference: &'static str,
    /// Significant digits in which tests hold estimates to the reference.
    pub digits: u32,
    /// Everything it can reveal.
    pub openings: &'static [Opening],
    /// Checks a request against the dictionary.
    pub prepare: Prepare,
}

/// All analyses.
pub const REGISTRY: &[Entry] = &[
    Entry {
        kind: "summary",
        title: "counts, means, standard deviations, quartiles",
        says: ["averages and spread", "Durchschnitte und Streuung"],
        example: "konsil summary age bmi crp",
        options: &[],
        reference: "R mean, sd, quantile (type 7)",
        digits: 9,
        openings: &summary::OPENINGS,
        prepare: summary::prepare,
    },
    Entry {
        kind: "histogram",
        title: "histogram of a variable",
        says: ["how a value is distributed", "wie sich ein Messwert verteilt"],
        example: "konsil histogram age --bins 12",
        options: &["bins"],
        reference: "R hist(right = FALSE)",
        digits: 9,
        openings: &histogram::OPENINGS,
        prepare: histogram::prepare,
    },
    Entry {
        kind: "table1",
        title: "description of a cohort, by groups",
        says: ["description of groups", "Beschreibung von Gruppen"],
        example: "konsil table1 'arm ~ age + sex + stage'",
        options: &["by", "smd", "tests"],
        reference: "R table, mean, sd, quantile (type 7)",
        digits: 9,
        openings: &table1::OPENINGS,
        prepare: table1::prepare,
    },
    Entry {
        kind: "lm",
        title: "linear regression",
        says: ["what goes along with a measured value", "Zusammenhang mit einem Messwert"],
        example: "konsil lm 'sbp ~ age + sex + bmi'",
        options: &["cluster", "robust", "weights"],
        reference: "R lm, sandwich",
        digits: 9,
        openings: &lm::OPENINGS,
        prepare: lm::prepare,
    },
    Entry {
        kind: "glm",
        title: "logistic, Poisson, gamma and negative binomial regression",
        says: ["what goes along with an event", "Zusammenhang mit einem Ereignis"],
        example: "konsil glm 'died ~ age + sex + stage' --family binomial",
        options: &["cluster", "family", "iterations", "link", "robust", "sealed", "weights"],
        reference: "R glm, MASS::glm.nb, sandwich",
        digits: 9,
        openings: &glm::OPENINGS,
        prepare: glm::prepare,
    },
    Entry {
        kind: "firth",
        title: "Firth's penalised logistic regression, for rare events and separation",
        says: ["what goes along with a rare event", "Zusammenhang mit einem seltenen Ereignis"],
        example: "konsil firth 'died ~ age + sex'",
        options: &["iterations"],
        reference: "the paper's equations, written in R",
        digits: 7,
        openings: &firth::OPENINGS,
        prepare: firth::prepare,
    },
    Entry {
        kind: "ordinal",
        title: "proportional-odds regression of a response with ordered levels",
        says: ["what goes along with a grade", "Zusammenhang mit einem Schweregrad"],
        example: "konsil ordinal 'stage ~ age + smoker'",
        options: &["iterations", "weights"],
        reference: "R MASS::polr, Newton steps added",
        digits: 8,
        openings: &ordinal::OPENINGS,
        prepare: ordinal::prepare,
    },
    Entry {
        kind: "multinom",
        title: "multinomial logistic regression of a response with several levels",
        says: [
            "what goes along with one of several outcomes",
            "Zusammenhang mit einem von mehreren Ergebnissen",
        ],
        example: "konsil multinom 'cause ~ age + arm'",
        options: &["iterations", "weights"],
        reference: "R nnet::multinom, Newton steps added",
        digits: 8,
        openings: &multinom::OPENINGS,
        prepare: multinom::prepare,
    },
    Entry {
        kind: "gee",
        title: "generalised estimating equations for patients in clusters",
        says: [
            "what goes along with a value where people belong together",
            "Zusammenhang mit einem Wert, wo Menschen zusammengehören",
        ],
        example: "konsil gee 'died ~ age + sex' --family binomial --cluster centre",
        options: &["cluster", "corstr", "family", "iterations"],
        reference: "R geepack::geeglm",
        digits: 8,
        openings: &gee::OPENINGS,
        prepare: gee::prepare,
    },
    Entry {
        kind: "anova",
        title: "comparison of nested models: F and likelihood ratio tests",
        says: ["whether more values explain more", "ob mehr Angaben mehr erklären"],
        example: "konsil anova 'sbp ~ age + sex'",
        options: &["family", "iterations", "link", "models", "weights"],
        reference: "R anova",
        digits: 7,
        openings: &anova::OPENINGS,
        prepare: anova::prepare,
    },
    Entry {
        kind: "cox",
        title: "Cox proportional hazards regression",
        says: [
            "what goes along with the time until an event",
            "Zusammenhang mit der Zeit bis zu einem Ereignis",
        ],
        example: "konsil cox 'Surv(entry, months, died) ~ age + arm' --ties efron",
        options: &[
            "baseline",
            "cluster",
            "concordance",
            "iterations",
            "points",
            "robust",
            "ties",
            "ties_max",
            "weights",
            "zph",
        ],
        reference: "R survival::coxph, cox.zph, basehaz",
        digits: 8,
        openings: &cox::OPENINGS,
        prepare: cox::prepare,
    },
    Entry {
        kind: "km",
        title: "Kaplan-Meier curves with log-rank test",
        says: ["course over time", "Verlauf über die Zeit"],
        example: "konsil km 'Surv(months, died) ~ arm'",
        options: &["conf_type", "points", "rmean", "trend"],
        reference: "R survival::survfit, survdiff",
        digits: 9,
        openings: &km::OPENINGS,
        prepare: km::prepare,
    },
    Entry {
        kind: "cuminc",
        title: "cumulative incidence of competing causes with Gray's test",
        says: [
            "how often each of several events happens over time",
            "wie oft welches von mehreren Ereignissen im Verlauf eintritt",
        ],
        example: "konsil cuminc 'Surv(months, cause) ~ arm'",
        options: &["points"],
        reference: "R cmprsk::cuminc",
        digits: 8,
        openings: &cuminc::OPENINGS,
        prepare: cuminc::prepare,
    },
    Entry {
        kind: "survreg",
        title: "Weibull and exponential regression of times to an event",
        says: [
            "what makes the time until an event longer or shorter",
            "was die Zeit bis zu einem Ereignis verlängert oder verkürzt",
        ],
        example: "konsil survreg 'Surv(months, died) ~ age + arm'",
        options: &["dist", "iterations", "weights"],
        reference: "R survival::survreg",
        digits: 8,
        openings: &survreg::OPENINGS,
        prepare: survreg::prepare,
    },
    Entry {
        kind: "t_test",
        title: "t test of two groups, one sample or pairs",
        says: ["comparison of two averages", "Vergleich zweier Durchschnitte"],
        example: "konsil t_test 'bmi ~ sex'",
        options: &["mu", "paired", "var_equal"],
        reference: "R t.test",
        digits: 9,
        openings: &t_test::OPENINGS,
        prepare: t_test::prepare,
    },
    Entry {
        kind: "oneway",
        title: "one-way analysis of variance",
        says: ["comparison of averages of groups", "Vergleich der Durchschnitte von Gruppen"],
        example: "konsil oneway 'sbp ~ stage'",
        options: &[],
        reference: "R aov, oneway.test",
        digits: 9,
        openings: &oneway::OPENINGS,
        prepare: oneway::prepare,
    },
    Entry {
        kind: "levene",
        title: "Levene's test of equal variances",
        says: ["comparison of the spread of groups", "Vergleich der Streuung von Gruppen"],
        example: "konsil levene 'sbp ~ stage'",
        options: &["center"],
        reference: "R car::leveneTest",
        digits: 9,
        openings: &levene::OPENINGS,
        prepare: levene::prepare,
    },
    Entry {
        kind: "wilcox",
        title: "Wilcoxon rank sum test (Mann-Whitney)",
        says: ["comparison of two groups by ranks", "Vergleich zweier Gruppen nach Rängen"],
        example: "konsil wilcox 'crp ~ arm'",
        options: &[],
        reference: "R wilcox.test(exact = FALSE)",
        digits: 9,
        openings: &wilcox::OPENINGS,
        prepare: wilcox::prepare,
    },
    Entry {
        kind: "kruskal",
        title: "Kruskal-Wallis rank test of groups",
        says: ["comparison of groups by ranks", "Vergleich von Gruppen nach Rängen"],
        example: "konsil kruskal 'crp ~ stage'",
        options: &[],
        reference: "R kruskal.test",
        digits: 9,
        openings: &kruskal::OPENINGS,
        prepare: kruskal::prepare,
    },
    Entry {
        kind: "signed_rank",
        title: "Wilcoxon signed rank test of pairs",
        says: ["comparison of two values of each person", "Vergleich zweier Werte jeder Person"],
        example: "konsil signed_rank sbp sbp_later",
        options: &["mu"],
        reference: "R wilcox.test(paired = TRUE, exact = FALSE)",
        digits: 9,
        openings: &signed_rank::OPENINGS,
        prepare: signed_rank::prepare,
    },
    Entry {
        kind: "ks",
        title: "Kolmogorov-Smirnov test of two groups",
        says: ["comparison of two distributions", "Vergleich zweier Verteilungen"],
        example: "konsil ks 'age ~ arm'",
        options: &[],
        reference: "R ks.test(exact = FALSE)",
        digits: 8,
        openings: &ks::OPENINGS,
        prepare: ks::prepare,
    },
    Entry {
        kind: "roc",
        title: "area under the ROC curve",
        says: [
            "how well a value tells the ill from the healthy",
            "wie gut ein Wert Kranke von Gesunden trennt",
        ],
        example: "konsil roc 'crp ~ died'",
        options: &["cutoffs"],
        reference: "R pROC::auc, ci.auc",
        digits: 9,
        openings: &roc::OPENINGS,
        prepare: roc::prepare,
    },
    Entry {
        kind: "chisq",
        title: "chi-squared test of two variables with levels",
        says: ["whether two properties go together", "ob zwei Eigenschaften zusammengehen"],
        example: "konsil chisq 'stage ~ response'",
        options: &[],
        reference: "R chisq.test",
        digits: 8,
        openings: &chisq::OPENINGS,
        prepare: chisq::prepare,
    },
    Entry {
        kind: "fisher",
        title: "Fisher's exact test",
        says: ["whether two properties go together", "ob zwei Eigenschaften zusammengehen"],
        example: "konsil fisher 'died ~ arm'",
        options: &[],
        reference: "R fisher.test",
        digits: 6,
        openings: &fisher::OPENINGS,
        prepare: fisher::prepare,
    },
    Entry {
        kind: "mcnemar",
        title: "McNemar's test of pairs",
        says: ["change of a property", "Änderung einer Eigenschaft"],
        example: "konsil mcnemar pain pain_later",
        options: &[],
        reference: "R mcnemar.test",
        digits: 9,
        openings: &mcnemar::OPENINGS,
        prepare: mcnemar::prepare,
    },
    Entry {
        kind: "cmh",
        title: "Cochran-Mantel-Haenszel test in strata",
        says: [
            "whether two properties go together within groups",
            "ob zwei Eigenschaften innerhalb von Gruppen zusammengehen",
        ],
        example: "konsil cmh 'died ~ arm + centre'",
        options: &[],
        reference: "R mantelhaen.test",
        digits: 8,
        openings: &cmh::OPENINGS,
        prepare: cmh::prepare,
    },
    Entry {
        kind: "cor",
        title: "Pearson's correlations",
        says: ["which values rise together", "welche Werte gemeinsam steigen"],
        example: "konsil cor age bmi sbp",
        options: &[],
        reference: "R cor, cor.test",
        digits: 8,
        openings: &cor::OPENINGS,
        prepare: cor::prepare,
    },
    Entry {
        kind: "spearman",
        title: "Spearman's rank correlation",
        says: ["whether two values rise together", "ob zwei Werte gemeinsam steigen"],
        example: "konsil spearman age visits",
        options: &[],
        reference: "R cor.test(method = \"spearman\")",
        digits: 9,
        openings: &spearman::OPENINGS,
        prepare: spearman::prepare,
    },
    Entry {
        kind: "pca",
        title: "principal components",
        says: ["which values vary together", "welche Werte sich gemeinsam ändern"],
        example: "konsil pca age bmi sbp sbp_later",
        options: &[],
        reference: "R prcomp(scale. = TRUE)",
        digits: 7,
        openings: &pca::OPENINGS,
        prepare: pca::prepare,
    },
    Entry {
        kind: "kmeans",
        title: "k-means clusters",
        says: [
            "which groups of similar people there are",
            "welche Gruppen ähnlicher Personen es gibt",
        ],
        example: "konsil kmeans age bmi sbp --k 3",
        options: &["iterations", "k", "raw", "seed", "starts"],
        reference: "R kmeans(algorithm = \"Lloyd\")",
        digits: 8,
        openings: &kmeans::OPENINGS,
        prepare: kmeans::prepare,
    },
    Entry {
        kind: "validate",
        title: "validation of a model: AUC, calibration, Brier score, net benefit",
        says: ["how well a risk model holds", "wie gut ein Risikomodell zutrifft"],
        example: "konsil validate 'died ~ age + arm' --coefficients -2.1,0.03,-0.4",
        options: &["coefficients"],
        reference: "R pROC::roc, glm(y ~ lp), mean((p - y)^2)",
        digits: 7,
        openings: &validate::OPENINGS,
        prepare: validate::prepare,
    },
    Entry {
        kind: "concordance",
        title: "validation of a survival model: Harrell's concordance",
        says: ["how well a risk model holds", "wie gut ein Risikomodell zutrifft"],
        example: "konsil concordance 'Surv(months, died) ~ age + arm' --coefficients 0.03,-0.4",
        options: &["coefficients"],
        reference: "R survival::concordance",
        digits: 8,
        openings: &concordance::OPENINGS,
        prepare: concordance::prepare,
    },
    Entry {
        kind: "leave_out",
        title: "validation of a logistic model, each centre by the model of the others",
        says: [
            "how well a risk model holds elsewhere",
            "wie gut ein Risikomodell anderswo zutrifft",
        ],
        example: "konsil leave_out 'died ~ age + arm'",
        options: &["iterations"],
        reference: "R glm without each centre, pROC::roc, glm(y ~ lp)",
        digits: 4,
        openings: &leave_out::OPENINGS,
        prepare: leave_out::prepare,
    },
];

/// The entry of a kind.
#[must_use]
pub fn entry(kind: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.kind == kind)
}

/// Checks a request against the dictionary.
///
/// # Errors
/// [`AnalysisError`] for an unknown kind or a request that the analysis cannot answer.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let kinds = REGISTRY.iter().map(|entry| entry.kind);
    let entry = entry(&request.kind).ok_or_else(|| {
        let hint = suggest(&request.kind, kinds.clone());
        let hint = hint.map(|kind| format!("; did you mean `{kind}`?")).unwrap_or_default();
        let known = kinds.clone().collect::<Vec<_>>().join(", ");
        let what = format!("no analysis is called `{}`{hint} (there are {known})", request.kind);
        AnalysisError::request(request, what)
    })?;
    options::check(request, entry)?;
    (entry.prepare)(request, dictionary)
}
