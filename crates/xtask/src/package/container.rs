//! `cargo xtask package container`: an image layout of the Open Container Initiative, without a container tool.
//!
//! The same program gives the same bytes, on any day and machine: one layer whose entries are sorted and have no time and
//! fixed owners, and JSON in one order. An image of the program alone needs one that is linked statically (musl); one that
//! is linked to glibc goes upon a base image, which is a layout, too.
//!
//! Layout: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::sbom;
use crate::workspace::Workspace;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Who runs in it: nobody in particular, by number, so that no list of users is needed.
const USER: u32 = 65_532;
const PROGRAM: &str = "usr/local/bin/trailhound";
const HOME: &str = "data";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

#[derive(Debug, clap::Args)]
pub(super) struct Container {
    /// The program, stripped of symbols
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Folder to write the layout to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Layout of a base image, which a program that is linked to glibc needs; it has to have certificates
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Certificates of authorities to put into the image, such as /etc/ssl/certs/ca-certificates.crt
    #[arg(long, value_name = "FILE", required_unless_present = "base")]
    certificates: Option<PathBuf>,
}

/// What an ELF file says of where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    /// As images call it.
    architecture: &'static str,
    /// Whether it wants a linker and libraries that are there.
    is_linked: bool,
}

/// Writes the layout and the bill of what the program is made of.
pub(super) fn run(workspace: &Workspace, container: &Container) -> anyhow::Result<()> {
    let program = write(container)?;
    let libc = if program.is_linked { "gnu" } else { "musl" };
    let processor = if program.architecture == "arm64" { "aarch64" } else { "x86_64" };
    let bill = sbom::of_package(workspace, "cli", &format!("{processor}-unknown-linux-{libc}"))?;
    let file = container.out.join("sbom.cdx.json");
    fs::write(&file, format!("{bill:#}\n")).with_context(|| format!("failed to write {}", file.display()))?;
    println!("{}  {} crates", file.display(), bill["components"].as_array().map_or(0, Vec::len));
    Ok(())
}

fn write(container: &Container) -> anyhow::Result<Program> {
    let binary = read(&container.binary)?;
    let program = program(&binary).with_context(|| format!("{} is no Linux program", container.binary.display()))?;
    ensure!(
        container.base.is_some() || !program.is_linked,
        "{} wants a dynamic linker and glibc, which an image of nothing has not: build it for musl, or name the layout of \
         a base image with --base",
        container.binary.display()
    );
    let certificates = container.certificates.as_deref().map(read).transpose()?;
    if let (Some(text), Some(file)) = (&certificates, &container.certificates) {
        let is_pem = text.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
        ensure!(is_pem, "{} has no certificates in PEM", file.display());
    }
    let base = container.base.as_deref().map(|folder| Base::read(folder, program.architecture)).transpose()?;

    let mut layout = Layout::begin(&container.out)?;
    let tar = tar(&entries(&binary, certificates.as_deref(), base.is_none()));
    let mut packed = vec![0; Compressor::new(CompressionLvl::best()).gzip_compress_bound(tar.len())];
    let length = Compressor::new(CompressionLvl::best()).gzip_compress(&tar, &mut packed)?;
    packed.truncate(length);

    let Base { mut config, mut layers, blobs } = base.unwrap_or_default();
    for blob in blobs {
        layout.blob(&blob)?;
    }
    layers.push(descriptor(LAYER, &packed));
    layout.blob(&packed)?;
    configure(&mut config, &program, &tar, certificates.is_some());
    let config = config.to_string().into_bytes();
    layout.blob(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": layers,
    });
    let manifest = manifest.to_string().into_bytes();
    layout.blob(&manifest)?;
    let mut named = descriptor(MANIFEST, &manifest);
    named["platform"] = json!({"architecture": program.architecture, "os": "linux"});
    named["annotations"] = json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
    layout.end(&index)?;
    println!(
        "{}  {} bytes in its layer, {} inflated, {}",
        container.out.display(),
        packed.len(),
        tar.len(),
        digest(&manifest)
    );
    Ok(program)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

/// What a 64-bit ELF file is; none where it is something else. <https://man7.org/linux/man-pages/man5/elf.5.html>
fn program(binary: &[u8]) -> Option<Program> {
    const INTERPRETER: u32 = 3;
    let short = |at: usize| Some(u16::from_le_bytes(binary.get(at..at + 2)?.try_into().ok()?));
    if !binary.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let architecture = match short(18)? {
        62 => "amd64",
        183 => "arm64",
        _ => return None,
    };
    let table = usize::try_from(u64::from_le_bytes(binary.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, number) = (usize::from(short(54)?), usize::from(short(56)?));
    let mut is_linked = false;
    for place in 0..number {
        let at = table.checked_add(place * size)?;
        let kind = u32::from_le_bytes(binary.get(at..at.checked_add(4)?)?.try_into().ok()?);
        is_linked |= kind == INTERPRETER;
    }
    Some(Program { architecture, is_linked })
}

/// What the configuration of the image says, over that of its base.
fn configure(config: &mut Value, program: &Program, tar: &[u8], has_certificates: bool) {
    if !config.is_object() {
        *config = json!({"rootfs": {"type": "layers", "diff_ids": []}, "history": []});
    }
    // The base's day would be that of the image.
    config["created"] = json!("1970-01-01T00:00:00Z");
    config["architecture"] = json!(program.architecture);
    config["os"] = json!("linux");
    let mut environment = vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
    environment.extend([format!("HOME=/{HOME}"), format!("TRAILHOUND_HOME=/{HOME}")]);
    if has_certificates {
        environment.push(format!("SSL_CERT_FILE=/{CERTIFICATES}"));
    }
    config["config"] = json!({
        "User": format!("{USER}:{USER}"),
        "Env": environment,
        "Entrypoint": [format!("/{PROGRAM}")],
        "Cmd": ["run"],
        "Volumes": {format!("/{HOME}"): {}},
        "WorkingDir": format!("/{HOME}"),
        "StopSignal": "SIGTERM",
        "Labels": {
            "org.opencontainers.image.title": "trailhound",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        },
    });
    if let Some(layers) = config["rootfs"]["diff_ids"].as_array_mut() {
        layers.push(json!(digest(tar)));
    }
    // A history says something of every layer, or nothing.
    if let Some(history) = config["history"].as_array_mut() {
        history.push(json!({"created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask package container"}));
    }
}

// -- base image ----------------------------------------------------------------------------------------------------

/// An image that the layer goes upon.
#[derive(Debug, Default)]
struct Base {
    config: Value,
    layers: Vec<Value>,
    /// The layers themselves.
    blobs: Vec<Vec<u8>>,
}

impl Base {
    fn read(folder: &Path, architecture: &str) -> anyhow::Result<Base> {
        let index = json_file(&folder.join("index.json"))?;
        let manifest = Base::manifest(folder, &index, architecture, 0)?;
        let config: Value = serde_json::from_slice(&blob(folder, &manifest["config"])?)?;
        let here = config["architecture"].as_str().unwrap_or_default();
        ensure!(here == architecture, "{} is an image for {here}, the program is for {architecture}", folder.display());
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let known = config["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len);
        ensure!(known == layers.len(), "{}: its configuration does not name its layers", folder.display());
        let blobs = layers.iter().map(|layer| blob(folder, layer)).collect::<anyhow::Result<_>>()?;
        Ok(Base { config, layers, blobs })
    }

    /// The manifest for a processor: in the index, or in an index that it names.
    fn manifest(folder: &Path, index: &Value, architecture: &str, depth: usize) -> anyhow::Result<Value> {
        let named = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
        let fits = |one: &&Value| one["platform"]["architecture"] == architecture && one["platform"]["os"] == "linux";
        let found = named.iter().find(fits).or(match named {
            [only] if only.get("platform").is_none() => Some(only),
            _ => None,
        });
        let found = found.with_context(|| format!("{} has no image for {architecture}", folder.display()))?;
        let content: Value = serde_json::from_slice(&blob(folder, found)?)?;
        if content["manifests"].is_array() && depth == 0 {
            return Base::manifest(folder, &content, architecture, depth + 1);
        }
        Ok(content)
    }
}

fn json_file(file: &Path) -> anyhow::Result<Value> {
    serde_json::from_slice(&read(file)?).with_context(|| format!("{} is no JSON", file.display()))
}

/// A blob of a layout, which has to be what its descriptor says.
fn blob(folder: &Path, descriptor: &Value) -> anyhow::Result<Vec<u8>> {
    let named = descriptor["digest"].as_str().unwrap_or_default();
    let hash = named.strip_prefix("sha256:").filter(|hash| is_hash(hash));
    let Some(hash) = hash else { bail!("{}: {named:?} is no digest that is known", folder.display()) };
    let content = read(&folder.join("blobs/sha256").join(hash))?;
    let is_right = digest(&content) == named && descriptor["size"] == content.len();
    ensure!(is_right, "{}: the blob {named} is not what it is called", folder.display());
    Ok(content)
}

// -- layout --------------------------------------------------------------------------------------------------------

/// A layout that is being written.
struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// In a folder that is empty, or holds an older layout.
    fn begin(folder: &Path) -> anyhow::Result<Layout> {
        let failed = || format!("failed to write {}", folder.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let is_layout = folder.join("oci-layout").is_file();
        let is_empty = fs::read_dir(folder).with_context(failed)?.next().is_none();
        ensure!(is_layout || is_empty, "{} holds something else than an image layout", folder.display());
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(failed)?;
        for older in fs::read_dir(&blobs).with_context(failed)? {
            let older = older.with_context(failed)?;
            if older.file_name().to_str().is_some_and(is_hash) {
                fs::remove_file(older.path()).with_context(failed)?;
            }
        }
        fs::write(folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())
            .with_context(failed)?;
        Ok(Layout { folder: folder.to_owned() })
    }

    fn blob(&mut self, content: &[u8]) -> anyhow::Result<()> {
        let file = self.folder.join("blobs/sha256").join(digest(content).trim_start_matches("sha256:"));
        fs::write(&file, content).with_context(|| format!("failed to write {}", file.display()))
    }

    /// The index comes last: a layout without one is none.
    fn end(self, index: &Value) -> anyhow::Result<()> {
        let file = self.folder.join("index.json");
        fs::write(&file, index.to_string()).with_context(|| format!("failed to write {}", file.display()))
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn digest(content: &[u8]) -> String {
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

// -- layer ---------------------------------------------------------------------------------------------------------

/// A file or, without content, a folder of the layer.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    owner: u32,
    content: Option<&'a [u8]>,
}

/// The entries of the layer, sorted by their paths.
fn entries<'a>(binary: &'a [u8], certificates: Option<&'a [u8]>, is_alone: bool) -> Vec<Entry<'a>> {
    let folder = |path| Entry { path, mode: 0o755, owner: 0, content: None };
    let mut entries = vec![
        Entry { path: HOME, mode: 0o700, owner: USER, content: None },
        folder("usr"),
        folder("usr/local"),
        folder("usr/local/bin"),
        Entry { path: PROGRAM, mode: 0o755, owner: 0, content: Some(binary) },
    ];
    if let Some(certificates) = certificates {
        entries.extend([folder("etc"), folder("etc/ssl"), folder("etc/ssl/certs")]);
        entries.push(Entry { path: CERTIFICATES, mode: 0o644, owner: 0, content: Some(certificates) });
    }
    if is_alone {
        entries.push(Entry { path: "tmp", mode: 0o1777, owner: 0, content: None });
    }
    entries.sort_by_key(|entry| entry.path);
    entries
}

/// A tar file as POSIX has it (ustar), without times and names of owners.
fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut tar = Vec::new();
    for Entry { path, mode, owner, content } in entries {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        let slash = if content.is_none() { "/" } else { "" };
        put(0, &format!("{path}{slash}"));
        put(100, &format!("{mode:07o}"));
        put(108, &format!("{owner:07o}"));
        put(116, &format!("{owner:07o}"));
        put(124, &format!("{:011o}", content.map_or(0, <[u8]>::len)));
        put(136, "00000000000");
        put(148, "        ");
        put(156, if content.is_none() { "5" } else { "0" });
        put(257, "ustar\0");
        put(263, "00");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(content.unwrap_or_default());
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use libdeflater::Decompressor;

    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

    /// An ELF file with one program header of this kind.
    fn elf(machine: u16, kind: u32) -> Vec<u8> {
        let mut binary = b"\x7fELF\x02\x01\x01".to_vec();
        binary.resize(64 + 56, 0);
        binary[18..20].copy_from_slice(&machine.to_le_bytes());
        binary[32..40].copy_from_slice(&64_u64.to_le_bytes());
        binary[54..56].copy_from_slice(&56_u16.to_le_bytes());
        binary[56..58].copy_from_slice(&1_u16.to_le_bytes());
        binary[64..68].copy_from_slice(&kind.to_le_bytes());
        binary.resize(3_000, 7);
        binary
    }

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Bench {
            let bench = Bench { folder: tempfile::tempdir().unwrap() };
            fs::write(bench.path("static"), elf(62, 1)).unwrap();
            fs::write(bench.path("linked"), elf(62, 3)).unwrap();
            fs::write(bench.path("ca.crt"), PEM).unwrap();
            bench
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn container(&self, binary: &str, out: &str, base: Option<&str>) -> Container {
            Container {
                binary: self.path(binary),
                out: self.path(out),
                base: base.map(|base| self.path(base)),
                certificates: base.is_none().then(|| self.path("ca.crt")),
            }
        }

        fn pack(&self, binary: &str, out: &str, base: Option<&str>) -> Result<Program, String> {
            write(&self.container(binary, out, base)).map_err(|error| format!("{error:#}"))
        }

        /// Every file of a layout.
        fn files(&self, out: &str) -> BTreeMap<PathBuf, Vec<u8>> {
            let mut files = BTreeMap::new();
            let mut folders = vec![self.path(out)];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else {
                        let name = path.strip_prefix(self.path(out)).unwrap().to_owned();
                        files.insert(name, fs::read(path).unwrap());
                    }
                }
            }
            files
        }

        /// The configuration and the inflated layers of a layout whose descriptors are right and that has nothing else.
        fn image(&self, out: &str) -> (Value, Vec<Vec<u8>>) {
            let folder = self.path(out);
            assert_eq!(json_file(&folder.join("oci-layout")).unwrap(), json!({"imageLayoutVersion": "1.0.0"}));
            let index = json_file(&folder.join("index.json")).unwrap();
            assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(INDEX)));
            let manifests = index["manifests"].as_array().unwrap();
            assert_eq!(manifests.len(), 1);
            let manifest: Value = serde_json::from_slice(&blob(&folder, &manifests[0]).unwrap()).unwrap();
            assert_eq!(manifest["mediaType"], manifests[0]["mediaType"]);
            let config: Value = serde_json::from_slice(&blob(&folder, &manifest["config"]).unwrap()).unwrap();
            let described = manifest["layers"].as_array().unwrap();
            let layers: Vec<Vec<u8>> = described.iter().map(|layer| inflate(&blob(&folder, layer).unwrap())).collect();
            let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
            assert_eq!(config["rootfs"]["diff_ids"], json!(ids));
            assert_eq!(self.files(out).len(), described.len() + 4, "nothing lies there that nobody names");
            (config, layers)
        }
    }

    fn inflate(packed: &[u8]) -> Vec<u8> {
        // The last four bytes of a gzip member are its inflated length.
        let length = u32::from_le_bytes(packed[packed.len() - 4..].try_into().unwrap());
        let mut text = vec![0; usize::try_from(length).unwrap()];
        Decompressor::new().gzip_decompress(packed, &mut text).unwrap();
        text
    }

    /// Name, mode, owner, time and length of each entry.
    fn listed(tar: &[u8]) -> Vec<(String, u32, u32, u32, usize)> {
        let (mut listed, mut at) = (Vec::new(), 0);
        while tar[at] != 0 {
            let text = |from: usize, to: usize| {
                let field = &tar[at + from..at + to];
                let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
                std::str::from_utf8(&field[..end]).unwrap().to_owned()
            };
            let octal = |from, to| u32::from_str_radix(text(from, to).trim(), 8).unwrap();
            let sum: u32 =
                (0..512).map(|place| if (148..156).contains(&place) { 32 } else { u32::from(tar[at + place]) }).sum();
            assert_eq!(octal(148, 156), sum, "the checksum of {}", text(0, 100));
            let length = usize::try_from(octal(124, 136)).unwrap();
            listed.push((text(0, 100), octal(100, 108), octal(108, 116), octal(136, 148), length));
            at += 512 + length.next_multiple_of(512);
        }
        assert!(tar[at..].len() == 1024 && tar[at..].iter().all(|byte| *byte == 0));
        listed
    }

    #[test]
    fn an_image_of_the_program_alone_is_whole_and_always_the_same() {
        let bench = Bench::new();
        bench.pack("static", "one", None).unwrap();
        bench.pack("static", "two", None).unwrap();
        let first = bench.files("one");
        assert!(first == bench.files("two"));
        // Over an older one, nothing of that stays.
        bench.pack("linked", "older", Some("one")).unwrap();
        bench.pack("static", "older", None).unwrap();
        assert!(first == bench.files("older"));

        let (config, layers) = bench.image("one");
        let folder = |name: &str| (name.to_owned(), 0o755, 0, 0, 0);
        assert_eq!(
            listed(&layers[0]),
            [
                ("data/".to_owned(), 0o700, USER, 0, 0),
                folder("etc/"),
                folder("etc/ssl/"),
                folder("etc/ssl/certs/"),
                (CERTIFICATES.to_owned(), 0o644, 0, 0, PEM.len()),
                ("tmp/".to_owned(), 0o1777, 0, 0, 0),
                folder("usr/"),
                folder("usr/local/"),
                folder("usr/local/bin/"),
                (PROGRAM.to_owned(), 0o755, 0, 0, 3_000),
            ]
        );
        assert_eq!((&config["architecture"], &config["config"]["User"]), (&json!("amd64"), &json!("65532:65532")));
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/local/bin/trailhound"]));
        let environment = config["config"]["Env"].to_string();
        assert!(environment.contains("SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"), "{environment}");
    }

    #[test]
    fn a_program_that_is_linked_goes_upon_a_base() {
        let bench = Bench::new();
        let refused = bench.pack("linked", "out", None).unwrap_err();
        assert!(refused.contains("wants a dynamic linker and glibc") && !bench.path("out").exists(), "{refused}");
        bench.pack("static", "base", None).unwrap();
        bench.pack("linked", "out", Some("base")).unwrap();
        let ((config, layers), (_, below)) = (bench.image("out"), bench.image("base"));
        assert_eq!((layers.len(), &layers[0]), (2, &below[0]));
        let names: Vec<String> = listed(&layers[1]).into_iter().map(|entry| entry.0).collect();
        assert_eq!(names, ["data/", "usr/", "usr/local/", "usr/local/bin/", PROGRAM]);
        assert_eq!(config["history"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let bench = Bench::new();
        bench.pack("static", "base", None).unwrap();
        fs::write(bench.path("arm"), elf(183, 3)).unwrap();
        assert!(bench.pack("arm", "out", Some("base")).unwrap_err().contains("has no image for arm64"));
        fs::write(bench.path("text"), "#!/bin/sh\n").unwrap();
        assert!(bench.pack("text", "out", None).unwrap_err().contains("is no Linux program"));
        fs::create_dir(bench.path("full")).unwrap();
        fs::write(bench.path("full/letter"), "dear").unwrap();
        assert!(bench.pack("static", "full", None).unwrap_err().contains("holds something else"));
        let mut container = bench.container("static", "out", None);
        container.certificates = Some(bench.path("text"));
        assert!(write(&container).unwrap_err().to_string().contains("has no certificates in PEM"));

        // A blob that somebody changed.
        let layer = bench
            .files("base")
            .into_keys()
            .find(|name| name.starts_with("blobs") && bench.files("base")[name].starts_with(b"\x1f\x8b"));
        fs::write(bench.path("base").join(layer.unwrap()), "other").unwrap();
        assert!(bench.pack("linked", "out", Some("base")).unwrap_err().contains("is not what it is called"));
    }
}
