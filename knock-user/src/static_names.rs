//! Name look-ups of a statically linked program: from files and by DNS, which glibc has linked in.
//! All else that nsswitch.conf may name it would load from this system's glibc, which may be
//! another version, and crash.

/// Keeps to what is linked in. Before the first look-up.
#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
pub fn keep_to_own() {
    use std::ffi::{CStr, c_char, c_int};
    unsafe extern "C" {
        // nss.h: the services of a database, in place of nsswitch.conf.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    const SERVICES: [(&CStr, &CStr); 2] = [(c"hosts", c"files dns"), (c"passwd", c"files")];
    for (database, services) in SERVICES {
        // SAFETY: both are C strings, glibc copies what it keeps, and there is one thread yet. It fails
        // only for a database that it does not know.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

/// Nothing to do: the system's own library knows what to load.
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static")))]
pub const fn keep_to_own() {}
