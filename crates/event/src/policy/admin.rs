//! Managed policies that make their holder an administrator.

/// The managed policies that make their holder an administrator, or let it become one, by the last part of their ARN.
///
/// The one list for the detections and for the queries of the catalogue, which both add `detect.admin_policies` to it.
pub const ADMIN_POLICIES: &[&str] = &[
    "AdministratorAccess",
    "IAMFullAccess",
    "PowerUserAccess",
    "AWSSSOMasterAccountAdministrator",
    "AWSSSOMemberAccountAdministrator",
    "AWSIdentityCenterFullAccess",
];
