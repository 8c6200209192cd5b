//! `cargo xtask package lambda`: the functions' zip files, as CloudFormation's template names them; [`container`] for images.
//!
//! The same binaries give the same bytes, on any day and machine: one entry, a fixed time, a fixed mode, no extra fields.

mod container;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::sbom;
use crate::workspace::{Workspace, short_hash};

/// What is shipped as functions.
pub(crate) const FUNCTIONS: [&str; 3] = ["tracker", "alerter", "exporter"];

/// What Lambda starts.
const ENTRY: &str = "bootstrap";
const EXECUTABLE: u32 = 0o755;
/// Where it runs, and the glibc, 2.x, that is there.
const RUNTIME: &str = "provided.al2023";
const GLIBC: u32 = 34;

/// Arguments of `cargo xtask package`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Zip files of Lambda functions: `FUNCTION-ARCHITECTURE-VERSION.zip`
    Lambda(Lambda),
    /// An image of the program for containers, as a layout of the Open Container Initiative
    Container(container::Container),
}

#[derive(Debug, clap::Args)]
struct Lambda {
    /// Architecture that the binaries were built for
    #[arg(long, value_enum)]
    arch: Architecture,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Binaries, stripped of symbols, such as tracker=stripped/tracker
    #[arg(required = true, value_name = "FUNCTION=FILE")]
    functions: Vec<Function>,
}

/// As Lambda and the template call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Architecture {
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// As cargo calls it.
    const fn target(self) -> &'static str {
        match self {
            Architecture::Arm64 => "aarch64-unknown-linux-gnu",
            Architecture::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86_64 => "x86_64",
        }
    }

    /// `e_machine` of an ELF file.
    const fn machine(self) -> u16 {
        match self {
            Architecture::Arm64 => 183,
            Architecture::X86_64 => 62,
        }
    }
}

/// A function and the binary it runs.
#[derive(Debug, Clone)]
struct Function {
    name: String,
    binary: PathBuf,
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Function, String> {
        let (name, binary) = text.split_once('=').ok_or("write FUNCTION=FILE")?;
        if !FUNCTIONS.contains(&name) {
            return Err(format!("there is no function {name:?}: tracker, alerter or exporter"));
        }
        Ok(Function { name: name.to_owned(), binary: binary.into() })
    }
}

/// Writes what is asked for and the bill of what it is made of, and says what it is called and how large it is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let lambda = match &options.what {
        What::Lambda(lambda) => lambda,
        What::Container(container) => return container::run(workspace, container),
    };
    let version = zip(lambda)?;
    let file = lambda.out.join(format!("sbom-{}-{version}.cdx.json", lambda.arch.name()));
    let bill = sbom::of_package(workspace, "lambda", lambda.arch.target())?;
    fs::write(&file, format!("{bill:#}\n")).with_context(|| format!("failed to write {}", file.display()))?;
    println!("{}  {} crates", file.display(), bill["components"].as_array().map_or(0, Vec::len));
    remove_others(lambda, "sbom", ".cdx.json", &version)
}

/// Writes the zip files and returns their version.
fn zip(lambda: &Lambda) -> anyhow::Result<String> {
    let mut binaries = Vec::new();
    for (place, function) in lambda.functions.iter().enumerate() {
        let is_new = lambda.functions[..place].iter().all(|earlier| earlier.name != function.name);
        ensure!(is_new, "{} is named twice", function.name);
        binaries.push((function.name.as_str(), read(&function.binary, lambda.arch)?));
    }
    // In the order of their names, so that the version does not depend on that of the arguments.
    binaries.sort_by_key(|(name, _)| *name);
    let version = version(&binaries);

    fs::create_dir_all(&lambda.out).with_context(|| format!("failed to create {}", lambda.out.display()))?;
    println!("version {version}");
    for (name, binary) in &binaries {
        let file = lambda.out.join(format!("{name}-{}-{version}.zip", lambda.arch.name()));
        let zipped = pack(binary).with_context(|| format!("failed to pack {name}"))?;
        fs::write(&file, &zipped).with_context(|| format!("failed to write {}", file.display()))?;
        println!("{}  {} bytes, {} inflated", file.display(), zipped.len(), binary.len());
        remove_others(lambda, name, ".zip", &version)?;
    }
    Ok(version)
}

/// Removes files of other versions: a folder of two versions does not say which one is meant.
fn remove_others(lambda: &Lambda, name: &str, ending: &str, version: &str) -> anyhow::Result<()> {
    let beginning = format!("{name}-{}-", lambda.arch.name());
    let is_version = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for entry in fs::read_dir(&lambda.out).with_context(|| format!("failed to list {}", lambda.out.display()))? {
        let file = entry?;
        let file_name = file.file_name();
        let found = file_name.to_str().and_then(|file| file.strip_prefix(&beginning)?.strip_suffix(ending));
        if found.filter(is_version).is_some_and(|found| found != version) {
            fs::remove_file(file.path()).with_context(|| format!("failed to remove {}", file.path().display()))?;
            println!("{}  removed", file.path().display());
        }
    }
    Ok(())
}

/// The content hash of all functions: the template's `CodeVersion`.
fn version(binaries: &[(&str, Vec<u8>)]) -> String {
    let parts: Vec<&[u8]> = binaries.iter().flat_map(|(name, binary)| [name.as_bytes(), binary.as_slice()]).collect();
    short_hash(&parts)
}

/// Reads a binary that Lambda can run on this architecture.
fn read(file: &Path, architecture: Architecture) -> anyhow::Result<Vec<u8>> {
    let binary = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let Some(&[low, high]) = binary.get(18..20).filter(|_| binary.starts_with(b"\x7fELF")) else {
        bail!("{} is no Linux program", file.display());
    };
    let machine = u16::from_le_bytes([low, high]);
    ensure!(machine == architecture.machine(), "{} was not built for {}", file.display(), architecture.name());
    let wanted = glibc(&binary);
    ensure!(
        wanted.is_none_or(|wanted| wanted <= GLIBC),
        "{} needs glibc 2.{}, and {RUNTIME} has 2.{GLIBC}: build it where glibc is no newer",
        file.display(),
        wanted.unwrap_or_default()
    );
    Ok(binary)
}

/// The newest glibc, 2.x, of which a program wants something; none where it wants nothing, such as with musl.
fn glibc(binary: &[u8]) -> Option<u32> {
    const VERSION: &[u8] = b"\0GLIBC_2.";
    let versions = binary.windows(VERSION.len()).enumerate().filter(|(_, window)| *window == VERSION);
    let number = |(at, _)| {
        let digits = binary[at + VERSION.len()..].iter().take_while(|byte| byte.is_ascii_digit()).take(3);
        digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    versions.map(number).max()
}

/// How large the zip file of a binary is.
pub(crate) fn zipped(binary: &Path) -> anyhow::Result<usize> {
    let bytes = fs::read(binary).with_context(|| format!("failed to read {}", binary.display()))?;
    Ok(pack(&bytes)?.len())
}

/// A zip file with the binary as its only entry.
fn pack(binary: &[u8]) -> anyhow::Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(EXECUTABLE);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(ENTRY, options)?;
    zip.write_all(binary)?;
    let zipped = zip.finish()?.into_inner();

    // What is uploaded is what was built.
    let mut archive = ZipArchive::new(Cursor::new(&zipped))?;
    let mut inflated = Vec::new();
    archive.by_name(ENTRY)?.read_to_end(&mut inflated)?;
    ensure!(inflated == binary, "the zip file does not hold what was put in");
    Ok(zipped)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use zip::ZipArchive;

    use super::{Architecture, Function, Lambda, pack, read, version, zip};

    /// The head of a program for an architecture, and something that deflates.
    fn program(architecture: Architecture, filling: u8) -> Vec<u8> {
        let mut binary = b"\x7fELF\x02\x01\x01".to_vec();
        binary.resize(18, 0);
        binary.extend(architecture.machine().to_le_bytes());
        binary.resize(100_000, filling);
        binary
    }

    #[test]
    fn zip_holds_one_executable_file_of_no_time() {
        let zipped = pack(&program(Architecture::Arm64, 7)).unwrap();
        let mut archive = ZipArchive::new(Cursor::new(&zipped)).unwrap();
        assert_eq!(archive.len(), 1);
        let entry = archive.by_name("bootstrap").unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(entry.last_modified().map(|time| (time.year(), time.month(), time.day())), Some((1980, 1, 1)));
        assert!(zipped.len() < 1_000);
    }

    #[test]
    fn same_binaries_give_same_bytes_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let function = |name: &str, filling| {
            let binary = folder.path().join(name);
            fs::write(&binary, program(Architecture::X86_64, filling)).unwrap();
            Function { name: name.to_owned(), binary }
        };
        let functions = [function("tracker", 1), function("alerter", 2)];
        let written = |order: Vec<Function>, out: &str| {
            let out = folder.path().join(out);
            zip(&Lambda { arch: Architecture::X86_64, out: out.clone(), functions: order }).unwrap();
            let mut files: Vec<_> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap()).collect();
            files.sort_by_key(fs::DirEntry::file_name);
            files.iter().map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect::<Vec<_>>()
        };
        let [tracker, alerter] = functions;
        let first = written(vec![tracker.clone(), alerter.clone()], "first");
        let second = written(vec![alerter, tracker], "second");
        assert!(first.len() == 2 && first == second);
        let name = first[0].0.to_string_lossy().into_owned();
        assert!(name.starts_with("alerter-x86_64-") && name.ends_with(".zip"), "{name}");
    }

    #[test]
    fn older_versions_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("tracker");
        fs::write(&binary, program(Architecture::X86_64, 1)).unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        let stay =
            ["alerter-x86_64-00ff.zip", "tracker-arm64-00ff.zip", "tracker-x86_64-notes.zip", "tracker-x86_64-00ff"];
        for file in stay.iter().chain(&["tracker-x86_64-00ff.zip"]) {
            fs::write(out.join(file), "").unwrap();
        }
        let functions = vec![Function { name: "tracker".to_owned(), binary }];
        let version = zip(&Lambda { arch: Architecture::X86_64, out: out.clone(), functions }).unwrap();
        let mut left: Vec<String> =
            fs::read_dir(out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut wanted = stay.map(str::to_owned).to_vec();
        wanted.push(format!("tracker-x86_64-{version}.zip"));
        wanted.sort();
        assert_eq!(left, wanted);
    }

    #[test]
    fn another_binary_is_another_version() {
        let one = version(&[("tracker", vec![1]), ("alerter", vec![2])]);
        assert_ne!(one, version(&[("tracker", vec![1]), ("alerter", vec![3])]));
        assert_ne!(one, version(&[("tracker", vec![2]), ("alerter", vec![1])]));
    }

    #[test]
    fn what_lambda_could_not_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tracker");
        fs::write(&file, program(Architecture::X86_64, 0)).unwrap();
        assert!(read(&file, Architecture::X86_64).is_ok());
        let wanting = |version: &str| {
            let mut binary = program(Architecture::X86_64, 0);
            binary.extend(format!("\0GLIBC_2.2.5\0GLIBC_{version}\0GLIBC_2.9\0").bytes());
            fs::write(&file, binary).unwrap();
            read(&file, Architecture::X86_64).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(wanting("2.34"), Ok(()));
        assert!(wanting("2.36").unwrap_err().contains("needs glibc 2.36, and provided.al2023 has 2.34"));
        assert_eq!(wanting("2.34"), Ok(()));
        let error = read(&file, Architecture::Arm64).unwrap_err().to_string();
        assert!(error.ends_with("was not built for arm64"), "{error}");
        fs::write(&file, "#!/bin/sh\nexit 0\n").unwrap();
        assert!(read(&file, Architecture::X86_64).is_err());
        assert!("tracker".parse::<Function>().is_err() && "tacker=x".parse::<Function>().is_err());
    }
}
