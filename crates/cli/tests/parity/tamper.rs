//! What is done to a trail's bucket behind CloudTrail's back, each with the objects that a validator should name.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::Value;

use crate::bucket::{Object, Objects, gunzip, gzip};
use crate::trail::Trail;

/// One row of the matrix.
pub(crate) struct Tampering {
    pub(crate) what: &'static str,
    /// Does it, and gives the keys of the objects that are not as CloudTrail left them, or not there.
    pub(crate) apply: fn(&Trail, &mut Objects) -> Vec<String>,
    /// Nobody can know yet: the digest could still come.
    pub(crate) is_too_new: bool,
}

const fn row(what: &'static str, apply: fn(&Trail, &mut Objects) -> Vec<String>) -> Tampering {
    Tampering { what, apply, is_too_new: false }
}

/// The matrix.
pub(crate) const MATRIX: &[Tampering] = &[
    row("nothing", |_, _| Vec::new()),
    row("a letter of a log file changed", letter_changed),
    row("a bit of a log file's compressed bytes flipped", bit_flipped),
    row("a log file compressed anew, with the same content", compressed_anew),
    row("two log files swapped", logs_swapped),
    row("a log file removed", log_removed),
    row("a log file renamed", log_renamed),
    row("a log file cut short", log_cut),
    row("a second gzip stream appended to a log file", log_appended),
    row("a log file replaced by an empty one", log_emptied),
    row("a log file added that CloudTrail never wrote", log_injected),
    row("a digest removed", digest_removed),
    row("two digests removed, one after the other", two_digests_removed),
    Tampering { is_too_new: true, ..row("the newest digest removed", newest_digest_removed) },
    row("a log file changed, and its digest with it", digest_edited),
    row("a digest cut short", digest_cut),
    row("a second gzip stream appended to a digest", digest_appended),
    row("two digests swapped", digests_swapped),
    row("a digest renamed", digest_renamed),
    row("another bucket's digest in a digest's place", digest_of_another_bucket),
    row("a digest whose signature was made up", signature_forged),
    row("a digest without its signature", signature_lost),
    row("a digest edited and signed with a key of one's own", signed_by_a_stranger),
    row("a digest that names a key of one's own", key_of_a_stranger),
    row("a digest that names a wrong hash of the one before, rightly signed", previous_hash_wrong),
    row("a digest that names a wrong signature of the one before, rightly signed", previous_signature_wrong),
    row("a letter changed in a log file that a backfilled digest names", late_log_changed),
    row("a backfilled digest removed", late_digest_removed),
    row("a backfilled digest edited", late_digest_edited),
];

fn letter_changed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    change_letter(objects, trail.log(3))
}

fn change_letter(objects: &mut Objects, key: &str) -> Vec<String> {
    let object = objects.get(key);
    let text = String::from_utf8(gunzip(&object.bytes)).unwrap();
    let changed = text.replacen("alice", "alicf", 1);
    assert_ne!(changed, text);
    object.bytes = gzip(changed.as_bytes());
    vec![key.to_owned()]
}

fn bit_flipped(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.log(3);
    let bytes = &mut objects.get(key).bytes;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    vec![key.to_owned()]
}

fn compressed_anew(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let object = objects.get(trail.log(3));
    let mut encoder = flate2::GzBuilder::new().mtime(1).write(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, &gunzip(&object.bytes)).unwrap();
    object.bytes = encoder.finish().unwrap();
    // The content is what CloudTrail wrote.
    Vec::new()
}

fn swap(objects: &mut Objects, one: &str, other: &str) -> Vec<String> {
    let (left, right) = (objects.get(one).clone(), objects.get(other).clone());
    *objects.get(one) = right;
    *objects.get(other) = left;
    vec![one.to_owned(), other.to_owned()]
}

fn logs_swapped(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    swap(objects, trail.log(2), trail.log(3))
}

fn remove(objects: &mut Objects, key: &str) -> Vec<String> {
    objects.0.remove(key).unwrap();
    vec![key.to_owned()]
}

fn log_removed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    remove(objects, trail.log(3))
}

fn rename(objects: &mut Objects, key: &str, to: String) -> Vec<String> {
    assert_ne!(key, to);
    let object = objects.0.remove(key).unwrap();
    objects.0.insert(to.clone(), object);
    vec![key.to_owned(), to]
}

fn log_renamed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.log(3);
    rename(objects, key, key.replace("05Z_", "06Z_").replace("35Z_", "36Z_"))
}

fn cut(objects: &mut Objects, key: &str) -> Vec<String> {
    let bytes = &mut objects.get(key).bytes;
    bytes.truncate(bytes.len() - 20);
    vec![key.to_owned()]
}

fn log_cut(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    cut(objects, trail.log(3))
}

fn append(objects: &mut Objects, key: &str, text: &[u8]) -> Vec<String> {
    objects.get(key).bytes.extend(gzip(text));
    vec![key.to_owned()]
}

fn log_appended(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    append(objects, trail.log(3), b"{\"Records\":[]}")
}

fn log_emptied(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.log(3);
    objects.get(key).bytes.clear();
    vec![key.to_owned()]
}

fn log_injected(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let object = objects.get(trail.log(3)).clone();
    let key = trail.log(3).replace("05Z_", "15Z_").replace("35Z_", "45Z_");
    let text = String::from_utf8(gunzip(&object.bytes)).unwrap().replace("alice", "mallory");
    objects.0.insert(key.clone(), Object { bytes: gzip(text.as_bytes()), ..object });
    vec![key]
}

fn digest_removed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    remove(objects, trail.digest(5))
}

fn two_digests_removed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    [5, 6].into_iter().flat_map(|number| remove(objects, trail.digest(number))).collect()
}

fn newest_digest_removed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let newest = trail.digests.last().unwrap();
    remove(objects, newest)
}

/// Changes a log file, and puts its new hash into the digest that names it.
fn digest_edited(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let log = trail.log(3);
    let before = sha256(&gunzip(&objects.get(log).bytes));
    change_letter(objects, log);
    let after = sha256(&gunzip(&objects.get(log).bytes));
    let is_its = |key: &&String| String::from_utf8(gunzip(&objects.0[*key].bytes)).unwrap().contains(&before);
    let key = trail.digests.iter().find(is_its).unwrap();
    edit(objects, key, |text| text.replace(&before, &after));
    vec![key.clone()]
}

fn digest_cut(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    cut(objects, trail.digest(5))
}

fn digest_appended(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    append(objects, trail.digest(5), b"{}")
}

fn digests_swapped(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    swap(objects, trail.digest(5), trail.digest(7))
}

fn digest_renamed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    let at = key.len() - "00Z.json.gz".len();
    let seconds = if &key[at..at + 2] == "07" { "08" } else { "07" };
    rename(objects, key, format!("{}{seconds}{}", &key[..at], &key[at + 2..]))
}

fn digest_of_another_bucket(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    *objects.get(key) = trail.elsewhere.0[key].clone();
    vec![key.to_owned()]
}

fn signature_forged(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    objects.get(key).metadata.insert("signature".to_owned(), "5e".repeat(256));
    vec![key.to_owned()]
}

fn signature_lost(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    objects.get(key).metadata.clear();
    vec![key.to_owned()]
}

/// A quiet hour's digest that says nothing of the log files there were, under the name of CloudTrail's key.
fn signed_by_a_stranger(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    edit(objects, key, |text| text.replace("\"newestEventTime\":\"2", "\"newestEventTime\":\"1"));
    sign(objects, key, &KeyPair::generate(KeySize::Rsa2048).unwrap());
    vec![key.to_owned()]
}

fn key_of_a_stranger(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.digest(5);
    let fingerprint = fingerprint(&objects.0[key]);
    edit(objects, key, |text| text.replace(&fingerprint, "00112233445566778899aabbccddeeff"));
    sign(objects, key, &KeyPair::generate(KeySize::Rsa2048).unwrap());
    vec![key.to_owned()]
}

/// CloudTrail's own key signs something that does not fit the digest before: nobody can do that, and a validator sees it
/// all the same. It is the newest digest, so that no other names it.
fn previous_hash_wrong(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    wrong_about_previous(trail, objects, "previousDigestHashValue")
}

fn previous_signature_wrong(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    wrong_about_previous(trail, objects, "previousDigestSignature")
}

fn wrong_about_previous(trail: &Trail, objects: &mut Objects, member: &str) -> Vec<String> {
    let key = trail.digests.last().unwrap();
    let told = parsed(&objects.0[key])[member].as_str().unwrap().to_owned();
    edit(objects, key, |text| text.replace(&told, &"0123456789abcdef".repeat(told.len() / 16)));
    let known = known_key(trail, &fingerprint(&objects.0[key]));
    sign(objects, key, &known);
    vec![key.clone()]
}

fn late_log_changed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let told = parsed(&objects.0[trail.late_digest(1)]);
    change_letter(objects, told["logFiles"][0]["s3Object"].as_str().unwrap())
}

fn late_digest_removed(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    remove(objects, trail.late_digest(1))
}

fn late_digest_edited(trail: &Trail, objects: &mut Objects) -> Vec<String> {
    let key = trail.late_digest(1);
    edit(objects, key, |text| text.replace("\"newestEventTime\":\"2", "\"newestEventTime\":\"1"));
    vec![key.to_owned()]
}

impl Objects {
    fn get(&mut self, key: &str) -> &mut Object {
        self.0.get_mut(key).unwrap_or_else(|| panic!("{key} is in the bucket"))
    }
}

/// Edits a digest's text; its signature stays as it was.
fn edit(objects: &mut Objects, key: &str, edit: impl FnOnce(&str) -> String) {
    let object = objects.get(key);
    let text = String::from_utf8(gunzip(&object.bytes)).unwrap();
    let edited = edit(&text);
    assert_ne!(edited, text, "{key} is edited");
    object.bytes = gzip(edited.as_bytes());
}

fn parsed(digest: &Object) -> Value {
    serde_json::from_slice(&gunzip(&digest.bytes)).unwrap()
}

fn fingerprint(digest: &Object) -> String {
    parsed(digest)["digestPublicKeyFingerprint"].as_str().unwrap().to_owned()
}

/// Signs a digest as it stands.
fn sign(objects: &mut Objects, key: &str, signer: &KeyPair) {
    let object = objects.get(key);
    let told = parsed(object);
    let text = |member: &str| told[member].as_str().unwrap_or("null").to_owned();
    let to_sign = format!(
        "{}\n{}/{}\n{}\n{}",
        text("digestEndTime"),
        text("digestS3Bucket"),
        text("digestS3Object"),
        sha256(&gunzip(&object.bytes)),
        text("previousDigestSignature"),
    );
    let mut signature = vec![0; signer.public_modulus_len()];
    signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), to_sign.as_bytes(), &mut signature).unwrap();
    object.metadata.insert("signature".to_owned(), hex(&signature));
}

/// The sample's key with a fingerprint.
fn known_key(trail: &Trail, fingerprint: &str) -> KeyPair {
    let pairs = std::fs::read_dir("../sample/keys").unwrap().map(|entry| entry.unwrap().path());
    let ders = pairs.filter(|path| path.extension().is_some_and(|kind| kind == "der"));
    let mut pairs = ders.map(|path| KeyPair::from_der(&std::fs::read(path).unwrap()).unwrap());
    let public: BTreeMap<&str, &str> = trail
        .public_keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["Fingerprint"].as_str().unwrap(), key["Value"].as_str().unwrap()))
        .collect();
    pairs.find(|pair| base64(pair.public_key().as_ref()) == public[fingerprint]).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    BASE64_STANDARD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
