//! Processes that use the tables: what reads the environment runs in one of its own.

use std::process::Command;

use aws::{Access, Aws, TableNames, Tables};
use event::Timestamp;
use testkit::deployment::Deployment;

pub(crate) struct Stage(pub(crate) Deployment);

pub(crate) struct Ended {
    pub(crate) success: bool,
    said: String,
}

impl Stage {
    pub(crate) fn open() -> Option<Stage> {
        let deployment = Deployment::open();
        if deployment.is_none() {
            eprintln!("skipped: TRAILHOUND_PYTHON is not set");
        }
        deployment.map(Stage)
    }

    /// Runs one process against fresh tables.
    pub(crate) fn play(process: &str) {
        if let Some(stage) = Stage::open() {
            stage.check(process);
        }
    }

    /// Runs a process that is to end well.
    pub(crate) fn check(&self, process: &str) {
        let ended = self.run(process, &[]);
        assert!(ended.success && ended.said.contains("1 passed"), "{process}: {}", ended.said);
    }

    pub(crate) fn run(&self, process: &str, environment: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([process, "--exact", "--ignored", "--nocapture"]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")])
            .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none")])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_DYNAMODB", &self.0.endpoint)
            .envs(environment.iter().copied());
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ended { success: output.status.success(), said }
    }
}

/// The tables, as a process uses them.
pub(crate) fn tables() -> Tables {
    let account = Aws::open(&Access::default(), None).unwrap().named("111122223333");
    Tables::new(&account, TableNames::of_stack(Deployment::STACK), None)
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}
