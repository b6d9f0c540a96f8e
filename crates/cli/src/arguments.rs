//! Commands and options.

use crate::analysis::AnalysisCommand;
use crate::audit::AuditCommand;
use crate::budget::BudgetCommand;
use crate::dict::VersionCommand;
use crate::dossier::DossierOptions;
use crate::failure::Failure;
use crate::geno::GenoCommand;
use crate::joining::JoiningCommand;
use crate::key::KeyCommand;
use crate::lab_geno::LabGenoOptions;
use crate::model::PredictOptions;
use crate::network::NetworkCommand;
use crate::pages::{AccountCommand, PagesOptions};
use crate::permit::PermitCommand;
use crate::pgx::PgxOptions;
use crate::power::{AdjustOptions, PowerCommand};
use crate::prs::PrsCommand;
use crate::request::RequestCommand;
use crate::result::ResultCommand;
use crate::screen::Screen;
use crate::steward::{PolicyCommand, StewardCommand};
use crate::submit::{Patience, SubmitOptions};
use crate::transparency::TransparencyOptions;
use crate::ui::UiOptions;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Medical centres analyse their patients' data together without showing each other, or anyone, a
/// single patient.
#[derive(Debug, Parser)]
#[command(name = "konsil", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print the result as JSON, the last line of standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress, no tables.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colour.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Colour,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Six centres on this computer, a first study, and the same answer as pooling.
    Demo(DemoOptions),
    /// A whole network on this computer: a process and a folder for each centre.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Show what a study will reveal, send and need; no patient is looked at.
    Plan {
        /// The study file.
        study: PathBuf,
        #[command(flatten)]
        network: NetworkOptions,
    },
    /// Open the researcher's pages: write studies, plan, ask, run, read results.
    Ui(UiOptions),
    /// Send a study to the centres, for their stewards to approve.
    Submit(SubmitOptions),
    /// Run a study over the network, once all centres have approved it.
    Run {
        /// The study file.
        study: PathBuf,
        #[command(flatten)]
        network: NetworkOptions,
        #[command(flatten)]
        patience: Patience,
        /// Folder for the results.
        #[arg(short, long, default_value = "results")]
        out: PathBuf,
    },
    /// A result's folder: check it, run it again, print it.
    #[command(subcommand)]
    Result(ResultCommand),
    /// One analysis on one line.
    #[command(flatten)]
    Analysis(AnalysisCommand),
    /// Apply a fitted model to a file of patients, on this computer.
    Predict(PredictOptions),
    /// Power and sample size of a planned comparison, on this computer.
    #[command(subcommand)]
    Power(PowerCommand),
    /// Adjust the p values of result tables for their number, on this computer.
    Adjust(AdjustOptions),
    /// The shared dictionary: names, types, units, levels.
    #[command(subcommand)]
    Dict(DictCommand),
    /// Requests at a centre: read, approve, decline, ask, take back.
    #[command(subcommand)]
    Request(RequestCommand),
    /// A centre's stewards.
    #[command(subcommand)]
    Steward(StewardCommand),
    /// A centre's policy.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Permits of health data access bodies.
    #[command(subcommand)]
    Permit(PermitCommand),
    /// A centre's data sets.
    #[command(subcommand)]
    Data(DataCommand),
    /// A centre's genotypes, and the list of variants.
    #[command(subcommand)]
    Geno(GenoCommand),
    /// Polygenic scores, on this computer.
    #[command(subcommand)]
    Prs(PrsCommand),
    /// Phenotypes and recommendations for star alleles, by tables of yours, on this computer.
    Pgx(PgxOptions),
    /// A network's members: for its administrator.
    #[command(subcommand)]
    Network(NetworkCommand),
    /// A centre's node.
    #[command(subcommand)]
    Node(NodeCommand),
    /// The dealer of correlated randomness.
    #[command(subcommand)]
    Dealer(DealerCommand),
    /// A researcher's folder: key, network.
    #[command(subcommand)]
    Researcher(JoiningCommand),
    /// A centre's log: what happened, and that nothing of it was changed.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// A centre's privacy budget.
    #[command(subcommand)]
    Budget(BudgetCommand),
    /// What a data-protection officer asks for, as Markdown and HTML.
    Dossier(DossierOptions),
    /// A page for patients: which studies there were, and what protects them.
    Transparency(TransparencyOptions),
    /// Measure the secure engine on this computer.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// What patients have consented to; withdrawals.
    #[command(subcommand)]
    Consent(crate::consent::ConsentCommand),
    /// Which releases have used one patient's data: local, for the patient's own centre.
    SubjectReport(crate::subject::SubjectOptions),
    /// What an error code means and what to do; without a code, all of them.
    Explain {
        /// A code such as K0217.
        code: Option<String>,
    },
    /// Print shell completion.
    Completion {
        /// For which shell.
        shell: Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// The folder.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// End with the result, without pages, as without a terminal.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Serve the pages, terminal or not, and do not open a browser.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Where the researcher's pages are.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    pub(crate) listen: String,
    /// Keep the demo's folder, and put it here.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Folder for the results.
    #[arg(short, long, default_value = "konsil-demo")]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkOptions {
    /// The network file: centres, dealer, your key. A lab writes one.
    #[arg(long, default_value = "network.toml", value_name = "FILE")]
    pub(crate) network: PathBuf,
    /// How small messages travel: `mesh` waits once for the line, `star` sends fewer messages.
    #[arg(long, default_value = "mesh")]
    pub(crate) topology: Topology,
}

/// How small messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Topology {
    /// Everyone to everyone: one way of the line for each round.
    Mesh,
    /// Through one party in turn: two ways, few messages.
    Star,
}

impl From<Topology> for konsil_mpc::Topology {
    fn from(topology: Topology) -> Self {
        match topology {
            Topology::Mesh => Self::Mesh,
            Topology::Star => Self::Star,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OneLine {
    /// A formula in R's language, or names of variables.
    #[arg(required = true)]
    pub(crate) what: Vec<String>,
    /// Condition that patients must meet, in SQL: `age >= 50 and dx_ad`.
    #[arg(long, value_name = "WHERE")]
    pub(crate) cohort: Option<String>,
    #[command(flatten)]
    pub(crate) network: NetworkOptions,
    /// Folder for the results.
    #[arg(short, long, default_value = "results")]
    pub(crate) out: PathBuf,
    /// Only show the plan.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Make a lab: keys and folders for centres, dealer, researcher.
    New {
        /// The lab's folder.
        lab: PathBuf,
        /// Names of the centres.
        #[arg(long, value_delimiter = ',', required_unless_present = "example")]
        centres: Vec<String>,
        /// Every study waits for each centre's steward, whose key is centres/CENTRE/steward.key.
        #[arg(long)]
        by_hand: bool,
        /// Six centres with made-up patients, on which every example of the help runs.
        #[arg(long, conflicts_with = "centres")]
        example: bool,
    },
    /// Import patients into the lab's centres.
    Import {
        /// The lab's folder.
        lab: PathBuf,
        /// The dictionary.
        #[arg(long, value_name = "CSV")]
        dict: PathBuf,
        /// The centre that the files belong to.
        #[arg(long, conflicts_with = "split_by")]
        centre: Option<String>,
        /// The column whose values are the centres; one file becomes each centre's own data set.
        #[arg(long, value_name = "COLUMN")]
        split_by: Option<String>,
        /// Replace a text by a level or by `missing`: 'sex.d=missing'.
        #[arg(long, value_name = "VAR.TEXT=LEVEL")]
        map: Vec<String>,
        /// CSV or Parquet files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Import genotypes into the lab's centres, after the patients.
    #[command(
        after_help = "Example:\n  konsil lab geno lab --panel panel.tsv --split-by links.csv:centre all.bed"
    )]
    Geno(LabGenoOptions),
    /// Show what a study would reveal, send and need in this lab.
    Plan {
        /// The lab's folder.
        lab: PathBuf,
        /// The study file.
        study: PathBuf,
    },
    /// Start the lab, run a study, stop the lab.
    Run {
        /// The lab's folder.
        lab: PathBuf,
        /// The study file.
        study: PathBuf,
        /// Folder for the results.
        #[arg(short, long, default_value = "results")]
        out: PathBuf,
        /// How small messages travel.
        #[arg(long, default_value = "star")]
        topology: Topology,
    },
    /// Start the lab's processes and leave them running.
    Up {
        /// The lab's folder.
        lab: PathBuf,
    },
    /// Stop the lab's processes.
    Down {
        /// The lab's folder.
        lab: PathBuf,
    },
    /// Show centres, data sets and processes.
    Status {
        /// The lab's folder.
        lab: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DictCommand {
    #[command(flatten)]
    Version(VersionCommand),
    /// Make a dictionary from a data file; read it over before you share it.
    Init {
        /// Name of the dictionary; the file is NAME.csv.
        name: String,
        /// A CSV file with a header.
        #[arg(long, value_name = "CSV")]
        from: PathBuf,
        /// The dictionary file to write.
        #[arg(short, long)]
        out: Option<PathBuf>,
    },
    /// Check a dictionary file.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Import a CSV or Parquet file into a centre's encrypted data set.
    Import {
        /// The file.
        file: PathBuf,
        /// Name of the data set.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// The dictionary.
        #[arg(long, value_name = "CSV")]
        dict: PathBuf,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// Replace a text by a level or by `missing`: 'sex.d=missing'.
        #[arg(long, value_name = "VAR.TEXT=LEVEL")]
        map: Vec<String>,
        /// Columns of the dictionary may be absent; they are missing for all patients.
        #[arg(long)]
        allow_missing_columns: bool,
    },
    /// Make a data set, or genotypes, as they are now, those that studies use. Imports do so by
    /// themselves.
    Freeze {
        /// Name of the data set.
        name: String,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Check a file against the dictionary without importing it.
    Check {
        /// The file.
        file: PathBuf,
        /// The dictionary.
        #[arg(long, value_name = "CSV")]
        dict: PathBuf,
        /// Replace a text by a level or by `missing`.
        #[arg(long, value_name = "VAR.TEXT=LEVEL")]
        map: Vec<String>,
    },
    /// Show a centre's data sets.
    List {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    #[command(flatten)]
    Joining(JoiningCommand),
    /// The key that patients are sealed with at rest.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Look for what is wrong: files, keys, data, peers, clocks, last days.
    Doctor {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Run a centre's node.
    Serve {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// End when standard input closes.
        #[arg(long, hide = true)]
        attached: bool,
    },
    /// Serve the pages of stewards, administrators and patients.
    Pages(PagesOptions),
    /// Who may sign in on the pages.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Show the runs that this centre has taken part in, and how they ended.
    Runs {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DealerCommand {
    #[command(flatten)]
    Joining(JoiningCommand),
    /// Look for what is wrong: files, keys, last days.
    Doctor {
        /// The dealer's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Run the dealer.
    Serve {
        /// The dealer's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
        /// End when standard input closes.
        #[arg(long, hide = true)]
        attached: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Operations per second, bytes and rounds, with a process for each centre and the dealer.
    Primitives(PrimitivesOptions),
    /// A logistic regression over a simulated line with latency and limited bandwidth.
    Wan(WanOptions),
    /// One centre of a measurement.
    #[command(hide = true)]
    Party {
        /// Folder of the measurement.
        #[arg(long)]
        dir: PathBuf,
        /// Which centre.
        #[arg(long)]
        me: usize,
    },
    /// The dealer of a measurement.
    #[command(hide = true)]
    Dealer {
        /// Folder of the measurement.
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PrimitivesOptions {
    /// How many centres.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=16))]
    pub(crate) centres: u16,
    /// Runs of which the median is shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub(crate) runs: u16,
    /// Only operations whose name contains this.
    #[arg(long, default_value = "")]
    pub(crate) only: String,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WanOptions {
    /// How many centres.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(3..=16))]
    pub(crate) centres: u16,
    /// Covariates of the model.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) covariates: u16,
    /// Patients of each centre.
    #[arg(long, default_value_t = 2000)]
    pub(crate) rows: u32,
    /// Milliseconds there and back.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) round_trip_ms: f64,
    /// Megabits a second of each link.
    #[arg(long, default_value_t = 50)]
    pub(crate) megabits: u64,
    /// Open nothing but the result.
    #[arg(long)]
    pub(crate) sealed: bool,
}

/// Prints completion for a shell.
pub(crate) fn completion(shell: Shell, screen: &Screen) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "konsil", &mut text);
    screen.result(&String::from_utf8_lossy(&text));
    Ok(())
}

/// Writes `konsil.1` and a page for each command.
pub(crate) fn man(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
    clap_mangen::generate_to(Arguments::command(), dir)
        .map_err(|error| Failure::file(dir, &error))?;
    screen.note(&format!("✓ manual pages in {}", dir.display()));
    Ok(())
}
