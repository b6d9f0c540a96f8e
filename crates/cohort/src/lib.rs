//! Patients of one centre: dictionary, import, encrypted data sets, cohorts, formulas.
