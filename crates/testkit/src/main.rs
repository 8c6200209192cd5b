//! AWS on this machine, for trying things out: `cargo run -p testkit -- cloudtrail --data DIR --port N`, and a folder as a
//! bucket: `cargo run -p testkit -- s3 --data DIR --bucket NAME --port N`.

use std::process::ExitCode;

use testkit::command::{run, tell};

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell(&message);
            ExitCode::FAILURE
        }
    }
}
