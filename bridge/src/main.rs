//! The `capbridge` program.

fn main() -> std::process::ExitCode {
    capbridge::cli::main()
}
