//! Tests of the analyses at simulated centres, on the ideal backend and on shares.

// `cfg(test)` tells clippy that the shared parts belong to the tests as well.
#[cfg(test)]
mod backends;
#[cfg(test)]
mod burden;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod cox_more;
#[cfg(test)]
mod cox_sets;
#[cfg(test)]
mod cuminc;
#[cfg(test)]
mod curves;
#[cfg(test)]
mod designs;
#[cfg(test)]
mod elastic_net;
#[cfg(test)]
mod gee;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod gusto1;
#[cfg(test)]
mod gusto1_models;
#[cfg(test)]
mod gwas;
#[cfg(test)]
mod gwas_background;
#[cfg(test)]
mod gwas_doses;
#[cfg(test)]
mod gwas_more;
#[cfg(test)]
mod gwas_sets;
#[cfg(test)]
mod gwas_survival;
#[cfg(test)]
mod gwas_x;
#[cfg(test)]
mod impute;
#[cfg(test)]
mod ist_stroke;
#[cfg(test)]
mod ld;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod mixed;
#[cfg(test)]
mod models;
#[cfg(test)]
mod more_sets;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod relatives;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod support;
#[cfg(test)]
mod survival_sets;
#[cfg(test)]
mod survreg;
#[cfg(test)]
mod tcga_brca;
#[cfg(test)]
mod vectors;
