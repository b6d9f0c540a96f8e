//! The `konsil` command.

mod analysis;
mod arguments;
mod audit;
mod bench;
mod budget;
mod bundle;
mod consent;
mod data;
mod demo;
mod demo_pages;
mod demo_scan;
mod dict;
mod doctor;
mod documents;
mod dossier;
mod example;
mod example_genotypes;
mod example_import;
mod explain;
mod failure;
mod figures;
mod geno;
mod gwas_figures;
mod gwas_files;
mod gwas_summary;
mod joining;
mod key;
mod lab;
mod lab_geno;
mod linked_files;
mod model;
mod network;
mod pages;
mod panels;
mod permit;
mod pgx;
mod power;
mod processes;
mod prs;
mod regions;
mod render;
mod report;
mod request;
mod result;
mod results;
mod screen;
mod steward;
mod study;
mod subject;
mod submit;
mod transparency;
mod ui;
mod variant_files;

use arguments::{Arguments, Command, DealerCommand, NodeCommand};
use clap::Parser;
use failure::Failure;
use konsil_governance::network::MemberRole;
use konsil_node::Patient;
use screen::Screen;
use std::process::ExitCode;

/// Columns of shares are allocated and freed all the time; the system's allocator gives their pages
/// back to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(&arguments);
    match run(arguments, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn run(arguments: Arguments, screen: &Screen) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo(options) => demo::demo(&options, screen),
        Command::Lab(command) => lab::lab(command, screen),
        Command::Plan { study, network } => study::plan(&study, &network, screen),
        Command::Ui(options) => ui::ui(&options, screen),
        Command::Submit(options) => submit::submit(&options, screen),
        Command::Run { study, network, patience, out } => {
            study::run_file(&study, (&network, &patience, &out), screen)
        }
        Command::Result(command) => result::result(command, screen),
        Command::Request(command) => request::request(command, screen),
        Command::Steward(command) => steward::steward(command, screen),
        Command::Policy(command) => steward::policy(command, screen),
        Command::Permit(command) => permit::permit(command, screen),
        Command::Analysis(command) => study::one_line(command, screen),
        Command::Predict(options) => model::predict(&options, screen),
        Command::Power(command) => power::plan(&command, screen),
        Command::Adjust(options) => power::adjust(&options, screen),
        Command::Dict(command) => data::dict(command, screen),
        Command::Data(command) => data::data(command, screen),
        Command::Geno(command) => geno::geno(command, screen),
        Command::Prs(command) => prs::prs(&command, screen),
        Command::Pgx(options) => pgx::pgx(&options, screen),
        Command::Network(command) => network::network(command, screen),
        Command::Node(command) => node(command, screen),
        Command::Dealer(command) => dealer(command, screen),
        Command::Researcher(command) => joining::joining(command, MemberRole::Researcher, screen),
        Command::Dossier(options) => dossier::dossier(&options, screen),
        Command::Transparency(options) => transparency::transparency(&options, screen),
        Command::Audit(command) => audit::audit(command, screen),
        Command::Budget(command) => budget::budget(command, screen),
        Command::Bench(arguments::BenchCommand::Primitives(options)) => {
            bench::primitives(&options, screen)
        }
        Command::Bench(arguments::BenchCommand::Wan(options)) => bench::wan(&options, screen),
        Command::Bench(arguments::BenchCommand::Party { dir, me }) => bench::party(&dir, me),
        Command::Bench(arguments::BenchCommand::Dealer { dir }) => bench::dealer(&dir),
        Command::Consent(command) => consent::consent(command, screen),
        Command::SubjectReport(options) => subject::report(&options, screen),
        Command::Explain { code } => explain::explain(code.as_deref(), screen),
        Command::Completion { shell } => arguments::completion(shell, screen),
        Command::Man { dir } => arguments::man(&dir, screen),
    }
}

fn node(command: NodeCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        NodeCommand::Joining(command) => joining::joining(command, MemberRole::Centre, screen),
        NodeCommand::Key(command) => key::key(command, screen),
        NodeCommand::Doctor { dir } => doctor::doctor(&dir, Patient::Centre, screen),
        NodeCommand::Pages(options) => pages::pages(&options, screen),
        NodeCommand::Account(command) => pages::account(command, screen),
        NodeCommand::Runs { dir } => data::runs(&dir, screen),
        NodeCommand::Serve { dir, attached } => {
            processes::serve(&dir, attached, konsil_node::serve_centre)
        }
    }
}

fn dealer(command: DealerCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        DealerCommand::Joining(command) => joining::joining(command, MemberRole::Dealer, screen),
        DealerCommand::Doctor { dir } => doctor::doctor(&dir, Patient::Dealer, screen),
        DealerCommand::Serve { dir, attached } => {
            processes::serve(&dir, attached, konsil_node::serve_dealer)
        }
    }
}
