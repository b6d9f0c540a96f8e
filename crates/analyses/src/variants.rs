//! Further methods of the analyses, by option: with what each is compared, and an example that runs.

/// A method that an option of an analysis chooses.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// The analysis.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// A one-line command that runs in the lab of `konsil lab new --example`.
    pub example: &'static str,
    /// What it is compared with.
    pub reference: &'static str,
    /// Significant digits in which tests hold it to the reference, where fewer than the analysis'.
    pub digits: Option<u32>,
}

const fn variant(
    kind: &'static str,
    title: &'static str,
    example: &'static str,
    reference: &'static str,
) -> Variant {
    Variant { kind, title, example, reference, digits: None }
}

/// All of them.
pub const VARIANTS: &[Variant] = &[
    variant(
        "burden",
        "rare variants of genes and an event",
        "konsil burden 'died ~ age + sex' --panel lab/panel.tsv --sets lab/genes.tsv",
        "R, eigenvalues and integrate, by the formulas of SKAT-O",
    ),
    variant(
        "gwas",
        "score tests of an event at all variants",
        "konsil gwas --pheno died --covar age,sex --panel lab/panel.tsv --family binomial",
        "R, score test of glm",
    ),
    variant(
        "gwas",
        "score tests of a survival time at all variants",
        "konsil gwas 'Surv(months, died) ~ age + sex' --panel lab/panel.tsv",
        "a Cox model of all patients on the same windows of time",
    ),
    variant(
        "gwas",
        "scan with principal axes of the genotypes as covariates",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --axes 4",
        "a pooled regression with the pooled axes",
    ),
    variant(
        "gwas",
        "scan against the polygenic background",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --background 0.4",
        "the exact ridge regression of all patients, each chromosome left out",
    ),
    variant(
        "gwas",
        "scan whose covariates are never opened",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --sealed",
        "a pooled regression of each variant",
    ),
    variant(
        "gwas",
        "scan of variants that count if they are there at all",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --coding dominant --hwe 1e-6",
        "a pooled regression of each variant; the exact test of pooled counts",
    ),
    variant(
        "gwas",
        "scan of several traits in one pass",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --traits sbp,bmi",
        "pooled regressions of each variant and trait",
    ),
    variant(
        "gwas",
        "one region of the genome, given a variant of it",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --region 19:44000000-46000000 --condition ex19_329",
        "a pooled regression with the variant as covariate",
    ),
    variant(
        "gwas",
        "scan that shows its hits alone",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --show hits --below 1e-5",
        "the same rows of a scan that shows all",
    ),
    variant(
        "gwas",
        "hits of an event by the saddle point",
        "konsil gwas 'died ~ age + sex' --panel lab/panel.tsv --correct spa --below 1e-3",
        "the saddle point of all patients' likelihoods",
    ),
    variant(
        "gwas",
        "hits of an event by Firth's penalty",
        "konsil gwas 'died ~ age + sex' --panel lab/panel.tsv --correct firth --below 1e-3",
        "the largest penalised likelihood of all patients",
    ),
    variant(
        "gwas",
        "meta-analysis of the centres' own scans",
        "konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv --meta",
        "inverse variances of each centre's own regressions",
    ),
    variant(
        "table1",
        "Table 1 with standardised differences and tests",
        "konsil table1 'arm ~ age + sex + stage' --smd --tests",
        "R chisq.test, oneway.test; Austin's, Yang and Dalton's formulas",
    ),
    variant(
        "lm",
        "linear regression with natural splines",
        "konsil lm 'sbp ~ ns(age, knots = c(50, 65), Boundary.knots = c(35, 85)) + sex'",
        "R lm, splines::ns",
    ),
    variant(
        "cox",
        "Cox regression with restricted cubic splines",
        "konsil cox 'Surv(months, died) ~ rcs(age, c(45, 60, 75)) + relevel(arm, ref = \"new\")'",
        "R survival::coxph, Hmisc::rcspline.eval",
    ),
    variant(
        "lm",
        "linear regression with robust standard errors",
        "konsil lm 'sbp ~ age + sex + bmi' --robust HC3",
        "R sandwich::vcovHC",
    ),
    variant(
        "glm",
        "gamma regression",
        "konsil glm 'bmi ~ age + sex' --family gamma --link log",
        "R glm(family = Gamma)",
    ),
    variant(
        "glm",
        "Poisson regression",
        "konsil glm 'visits ~ age + stage' --family poisson",
        "R glm(family = poisson)",
    ),
    Variant {
        kind: "glm",
        title: "logistic regression, nothing but the result opened",
        example: "konsil glm 'died ~ age + sex' --family binomial --sealed",
        reference: "R glm",
        digits: Some(4),
    },
    variant(
        "lm",
        "linear regression, errors by cluster",
        "konsil lm 'sbp ~ age + sex + bmi' --cluster centre",
        "R sandwich::vcovCL",
    ),
    Variant {
        kind: "glm",
        title: "logistic regression judged centre by centre, as leave_out",
        example: "konsil glm 'died ~ age + sex' --family binomial --validate centre",
        reference: "R glm without each centre, pROC::roc",
        digits: Some(4),
    },
    variant(
        "glm",
        "quasi-Poisson regression",
        "konsil glm 'visits ~ age + stage' --family quasipoisson",
        "R glm(family = quasipoisson)",
    ),
    variant(
        "glm",
        "quasi-binomial regression",
        "konsil glm 'died ~ age + stage' --family quasibinomial",
        "R glm(family = quasibinomial)",
    ),
    variant(
        "glm",
        "negative binomial regression",
        "konsil glm 'visits ~ age + stage' --family negative_binomial",
        "R MASS::glm.nb",
    ),
    variant(
        "glm",
        "logistic regression, robust errors",
        "konsil glm 'died ~ age + stage' --family binomial --robust HC0",
        "R sandwich::vcovHC",
    ),
    variant(
        "gee",
        "estimating equations of independence",
        "konsil gee 'sbp ~ age + bmi' --family gaussian --cluster centre --corstr independence",
        "R geepack::geeglm(corstr = \"independence\")",
    ),
    variant(
        "gee",
        "estimating equations of counts",
        "konsil gee 'visits ~ age + arm' --family poisson --cluster stage",
        "R geepack::geeglm(family = poisson)",
    ),
    variant(
        "mixed",
        "random intercepts by maximum likelihood",
        "konsil mixed 'bmi ~ age + sex' --cluster visits --ml",
        "R lme4::lmer(REML = FALSE)",
    ),
    variant(
        "mixed",
        "logistic regression with random intercepts",
        "konsil mixed 'died ~ age + arm' --family binomial --cluster stage",
        "R lme4::glmer(family = binomial)",
    ),
    variant(
        "anova",
        "likelihood-ratio tests of terms",
        "konsil anova 'died ~ age + arm + stage' --family binomial",
        "R anova(glm, test = \"Chisq\")",
    ),
    variant(
        "cox",
        "Cox regression, ties by Breslow, strata the centres",
        "konsil cox 'Surv(months, died) ~ age + arm + strata(centre)' --ties breslow",
        "R survival::coxph",
    ),
    variant(
        "cox",
        "Cox regression with robust variances by cluster",
        "konsil cox 'Surv(months, died) ~ age + arm' --ties breslow --cluster centre",
        "R survival::coxph(cluster = )",
    ),
    variant(
        "cox",
        "test of proportional hazards",
        "konsil cox 'Surv(months, died) ~ age + arm' --ties breslow --zph",
        "R survival::cox.zph",
    ),
    variant(
        "cox",
        "Harrell's concordance",
        "konsil cox 'Surv(months, died) ~ age + arm' --ties breslow --concordance",
        "R survival::concordance",
    ),
    variant(
        "cox",
        "baseline hazard",
        "konsil cox 'Surv(months, died) ~ age + arm' --ties breslow --baseline",
        "R survival::basehaz",
    ),
    variant(
        "km",
        "curves with log-log limits and restricted means",
        "konsil km 'Surv(months, died) ~ arm' --conf-type log-log --rmean 48",
        "R survfit(conf.type = ), print(rmean = )",
    ),
    variant(
        "km",
        "log-rank test of a trend",
        "konsil km 'Surv(months, died) ~ stage' --trend",
        "R survdiff, scores 1, 2, ..",
    ),
    variant(
        "km",
        "log-rank test in strata",
        "konsil km 'Surv(months, died) ~ arm + strata(stage)'",
        "R survdiff(.. + strata())",
    ),
    variant(
        "survreg",
        "exponential regression of times",
        "konsil survreg 'Surv(months, died) ~ age + arm' --dist exponential",
        "R survival::survreg(dist = \"exponential\")",
    ),
    variant(
        "impute",
        "logistic regression with multiple imputation",
        "konsil impute 'died ~ age + crp' --incomplete crp --family binomial --imputations 4",
        "R mice, mice::pool of glm",
    ),
    variant(
        "elastic_net",
        "ridge regression",
        "konsil elastic_net 'sbp ~ age + sex + bmi' --alpha 0",
        "R glmnet::cv.glmnet(alpha = 0)",
    ),
    variant(
        "elastic_net",
        "elastic net at one penalty",
        "konsil elastic_net 'sbp ~ age + sex + bmi' --alpha 0.5 --lambda 2",
        "R glmnet::glmnet(alpha = , lambda = )",
    ),
    variant(
        "meta",
        "meta-analysis of logistic regressions",
        "konsil meta 'died ~ age + arm' --family binomial",
        "R metafor::rma of glm by centre",
    ),
    variant(
        "meta",
        "meta-analysis of Cox regressions",
        "konsil meta 'Surv(months, died) ~ age + arm'",
        "R metafor::rma of survival::coxph by centre",
    ),
    variant(
        "kmeans",
        "k-means of numbers as they are",
        "konsil kmeans sbp sbp_later --k 2 --raw",
        "R kmeans(algorithm = \"Lloyd\")",
    ),
    variant(
        "t_test",
        "t test of pairs",
        "konsil t_test sbp sbp_later --paired",
        "R t.test(paired = TRUE)",
    ),
    variant(
        "roc",
        "sensitivity and specificity at cutoffs",
        "konsil roc 'crp ~ died' --cutoffs 2,4,8",
        "R table, prop.table",
    ),
    variant("t_test", "t test of one sample", "konsil t_test 'bmi ~ 1' --mu 25", "R t.test(mu = )"),
    variant(
        "t_test",
        "t test, equal variances",
        "konsil t_test 'bmi ~ sex' --var-equal",
        "R t.test(var.equal = TRUE)",
    ),
    variant(
        "levene",
        "Levene's test about means",
        "konsil levene 'sbp ~ stage' --center mean",
        "R car::leveneTest(center = mean)",
    ),
    variant(
        "signed_rank",
        "signed rank test of one sample",
        "konsil signed_rank 'bmi ~ 1' --mu 25",
        "R wilcox.test(mu = , exact = FALSE)",
    ),
    variant(
        "chisq",
        "chi-squared test of two by two, with odds ratio",
        "konsil chisq 'died ~ arm'",
        "R chisq.test (Yates)",
    ),
    variant(
        "cmh",
        "Cochran-Mantel-Haenszel test, strata a variable",
        "konsil cmh 'died ~ arm + stage'",
        "R mantelhaen.test",
    ),
];
