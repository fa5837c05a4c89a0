//! The system calls that a confined command is refused.
//!
//! A deny-list: test runners and compilers use too many calls for an allow-list to last. Calls of a foreign
//! instruction set end the process; on x86-64 the same calls by their x32 numbers are refused too. Failure
//! policy: a filter that cannot be made or installed is an error, and nothing is run.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

type CallRules = BTreeMap<i64, Vec<SeccompRule>>;

/// The bit that marks a call as one of the x32 table of x86-64.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
/// Numbers that exist in the x32 table only.
#[cfg(target_arch = "x86_64")]
const X32_ONLY: std::ops::RangeInclusive<i64> = 512..=547;

/// Calls newer than the C library's headers; the numbers are the same on every architecture.
const OPEN_TREE_ATTR: c_long = 467;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;

/// Inspecting other processes, changing mounts and host names, keys, kernel programs, clocks, modules.
const REFUSED: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    STATMOUNT,
    LISTMOUNT,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_lookup_dcookie,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Answered as if the kernel were older, so that programs take their fallback: the C library falls back from
/// `clone3`, whose flags are in memory where no filter sees them; runtimes fall back from io_uring.
const UNKNOWN: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

const NEW_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// `CLONE_NEWTIME`; `clone` reads these bits as a signal, only `unshare` takes them as a flag.
const NEW_TIME: i32 = 0x80;

/// Fakes input on a terminal, as if the person had typed it.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;
const TIOCSETD: u64 = 0x5423;

/// The programs to install, in order.
///
/// # Errors
/// The reason why no filter can be made, such as an unsupported architecture.
pub(super) fn filters(wrapped: bool) -> Result<Vec<BpfProgram>, String> {
    let refused = rules(wrapped).map_err(|error| error.to_string())?;
    let mut unknown: CallRules = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    refuse_x32(&mut unknown);
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    Ok(vec![program(refused, errno(libc::EPERM))?, program(unknown, errno(libc::ENOSYS))?])
}

fn program(rules: CallRules, action: SeccompAction) -> Result<BpfProgram, String> {
    let machine: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("no system call filter for {}", std::env::consts::ARCH))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, machine);
    filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
}

fn rules(wrapped: bool) -> Result<CallRules, seccompiler::BackendError> {
    let mut rules: CallRules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let bits = |argument: u8, masks: &[i32]| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        masks.iter().map(|mask| masked(argument, *mask as u32, *mask as u32)).collect()
    };
    rules.insert(libc::SYS_clone, bits(0, NEW_NAMESPACES)?);
    rules.insert(libc::SYS_unshare, bits(0, &[NEW_NAMESPACES, &[NEW_TIME]].concat())?);
    let devices = |argument: u8| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        [libc::S_IFCHR, libc::S_IFBLK].iter().map(|kind| masked(argument, libc::S_IFMT, *kind)).collect()
    };
    rules.insert(libc::SYS_mknodat, devices(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, devices(1)?);
    let requests = [TIOCSTI, TIOCLINUX, TIOCSETD];
    let requests = requests.iter().map(|request| when(&[(1, SeccompCmpOp::Eq, *request)]));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_socket, sockets(wrapped)?);
    rules.insert(libc::SYS_socketpair, pairs(wrapped)?);
    refuse_x32(&mut rules);
    Ok(rules)
}

/// In new namespaces these families reach nothing outside; otherwise only netlink's list of the machine's
/// interfaces remains.
fn sockets(wrapped: bool) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let families: &[i32] = match wrapped {
        true => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
        false => &[libc::AF_NETLINK],
    };
    let others: Vec<_> =
        families.iter().map(|family| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))).collect();
    let mut rules = vec![when(&others)?];
    let family = |family: i32| (0, SeccompCmpOp::Eq, u64::from(family.unsigned_abs()));
    // Only netlink's routing protocol: others concern audit, SELinux, devices.
    rules.push(when(&[family(libc::AF_NETLINK), (2, SeccompCmpOp::Ne, 0)])?);
    for inet in [libc::AF_INET, libc::AF_INET6] {
        let mptcp = u64::from(libc::IPPROTO_MPTCP.unsigned_abs());
        rules.push(when(&[family(inet), (2, SeccompCmpOp::Eq, mptcp)])?);
    }
    Ok(rules)
}

/// A socket pair reaches nobody else, except a pair of datagram sockets, which can name a receiver for each
/// message. In namespaces there is nobody to name.
fn pairs(wrapped: bool) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let mut rules = vec![when(&[(0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.unsigned_abs()))])?];
    if !wrapped {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            // The upper bits of the kind are flags for non-blocking and close-on-exec.
            rules.push(masked(1, 0xf, kind.unsigned_abs())?);
        }
    }
    Ok(rules)
}

fn masked(argument: u8, mask: u32, value: u32) -> Result<SeccompRule, seccompiler::BackendError> {
    when(&[(argument, SeccompCmpOp::MaskedEq(u64::from(mask)), u64::from(value))])
}

/// A rule that needs all conditions; the kernel reads these arguments as 32 bits, so the upper half does not
/// count.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let made = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    SeccompRule::new(made.collect::<Result<_, _>>()?)
}

/// No compiler makes x32 programs any more, so their calls are refused whatever the arguments.
#[cfg(target_arch = "x86_64")]
fn refuse_x32(rules: &mut CallRules) {
    let twins: Vec<i64> =
        rules.keys().map(|call| call | X32).chain(X32_ONLY.map(|call| call | X32)).collect();
    rules.extend(twins.into_iter().map(|call| (call, Vec::new())));
}

#[cfg(not(target_arch = "x86_64"))]
fn refuse_x32(_rules: &mut CallRules) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_fit_into_the_kernels_limit() {
        for wrapped in [true, false] {
            let filters = filters(wrapped).unwrap();
            assert!(
                filters.iter().all(|program| program.len() < 4096),
                "the kernel takes 4,096 instructions"
            );
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn each_refused_call_has_its_x32_twin() {
        let rules = rules(true).unwrap();
        let native: Vec<_> = rules.keys().filter(|call| *call & X32 == 0).collect();
        assert!(native.iter().all(|call| rules[&(*call | X32)].is_empty()));
    }
}
