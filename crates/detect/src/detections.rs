//! One file a detection. A new one takes its file, and its name in both lists below, which tests compare with the folder.

use crate::Detection;

mod access_key_created;
mod access_key_status_changed;
mod account_assignment_created;
mod admin_policy_attached;
mod admin_policy_granted_inline;
mod assume_root;
mod cloudtrail_tampered;
mod console_login_off_hours;
mod console_login_without_mfa;
mod credentials_quarantined;
mod iam_user_created;
mod identity_provider_created;
mod login_profile_changed_for_other;
mod mfa_device_removed;
mod password_policy_weakened;
mod permission_set_admin_policy;
mod permission_set_created;
mod permission_set_updated;
mod permissions_boundary_removed;
mod quarantine_lifted;
mod role_trust_opened;
mod root_api_use;
mod root_console_login;
mod root_console_login_failed;
mod service_credential_created;
mod sso_application_created;
mod sso_application_deleted;
mod user_added_to_admin_group;
mod watched_action;

/// Every detection, in the order of the reference page.
pub(crate) static ALL: &[&Detection] = &[
    &root_console_login::DETECTION,
    &root_console_login_failed::DETECTION,
    &root_api_use::DETECTION,
    &assume_root::DETECTION,
    &console_login_without_mfa::DETECTION,
    &console_login_off_hours::DETECTION,
    &iam_user_created::DETECTION,
    &login_profile_changed_for_other::DETECTION,
    &access_key_created::DETECTION,
    &access_key_status_changed::DETECTION,
    &service_credential_created::DETECTION,
    &credentials_quarantined::DETECTION,
    &quarantine_lifted::DETECTION,
    &mfa_device_removed::DETECTION,
    &password_policy_weakened::DETECTION,
    &user_added_to_admin_group::DETECTION,
    &admin_policy_attached::DETECTION,
    &admin_policy_granted_inline::DETECTION,
    &permissions_boundary_removed::DETECTION,
    &role_trust_opened::DETECTION,
    &identity_provider_created::DETECTION,
    &permission_set_created::DETECTION,
    &permission_set_updated::DETECTION,
    &permission_set_admin_policy::DETECTION,
    &account_assignment_created::DETECTION,
    &sso_application_created::DETECTION,
    &sso_application_deleted::DETECTION,
    &cloudtrail_tampered::DETECTION,
    &watched_action::DETECTION,
];
