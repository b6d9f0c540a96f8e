"""A method for each kind of analysis. Written by generate.py from what the program says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Sequence

if TYPE_CHECKING:
    from .study import Analysis


class Kinds:
    """Methods of a study. Each makes an analysis and asks for nothing yet."""

    def analysis(self, kind: str, *what: str, id: Optional[str] = None, **options: Any) -> Analysis:
        """An analysis of any kind."""
        raise NotImplementedError

    def summary(self, *what: str, id: Optional[str] = None) -> Analysis:
        """Counts, means, standard deviations, quartiles.

        ``konsil summary age bmi crp``
        """
        return self.analysis("summary", *what, id=id)

    def histogram(self, *what: str, bins: Optional[int] = None, id: Optional[str] = None) -> Analysis:
        """Histogram of a variable.

        ``konsil histogram age --bins 12``
        """
        return self.analysis("histogram", *what, id=id, bins=bins)

    def table1(
        self,
        *what: str,
        by: Optional[str] = None,
        smd: bool = False,
        tests: bool = False,
        id: Optional[str] = None,
    ) -> Analysis:
        """Description of a cohort, by groups.

        ``konsil table1 'arm ~ age + sex + stage'``
        """
        return self.analysis("table1", *what, id=id, by=by, smd=smd, tests=tests)

    def lm(
        self,
        formula: str,
        *,
        cluster: Optional[str] = None,
        robust: Optional[str] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Linear regression.

        ``konsil lm 'sbp ~ age + sex + bmi'``
        """
        return self.analysis("lm", formula, id=id, cluster=cluster, robust=robust, weights=weights)

    def glm(
        self,
        formula: str,
        *,
        cluster: Optional[str] = None,
        family: Optional[str] = None,
        iterations: Optional[int] = None,
        link: Optional[str] = None,
        robust: Optional[str] = None,
        sealed: bool = False,
        validate: Optional[str] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Logistic, Poisson, gamma and negative binomial regression.

        ``konsil glm 'died ~ age + sex + stage' --family binomial``
        """
        return self.analysis(
            "glm", formula, id=id, cluster=cluster, family=family, iterations=iterations, link=link, robust=robust,
            sealed=sealed, validate=validate, weights=weights
        )

    def impute(
        self,
        formula: str,
        *,
        cycles: Optional[int] = None,
        family: Optional[str] = None,
        imputations: Optional[int] = None,
        incomplete: Optional[Sequence[str]] = None,
        iterations: Optional[int] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Linear and logistic regression with multiple imputation of missing covariates.

        ``konsil impute 'sbp ~ age + crp' --incomplete crp``
        """
        return self.analysis(
            "impute", formula, id=id, cycles=cycles, family=family, imputations=imputations, incomplete=incomplete,
            iterations=iterations
        )

    def firth(self, formula: str, *, iterations: Optional[int] = None, id: Optional[str] = None) -> Analysis:
        """Firth's penalised logistic regression, for rare events and separation.

        ``konsil firth 'died ~ age + sex'``
        """
        return self.analysis("firth", formula, id=id, iterations=iterations)

    def ordinal(
        self,
        formula: str,
        *,
        iterations: Optional[int] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Proportional-odds regression of a response with ordered levels.

        ``konsil ordinal 'stage ~ age + smoker'``
        """
        return self.analysis("ordinal", formula, id=id, iterations=iterations, weights=weights)

    def multinom(
        self,
        formula: str,
        *,
        iterations: Optional[int] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Multinomial logistic regression of a response with several levels.

        ``konsil multinom 'cause ~ age + arm'``
        """
        return self.analysis("multinom", formula, id=id, iterations=iterations, weights=weights)

    def gee(
        self,
        formula: str,
        *,
        cluster: Optional[str] = None,
        corstr: Optional[str] = None,
        family: Optional[str] = None,
        iterations: Optional[int] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Generalised estimating equations for patients in clusters.

        ``konsil gee 'died ~ age + sex' --family binomial --cluster centre``
        """
        return self.analysis(
            "gee", formula, id=id, cluster=cluster, corstr=corstr, family=family, iterations=iterations
        )

    def mixed(
        self,
        formula: str,
        *,
        cluster: Optional[str] = None,
        family: Optional[str] = None,
        iterations: Optional[int] = None,
        ml: bool = False,
        id: Optional[str] = None,
    ) -> Analysis:
        """Linear and logistic regression with random intercepts.

        ``konsil mixed 'sbp ~ age + bmi' --cluster centre``
        """
        return self.analysis("mixed", formula, id=id, cluster=cluster, family=family, iterations=iterations, ml=ml)

    def anova(
        self,
        formula: str = "",
        *,
        family: Optional[str] = None,
        iterations: Optional[int] = None,
        link: Optional[str] = None,
        models: Optional[Sequence[str]] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Comparison of nested models: F and likelihood ratio tests.

        ``konsil anova 'sbp ~ age + sex'``
        """
        return self.analysis(
            "anova", formula, id=id, family=family, iterations=iterations, link=link, models=models, weights=weights
        )

    def elastic_net(
        self,
        formula: str,
        *,
        alpha: Optional[float] = None,
        folds: Optional[int] = None,
        iterations: Optional[int] = None,
        lambda_: Optional[float] = None,
        seed: Optional[int] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Ridge, lasso and elastic net regression with cross-validation.

        ``konsil elastic_net 'sbp ~ age + sex + bmi + stage + smoker'``
        """
        return self.analysis(
            "elastic_net", formula, id=id, alpha=alpha, folds=folds, iterations=iterations, lambda_=lambda_, seed=seed
        )

    def meta(
        self,
        formula: str,
        *,
        family: Optional[str] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Meta-analysis of models fitted at each centre, fixed and random effects.

        ``konsil meta 'sbp ~ age + arm'``
        """
        return self.analysis("meta", formula, id=id, family=family, weights=weights)

    def cox(
        self,
        formula: str,
        *,
        baseline: bool = False,
        cluster: Optional[str] = None,
        concordance: bool = False,
        iterations: Optional[int] = None,
        points: Optional[int] = None,
        robust: Optional[str] = None,
        ties: Optional[str] = None,
        ties_max: Optional[int] = None,
        weights: Optional[str] = None,
        zph: bool = False,
        id: Optional[str] = None,
    ) -> Analysis:
        """Cox proportional hazards regression.

        ``konsil cox 'Surv(entry, months, died) ~ age + arm' --ties efron``
        """
        return self.analysis(
            "cox", formula, id=id, baseline=baseline, cluster=cluster, concordance=concordance, iterations=iterations,
            points=points, robust=robust, ties=ties, ties_max=ties_max, weights=weights, zph=zph
        )

    def km(
        self,
        formula: str,
        *,
        conf_type: Optional[str] = None,
        points: Optional[int] = None,
        rmean: Optional[float] = None,
        trend: bool = False,
        id: Optional[str] = None,
    ) -> Analysis:
        """Kaplan-Meier curves with log-rank test.

        ``konsil km 'Surv(months, died) ~ arm'``
        """
        return self.analysis("km", formula, id=id, conf_type=conf_type, points=points, rmean=rmean, trend=trend)

    def cuminc(self, formula: str, *, points: Optional[int] = None, id: Optional[str] = None) -> Analysis:
        """Cumulative incidence of competing causes with Gray's test.

        ``konsil cuminc 'Surv(months, cause) ~ arm'``
        """
        return self.analysis("cuminc", formula, id=id, points=points)

    def survreg(
        self,
        formula: str,
        *,
        dist: Optional[str] = None,
        iterations: Optional[int] = None,
        weights: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Weibull and exponential regression of times to an event.

        ``konsil survreg 'Surv(months, died) ~ age + arm'``
        """
        return self.analysis("survreg", formula, id=id, dist=dist, iterations=iterations, weights=weights)

    def gwas(
        self,
        formula: str,
        *,
        axes: Optional[int] = None,
        background: Optional[float] = None,
        below: Optional[float] = None,
        coding: Optional[str] = None,
        condition: Optional[Sequence[str]] = None,
        correct: Optional[str] = None,
        doses: bool = False,
        family: Optional[str] = None,
        hits_max: Optional[int] = None,
        hwe: Optional[float] = None,
        iterations: Optional[int] = None,
        maf: Optional[float] = None,
        men: Optional[str] = None,
        meta: bool = False,
        missing_max: Optional[float] = None,
        panel: Optional[str] = None,
        region: Optional[str] = None,
        sealed: bool = False,
        show: Optional[str] = None,
        traits: Optional[Sequence[str]] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Association of a trait with each variant of a panel.

        ``konsil gwas 'ldl ~ age + sex' --panel lab/panel.tsv``
        """
        return self.analysis(
            "gwas", formula, id=id, axes=axes, background=background, below=below, coding=coding, condition=condition,
            correct=correct, doses=doses, family=family, hits_max=hits_max, hwe=hwe, iterations=iterations, maf=maf,
            men=men, meta=meta, missing_max=missing_max, panel=panel, region=region, sealed=sealed, show=show,
            traits=traits
        )

    def burden(
        self,
        formula: str,
        *,
        family: Optional[str] = None,
        iterations: Optional[int] = None,
        panel: Optional[str] = None,
        sets: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Rare variants of a gene together: burden test, SKAT, SKAT-O.

        ``konsil burden 'ldl ~ age + sex' --panel lab/panel.tsv --sets lab/genes.tsv``
        """
        return self.analysis("burden", formula, id=id, family=family, iterations=iterations, panel=panel, sets=sets)

    def variant_qc(
        self,
        *,
        maf: Optional[float] = None,
        missing_max: Optional[float] = None,
        panel: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Frequency, missing genotypes and Hardy-Weinberg test of each variant of a panel.

        ``konsil variant_qc --panel lab/panel.tsv``
        """
        return self.analysis("variant_qc", id=id, maf=maf, missing_max=missing_max, panel=panel)

    def ld(
        self,
        *,
        among: Optional[str] = None,
        maf: Optional[float] = None,
        missing_max: Optional[float] = None,
        panel: Optional[str] = None,
        r2: Optional[float] = None,
        window: Optional[int] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Which neighbouring variants of a panel are linked, for thinning and clumping.

        ``konsil ld --panel lab/panel.tsv --window 20``
        """
        return self.analysis(
            "ld", id=id, among=among, maf=maf, missing_max=missing_max, panel=panel, r2=r2, window=window
        )

    def relatives(
        self,
        *,
        among: Optional[str] = None,
        kinship: Optional[float] = None,
        maf: Optional[float] = None,
        missing_max: Optional[float] = None,
        panel: Optional[str] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """People with a relative in another centre, by genotypes.

        ``konsil relatives --panel lab/panel.tsv --kinship 0.354``
        """
        return self.analysis(
            "relatives", id=id, among=among, kinship=kinship, maf=maf, missing_max=missing_max, panel=panel
        )

    def t_test(
        self,
        *what: str,
        mu: Optional[float] = None,
        paired: bool = False,
        var_equal: bool = False,
        id: Optional[str] = None,
    ) -> Analysis:
        """T test of two groups, one sample or pairs.

        ``konsil t_test 'bmi ~ sex'``
        """
        return self.analysis("t_test", *what, id=id, mu=mu, paired=paired, var_equal=var_equal)

    def oneway(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """One-way analysis of variance.

        ``konsil oneway 'sbp ~ stage'``
        """
        return self.analysis("oneway", formula, id=id)

    def levene(self, formula: str, *, center: Optional[str] = None, id: Optional[str] = None) -> Analysis:
        """Levene's test of equal variances.

        ``konsil levene 'sbp ~ stage'``
        """
        return self.analysis("levene", formula, id=id, center=center)

    def wilcox(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Wilcoxon rank sum test (Mann-Whitney).

        ``konsil wilcox 'crp ~ arm'``
        """
        return self.analysis("wilcox", formula, id=id)

    def kruskal(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Kruskal-Wallis rank test of groups.

        ``konsil kruskal 'crp ~ stage'``
        """
        return self.analysis("kruskal", formula, id=id)

    def signed_rank(self, *what: str, mu: Optional[float] = None, id: Optional[str] = None) -> Analysis:
        """Wilcoxon signed rank test of pairs.

        ``konsil signed_rank sbp sbp_later``
        """
        return self.analysis("signed_rank", *what, id=id, mu=mu)

    def ks(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Kolmogorov-Smirnov test of two groups.

        ``konsil ks 'age ~ arm'``
        """
        return self.analysis("ks", formula, id=id)

    def roc(self, formula: str, *, cutoffs: Optional[Sequence[float]] = None, id: Optional[str] = None) -> Analysis:
        """Area under the ROC curve.

        ``konsil roc 'crp ~ died'``
        """
        return self.analysis("roc", formula, id=id, cutoffs=cutoffs)

    def chisq(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Chi-squared test of two variables with levels.

        ``konsil chisq 'stage ~ response'``
        """
        return self.analysis("chisq", formula, id=id)

    def fisher(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Fisher's exact test.

        ``konsil fisher 'died ~ arm'``
        """
        return self.analysis("fisher", formula, id=id)

    def mcnemar(self, *what: str, id: Optional[str] = None) -> Analysis:
        """McNemar's test of pairs.

        ``konsil mcnemar pain pain_later``
        """
        return self.analysis("mcnemar", *what, id=id)

    def cmh(self, formula: str, *, id: Optional[str] = None) -> Analysis:
        """Cochran-Mantel-Haenszel test in strata.

        ``konsil cmh 'died ~ arm + centre'``
        """
        return self.analysis("cmh", formula, id=id)

    def cor(self, *what: str, id: Optional[str] = None) -> Analysis:
        """Pearson's correlations.

        ``konsil cor age bmi sbp``
        """
        return self.analysis("cor", *what, id=id)

    def spearman(self, *what: str, id: Optional[str] = None) -> Analysis:
        """Spearman's rank correlation.

        ``konsil spearman age visits``
        """
        return self.analysis("spearman", *what, id=id)

    def pca(self, *what: str, id: Optional[str] = None) -> Analysis:
        """Principal components.

        ``konsil pca age bmi sbp sbp_later``
        """
        return self.analysis("pca", *what, id=id)

    def kmeans(
        self,
        *what: str,
        iterations: Optional[int] = None,
        k: Optional[int] = None,
        raw: bool = False,
        seed: Optional[int] = None,
        starts: Optional[int] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """K-means clusters.

        ``konsil kmeans age bmi sbp --k 3``
        """
        return self.analysis("kmeans", *what, id=id, iterations=iterations, k=k, raw=raw, seed=seed, starts=starts)

    def validate(
        self,
        formula: str,
        *,
        coefficients: Optional[Sequence[float]] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Validation of a model: AUC, calibration, Brier score, net benefit.

        ``konsil validate 'died ~ age + arm' --coefficients -2.1,0.03,-0.4``
        """
        return self.analysis("validate", formula, id=id, coefficients=coefficients)

    def concordance(
        self,
        formula: str,
        *,
        coefficients: Optional[Sequence[float]] = None,
        id: Optional[str] = None,
    ) -> Analysis:
        """Validation of a survival model: Harrell's concordance.

        ``konsil concordance 'Surv(months, died) ~ age + arm' --coefficients 0.03,-0.4``
        """
        return self.analysis("concordance", formula, id=id, coefficients=coefficients)

    def leave_out(self, formula: str, *, iterations: Optional[int] = None, id: Optional[str] = None) -> Analysis:
        """Validation of a logistic model, each centre by the model of the others.

        ``konsil leave_out 'died ~ age + arm'``
        """
        return self.analysis("leave_out", formula, id=id, iterations=iterations)
