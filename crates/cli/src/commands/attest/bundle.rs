//! The bundle of evidence: a zip that an auditor checks with openssl and sha256sum.
//!
//! | part | what it is |
//! |---|---|
//! | `GUIDE.md` | how to check it |
//! | `statement.csv`, `statement.json` | every hour, and the counts |
//! | `findings.jsonl` | what is wrong or could not be judged |
//! | `digests.csv`, `digests/N.json`, `.sig`, `.signed` | each digest, its signature, and the text that is signed |
//! | `keys/FINGERPRINT.pem` | the public keys that the digests name |
//! | `logs.sha256` | the hash of every log file that a digest names |
//! | `include/N.sql`, `include/N.jsonl` | questions and their answers |
//! | `MANIFEST.sha256` | the hash of every other part |

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use integrity::digest::LogFile;
use integrity::hash::{Hashing, unhex};
use integrity::keys::PublicKey;
use integrity::layout::Lane;
use integrity::pem;
use integrity::testimony::Testimony;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(super) const MANIFEST: &str = "MANIFEST.sha256";
pub(super) const STATEMENT: &str = "statement.csv";
pub(super) const SUMMARY: &str = "statement.json";
pub(super) const FINDINGS: &str = "findings.jsonl";
pub(super) const DIGESTS: &str = "digests.csv";
pub(super) const LOGS: &str = "logs.sha256";
const GUIDE: &str = "GUIDE.md";
/// The columns of `digests.csv`: what a shell reads comes first, a stranger's text last.
pub(super) const DIGEST_COLUMNS: [&str; 7] = ["number", "fingerprint", "sha256", "end", "account", "region", "key"];

/// A part that grows while others are written.
struct Growing {
    name: &'static str,
    path: PathBuf,
    file: BufWriter<File>,
}

/// A bundle that is being written. It appears whole or not at all.
pub(super) struct Bundle {
    target: PathBuf,
    /// Holds what is not finished; removed with it.
    folder: PathBuf,
    /// Taken when it is finished.
    zip: Option<ZipWriter<BufWriter<File>>>,
    manifest: String,
    growing: Vec<Growing>,
    keys: BTreeSet<String>,
    digests: u64,
}

impl Bundle {
    pub(super) fn create(target: &Path) -> anyhow::Result<Bundle> {
        if target.exists() {
            bail!("{} is there already: evidence is not overwritten", target.display());
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let folder = target.with_file_name(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
                "{} is there already: another run makes this evidence, or one was cut off; remove the folder where none runs",
                folder.display()
            ),
            made => made.with_context(|| format!("failed to create {}", folder.display()))?,
        }
        let zip = Some(ZipWriter::new(BufWriter::new(File::create(folder.join("zip"))?)));
        let mut growing = Vec::new();
        for name in [STATEMENT, FINDINGS, DIGESTS, LOGS] {
            let path = folder.join(name);
            growing.push(Growing { name, file: BufWriter::new(File::create(&path)?), path });
        }
        let target = target.to_owned();
        let (manifest, keys) = Default::default();
        let mut bundle = Bundle { target, folder, zip, manifest, growing, keys, digests: 0 };
        bundle.row(DIGESTS, &DIGEST_COLUMNS)?;
        Ok(bundle)
    }

    /// Writes a part.
    pub(super) fn part(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.stream(name, &mut &content[..])
    }

    fn stream(&mut self, name: &str, content: &mut dyn Read) -> io::Result<()> {
        // An hour in a bundle is the hour it tells of, not that of its making: the same evidence is the same file.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        let zip = self.zip.as_mut().ok_or_else(|| io::Error::other("the bundle is finished"))?;
        zip.start_file(name, options)?;
        let mut hashing = Hashing::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hashing.update(&buffer[..read]);
            zip.write_all(&buffer[..read])?;
        }
        if name != MANIFEST {
            self.manifest.push_str(&format!("{}  {name}\n", hashing.finish()));
        }
        Ok(())
    }

    /// Adds a line to a growing part.
    pub(super) fn line(&mut self, part: &str, line: &str) -> io::Result<()> {
        let growing = self.growing.iter_mut().find(|growing| growing.name == part);
        let growing = growing.ok_or_else(|| io::Error::other(format!("no part grows that is called {part}")))?;
        growing.file.write_all(line.as_bytes())?;
        growing.file.write_all(b"\n")
    }

    /// Adds a row to a growing part.
    pub(super) fn row(&mut self, part: &str, fields: &[impl AsRef<str>]) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
        writer.write_record(fields.iter().map(AsRef::as_ref))?;
        let line = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.line(part, String::from_utf8_lossy(&line).trim_end_matches('\n'))
    }

    /// Adds a digest with a signature, and the hashes of the log files it names.
    pub(super) fn digest(&mut self, lane: &Lane, testimony: &Testimony, signature: Option<&str>) -> io::Result<()> {
        self.digests += 1;
        let number = format!("{:06}", self.digests);
        let Testimony { key, text, hash, digest, signed, .. } = testimony;
        self.part(&format!("digests/{number}.json"), text)?;
        self.part(&format!("digests/{number}.signed"), signed.as_bytes())?;
        if let Some(signature) = signature.and_then(unhex) {
            self.part(&format!("digests/{number}.sig"), &signature)?;
        }
        let (hash, end) = (hash.to_string(), digest.end.to_string());
        // Strangers' text is shown as it is only where it cannot break out of a line.
        let fields =
            [&number, &hexadecimal(&digest.fingerprint), &hash, &end, &lane.account, &lane.region, &one_line(key)];
        self.row(DIGESTS, &fields)?;
        digest.log_files.iter().try_for_each(|file| self.log(file))
    }

    fn log(&mut self, file: &LogFile) -> io::Result<()> {
        match file.hash {
            Some(hash) => self.line(LOGS, &format!("{hash}  {}", one_line(&file.key))),
            None => Ok(()),
        }
    }

    /// Adds a key, once.
    pub(super) fn key(&mut self, key: &PublicKey) -> io::Result<()> {
        let name = hexadecimal(&key.fingerprint);
        if name.is_empty() || !self.keys.insert(name.clone()) {
            return Ok(());
        }
        self.part(&format!("keys/{name}.pem"), pem::write(&key.der).as_bytes())
    }

    /// Puts everything together. Returns the hash of the manifest.
    pub(super) fn finish(mut self) -> anyhow::Result<String> {
        self.part(GUIDE, include_bytes!("guide.md"))?;
        for mut growing in std::mem::take(&mut self.growing) {
            growing.file.flush()?;
            self.stream(growing.name, &mut BufReader::new(File::open(&growing.path)?))?;
        }
        let manifest = std::mem::take(&mut self.manifest);
        let hash = integrity::hash::Sha256::of(manifest.as_bytes()).to_string();
        self.part(MANIFEST, manifest.as_bytes())?;
        let zip = self.zip.take().context("the bundle is finished")?;
        let file = zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(self.folder.join("zip"), &self.target)
            .with_context(|| format!("failed to write {}", self.target.display()))?;
        Ok(hash)
    }
}

impl Drop for Bundle {
    #[expect(clippy::disallowed_methods, reason = "the folder was made by this bundle, and did not exist before")]
    fn drop(&mut self) {
        // Best effort: what is left over says by its name that it is a part.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Only the digits of a fingerprint: it names a file.
pub(super) fn hexadecimal(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).take(64).collect::<String>().to_ascii_lowercase()
}

/// A key on one line.
pub(super) fn one_line(key: &str) -> String {
    key.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
