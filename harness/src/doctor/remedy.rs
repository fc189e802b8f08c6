//! Remedies for what is missing, by the cause that the kernel and its settings show.

use std::{fs, io};

use nix::errno::Errno;

use crate::{
    isolate::IsolateError,
    lab::{BuildError, BuildFailure},
};

/// Remedy where the kernel may lack a module.
pub(super) const MODULES: &str = "run as root, or as root load what the kernel lacks: \
    modprobe -a tun veth nf_conntrack nf_nat nf_tables nft_nat nft_chain_nat xt_MASQUERADE \
    xt_conntrack ipt_REJECT";

const READ_ONLY_SYSCTLS: &str = "/proc/sys is read-only here, as in a container that is not \
    privileged: start the container with --privileged, or with --security-opt \
    systempaths=unconfined (Podman: unmask=ALL); or, as root in it: \
    mount -o remount,bind,rw /proc/sys";

const REFUSED_BY_POLICY: &str = "this process has the capabilities, so that seccomp or a security \
    module (AppArmor, SELinux) refuses it: in a container start it with --security-opt \
    seccomp=unconfined --security-opt apparmor=unconfined (SELinux: label=disable); else look for \
    the refusal in the kernel's log: dmesg, or ausearch -m avc";

const NAMESPACE_LIMITS: &str = "the kernel's limit of namespaces is reached: as root \
    sysctl user.max_user_namespaces=10000 user.max_pid_namespaces=10000 \
    user.max_net_namespaces=10000";

/// Capabilities that the bench needs, by their numbers in `linux/capability.h`.
const CAPABILITIES: [(u32, &str); 2] = [(12, "NET_ADMIN"), (21, "SYS_ADMIN")];

/// Settings of the kernel and rights of this process, on which remedies depend.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Names of the capabilities that are needed and missing.
    missing_capabilities: Vec<&'static str>,
    /// Whether AppArmor takes all rights from user namespaces of ordinary users (Ubuntu 23.10).
    apparmor_restricts: bool,
    /// Whether user namespaces are for root only (Debian's `kernel.unprivileged_userns_clone`).
    userns_clone_off: bool,
    /// Whether no user namespace may exist.
    no_user_namespaces: bool,
    /// Whether this process is in a container.
    in_container: bool,
}

impl Facts {
    /// Facts about this machine and this process.
    pub(super) fn read() -> Self {
        let setting = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
            Some(text.trim().to_owned())
        };
        let is = |name: &str, value: &str| setting(name).is_some_and(|found| found == value);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let exists = |path: &str| fs::symlink_metadata(path).is_ok();
        Self {
            missing_capabilities: missing_capabilities(&status),
            apparmor_restricts: is("kernel/apparmor_restrict_unprivileged_userns", "1"),
            userns_clone_off: is("kernel/unprivileged_userns_clone", "0"),
            no_user_namespaces: is("user/max_user_namespaces", "0"),
            in_container: exists("/.dockerenv") || exists("/run/.containerenv"),
        }
    }

    /// Remedy for a lab that cannot be built.
    pub(super) fn of_build(&self, error: &BuildError) -> String {
        match error.failure() {
            BuildFailure::ReadOnlySysctl => READ_ONLY_SYSCTLS.to_owned(),
            BuildFailure::NotPermitted => self.of_refusal(),
            BuildFailure::Limit => NAMESPACE_LIMITS.to_owned(),
            BuildFailure::Other => MODULES.to_owned(),
        }
    }

    /// Remedy for an isolation that failed.
    pub(super) fn of_isolation(&self, error: &IsolateError) -> String {
        let (IsolateError::UserNamespace(source)
        | IsolateError::PidNamespace(source)
        | IsolateError::Other(source)) = error;
        let is_user = matches!(error, IsolateError::UserNamespace(_));
        if is_limit(source) {
            NAMESPACE_LIMITS.to_owned()
        } else if is_user || !is_root() {
            self.of_user_namespace()
        } else {
            self.of_refusal()
        }
    }

    /// Remedy for `/dev/net/tun` that cannot be opened.
    pub(super) fn of_tun(&self, error: &io::Error) -> String {
        let device = "in a container start it with --device /dev/net/tun";
        match error.raw_os_error().map(Errno::from_raw) {
            // The devices of the container's cgroup.
            Some(Errno::EPERM) => format!("{device}; else run as root"),
            Some(Errno::EACCES) if is_root() => REFUSED_BY_POLICY.to_owned(),
            Some(Errno::EACCES) => {
                "run as root, or let everyone use it: sudo chmod 666 /dev/net/tun".to_owned()
            }
            Some(Errno::ENOENT) if self.in_container => {
                format!("{device}, on a host that has the module: sudo modprobe tun")
            }
            Some(Errno::ENOENT) => format!("load the module: sudo modprobe tun; {device}"),
            _ => "load the module: sudo modprobe tun".to_owned(),
        }
    }

    fn of_user_namespace(&self) -> String {
        let setting = if self.apparmor_restricts {
            "AppArmor restricts user namespaces here: run as root, or allow them: \
             sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        } else if self.userns_clone_off {
            "run as root, or allow it: sudo sysctl kernel.unprivileged_userns_clone=1"
        } else if self.no_user_namespaces {
            "run as root, or allow it: sudo sysctl user.max_user_namespaces=10000"
        } else {
            "no setting of the kernel forbids it, so that seccomp or a security module does: run \
             as root; in a container start it with --security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined"
        };
        setting.to_owned()
    }

    fn of_refusal(&self) -> String {
        if self.missing_capabilities.is_empty() {
            return REFUSED_BY_POLICY.to_owned();
        }
        let names = |prefix: &str| {
            let each = self.missing_capabilities.iter();
            each.map(|name| format!("{prefix}{name}"))
                .collect::<Vec<_>>()
        };
        format!(
            "this process lacks {}: run as root; in a container start it with {}",
            names("CAP_").join(" and "),
            names("--cap-add ").join(" ")
        )
    }
}

/// Capabilities of [`CAPABILITIES`] that a process lacks, by its `/proc/…/status`.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(set) = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Vec::new();
    };
    let missing = CAPABILITIES
        .iter()
        .filter(|(number, _)| set & (1 << number) == 0);
    missing.map(|(_, name)| *name).collect()
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

fn is_limit(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOSPC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(errno: Errno) -> io::Error {
        errno.into()
    }

    fn sysctl(errno: Errno) -> BuildError {
        BuildError::at("sysctl net/ipv4/ip_forward=1", os(errno))
    }

    #[test]
    fn a_read_only_proc_sys_is_no_missing_module() {
        let facts = Facts::default();
        let remedy = facts.of_build(&sysctl(Errno::EROFS));
        assert!(remedy.contains("systempaths=unconfined"), "{remedy}");
        assert!(!remedy.contains("modprobe"), "{remedy}");
        assert!(facts.of_build(&sysctl(Errno::ENOENT)).contains("modprobe"));
    }

    #[test]
    fn a_refusal_names_the_missing_capability_or_else_the_policy() {
        let status = "Name:\tx\nCapEff:\t0000000000001000\nSeccomp:\t2\n";
        let missing_capabilities = missing_capabilities(status);
        assert_eq!(missing_capabilities, ["SYS_ADMIN"]);
        let lacking = Facts { missing_capabilities, ..Facts::default() };
        let refused = BuildError::at("network namespace", os(Errno::EPERM));
        let remedy = lacking.of_build(&refused);
        assert!(remedy.contains("lacks CAP_SYS_ADMIN: run as root"), "{remedy}");
        assert!(remedy.ends_with("--cap-add SYS_ADMIN"), "{remedy}");
        assert!(
            Facts::default()
                .of_build(&refused)
                .contains("seccomp=unconfined")
        );
        // What a program says that loads rules.
        let complaint = "iptables-restore v1.8.9: Permission denied (you must be root) (exit 4)";
        let refused = BuildError::at("rules of NAT a", io::Error::other(complaint));
        assert!(lacking.of_build(&refused).contains("lacks CAP_SYS_ADMIN"));
    }

    #[test]
    fn the_setting_that_forbids_user_namespaces_is_named() {
        let refused = IsolateError::UserNamespace(os(Errno::EPERM));
        let remedy = |facts: Facts| facts.of_isolation(&refused);
        let facts = Facts::default;
        let apparmor = remedy(Facts { apparmor_restricts: true, ..facts() });
        assert!(apparmor.ends_with("kernel.apparmor_restrict_unprivileged_userns=0"), "{apparmor}");
        let debian = remedy(Facts { userns_clone_off: true, ..facts() });
        assert!(debian.ends_with("kernel.unprivileged_userns_clone=1"), "{debian}");
        let none = remedy(Facts { no_user_namespaces: true, ..facts() });
        assert!(none.ends_with("user.max_user_namespaces=10000"), "{none}");
        assert!(remedy(facts()).contains("no setting of the kernel forbids it"));
        let full = facts().of_isolation(&IsolateError::UserNamespace(os(Errno::ENOSPC)));
        assert!(full.contains("limit of namespaces"), "{full}");
    }

    #[test]
    fn a_tun_device_is_missing_or_forbidden() {
        let facts = Facts::default();
        assert!(
            facts
                .of_tun(&os(Errno::ENOENT))
                .contains("sudo modprobe tun; in a container")
        );
        assert!(
            facts
                .of_tun(&os(Errno::EPERM))
                .starts_with("in a container start it with --device")
        );
        let inside = Facts { in_container: true, ..facts.clone() };
        assert!(
            inside
                .of_tun(&os(Errno::ENOENT))
                .starts_with("in a container start it with --device")
        );
        assert_eq!(facts.of_tun(&os(Errno::ENODEV)), "load the module: sudo modprobe tun");
    }
}
