//! The function `exporter`.

fn main() -> std::process::ExitCode {
    lambda::runtime::main(lambda::exporter::Exporter::open)
}
