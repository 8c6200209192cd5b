//! What a file's name tells: when CloudTrail delivered it, and whether it can be a log at all.

/// The delivery time of a file whose name has none: behind all others.
pub(super) const NEVER: u32 = u32::MAX;

/// The bytes of a name that are kept; an archive's entry can have one of 64 KiB.
const LONGEST: usize = 2048;

/// The delivery time in a name such as `111122223333_CloudTrail_us-east-1_20210729T2355Z_mVTKUkjW83gJLNUs.json.gz`,
/// as a number that grows with it.
///
/// Source: "CloudTrail log file name format", AWS CloudTrail User Guide. Digest files have seconds too and the trail's
/// name before the time.
pub(super) fn delivered(file_name: &str) -> u32 {
    let mut parts = file_name.split('_');
    let is_account =
        parts.next().is_some_and(|part| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_cloudtrail = parts.next().is_some_and(|part| part.starts_with("CloudTrail"));
    if !is_account || !is_cloudtrail {
        return NEVER;
    }
    parts.find_map(minutes).unwrap_or(NEVER)
}

/// `20210729T2355Z` or `20210729T235500Z…` as minutes of a calendar with 31 days in every month.
fn minutes(part: &str) -> Option<u32> {
    let part = part.split('.').next()?;
    let (date, time) = part.strip_suffix('Z')?.split_once('T')?;
    let all_digits = date.bytes().chain(time.bytes()).all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || !matches!(time.len(), 4 | 6) || !all_digits {
        return None;
    }
    let number = |text: &str| text.parse::<u32>().ok();
    let (year, month, day) = (number(&date[..4])?, number(&date[4..6])?, number(&date[6..])?);
    let (hour, minute) = (number(&time[..2])?, number(&time[2..4])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    let days = (year.checked_sub(2000)? * 12 + month - 1) * 31 + day - 1;
    days.checked_mul(24 * 60)?.checked_add(hour * 60 + minute)
}

/// What `trailhound verify keys export` is told to write, in the documentation and by whoever follows it.
const PUBLIC_KEYS: &str = "public-keys.json";

/// Whether a name says that the file is certainly no log: what desktops, editors, version control and copying tools
/// leave in folders, texts for people, checksums and pictures, and what a copy of a bucket has beside the objects to verify
/// them with.
///
/// Everything else is read, and what is not CloudTrail is rejected with a reason.
pub(super) fn is_clutter(file_name: &str) -> bool {
    let name = file_name.to_ascii_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    name.starts_with("._")
        || matches!(name.as_str(), ".ds_store" | "thumbs.db" | "desktop.ini" | "_success")
        || matches!(name.as_str(), ".gitignore" | ".gitattributes" | ".gitkeep" | ".keep")
        || matches!(
            (stem, extension),
            (
                "readme" | "license" | "licence" | "notice" | "changelog" | "sha256sums" | "sha1sums" | "md5sums",
                "" | "txt"
            )
        )
        || matches!(name.as_str(), crate::sidecar::LINES | PUBLIC_KEYS)
        || name.ends_with(".json.gz.metadata.json")
        || matches!(extension, "md" | "rst" | "pdf" | "html" | "docx")
        || matches!(extension, "md5" | "sha1" | "sha256" | "sha512" | "sig" | "asc" | "crc")
        || matches!(extension, "png" | "jpg" | "jpeg" | "gif" | "svg")
}

/// Whether a folder's name says that nothing in it is a log.
pub(super) fn is_clutter_folder(name: &str) -> bool {
    matches!(name, ".git" | "__MACOSX")
}

/// Whether an archive's entry is clutter, by its own name or a folder's.
pub(super) fn is_clutter_entry(path: &str) -> bool {
    let mut parts = path.rsplit(['/', '\\']);
    parts.next().is_some_and(is_clutter) || parts.any(is_clutter_folder)
}

/// The last part of an archive entry's name.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A name, cut where it is longer than any real one.
pub(super) fn bounded(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    format!("{}…", &name[..name.floor_char_boundary(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delivery_time_orders_log_files_of_every_kind() {
        let names = [
            "111122223333_CloudTrail_us-east-1_20210729T2355Z_mVTKUkjW83gJLNUs.json.gz",
            "999988887777_CloudTrail_eu-west-1_20210730T0000Z_AAAAAAAAAAAAAAAA.json.gz",
            "111122223333_CloudTrail-Digest_us-east-1_my_trail_us-east-1_20210730T010203Z.json.gz",
            "111122223333_CloudTrail-Insight_us-east-1_20211231T2359Z_mVTKUkjW83gJLNUs.json.gz",
            "111122223333_CloudTrail_us-gov-west-1_20220101T0000Z_mVTKUkjW83gJLNUs.json",
        ];
        let times: Vec<u32> = names.iter().map(|name| delivered(name)).collect();
        assert!(times.is_sorted() && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(times.iter().all(|&time| time != NEVER));
    }

    #[test]
    fn other_names_have_no_delivery_time() {
        for name in [
            "",
            "events.json",
            "111122223333_CloudTrail_us-east-1_20211329T2355Z_x.json.gz",
            "111122223333_CloudTrail_us-east-1_20210729T2455Z_x.json.gz",
            "111122223333_CloudTrail_us-east-1_00000101T0000Z_x.json.gz",
            "11112222333_CloudTrail_us-east-1_20210729T2355Z_x.json.gz",
            "111122223333_Config_us-east-1_20210729T2355Z_x.json.gz",
            "111122223333_CloudTrail_us-east-1_２0210729T2355Z_x.json.gz",
        ] {
            assert_eq!(delivered(name), NEVER, "{name}");
        }
    }

    #[test]
    fn clutter_is_told_from_logs() {
        for name in [
            "README.md",
            "readme",
            "LICENSE",
            ".DS_Store",
            "._trail.json",
            "SHA256SUMS",
            "notice.txt",
            "a.json.gz.sha256",
            "metadata.jsonl",
            "public-keys.json",
            "111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20210730T010203Z.json.gz.metadata.json",
            "a.json.gz.sig",
        ] {
            assert!(is_clutter(name), "{name}");
        }
        for name in [
            "trail.json",
            "readme.json",
            "notice.json.gz",
            "trail.json.gz",
            "events",
            ".hidden.json",
            "notes.txt",
            "data.csv",
            "trail.zip",
            "x.md.json",
            "metadata.json",
            "trail.metadata.json",
            "metadata.jsonl.gz",
        ] {
            assert!(!is_clutter(name), "{name}");
        }
        assert!(is_clutter_entry("__MACOSX/logs/a.json"));
        assert!(is_clutter_entry("logs/.git/HEAD"));
        assert!(!is_clutter_entry("logs/git/HEAD"));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = "é".repeat(40_000);
        assert!(bounded(&name).len() <= LONGEST + "…".len());
        assert_eq!(bounded("short"), "short");
    }
}
