//! The function `alerter`.

fn main() -> std::process::ExitCode {
    lambda::runtime::main(lambda::alerter::Alerter::open)
}
