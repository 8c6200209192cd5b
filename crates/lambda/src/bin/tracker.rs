//! The function `tracker`.

fn main() -> std::process::ExitCode {
    lambda::runtime::main(lambda::tracker::Tracker::open)
}
