//! What a statement scanned, and about what that costs.

/// What Athena takes for a terabyte scanned, in US dollars, in most regions (some take more).
/// <https://aws.amazon.com/athena/pricing/>
pub const USD_PER_TERABYTE: f64 = 5.0;
/// The least that a query is charged for: 10 MB.
/// <https://aws.amazon.com/athena/pricing/>
pub const LEAST_BYTES: u64 = 10 * MEGABYTE;

/// Bytes are rounded up to whole megabytes.
const MEGABYTE: u64 = 1_000_000;
/// Whether a terabyte has 10^12 bytes or 2^40 the price list does not say; this way an estimate is rather too high.
const TERABYTE: f64 = 1e12;

/// What a statement read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    /// Bytes read from S3.
    pub bytes: u64,
    /// Whether an earlier result was given instead.
    pub is_reused: bool,
    /// Whether it is a query, for which there is a least charge.
    pub is_query: bool,
}

impl Scan {
    /// About what it costs, in US dollars: Athena's own charge, without S3's, Glue's and KMS's.
    #[must_use]
    pub fn estimated_usd(&self) -> f64 {
        if self.is_reused || (self.bytes == 0 && !self.is_query) {
            return 0.0;
        }
        let charged = self.bytes.div_ceil(MEGABYTE).saturating_mul(MEGABYTE).max(LEAST_BYTES);
        charged as f64 / TERABYTE * USD_PER_TERABYTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_up_and_a_query_has_a_least_charge() {
        let usd = |bytes, is_reused, is_query| Scan { bytes, is_reused, is_query }.estimated_usd();
        let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-12, "{left}, not {right}");
        close(usd(1_000_000_000_000, false, true), 5.0);
        close(usd(12_000_001, false, true), 0.000_065);
        close(usd(0, false, true), 0.000_05);
        close(usd(10_000_000, false, true), 0.000_05);
        // Tables are made and described for nothing, and an earlier result is given for nothing.
        close(usd(0, false, false), 0.0);
        close(usd(1_000_000_000_000, true, true), 0.0);
        close(usd(3, false, false), 0.000_05);
    }
}
