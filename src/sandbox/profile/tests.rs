//! The rules of a profile, case by case.

use proptest::prelude::*;

use super::*;

fn places() -> SandboxPlaces {
    SandboxPlaces {
        tree: "/data/trees/r/tree".into(),
        scratch: "/data/trees/r/scratch".into(),
        git: Some(SandboxGit {
            directory: "/data/trees/r/git".into(),
            borrowed: vec!["/people/p/repo/.git/objects".into()],
            protected: vec!["/data/trees/r/git/config".into()],
        }),
    }
}

fn of(rights: Rights) -> SandboxProfile {
    SandboxProfile::of(rights, &places(), &ToolchainSet::default(), SandboxLimits::default())
}

#[test]
fn without_a_right_to_files_the_tree_is_not_there() {
    let profile = of(Rights::NONE);
    let all = profile.readable.iter().chain(&profile.writable);
    assert_eq!(profile.writable, [places().scratch]);
    assert_eq!(all.filter(|path| path.starts_with("/home") || path.ends_with("tree")).count(), 0);
}

#[test]
fn a_reader_writes_neither_tree_nor_git_directory() {
    let profile = of(Rights { filesystem: AccessLevel::Read, git: true, ..Rights::NONE });
    assert_eq!(profile.writable, [places().scratch]);
    assert!(profile.readable.contains(&places().tree));
    assert!(profile.protected.is_empty());
}

#[test]
fn a_writer_may_commit_but_not_change_the_configuration() {
    let profile = of(Rights::ALL);
    assert!(profile.writable.contains(&"/data/trees/r/git".into()));
    assert!(profile.protected.contains(&"/data/trees/r/git/config".into()));
    assert!(profile.readable.contains(&"/people/p/repo/.git/objects".into()));
    assert!(profile.hidden.is_empty());
}

#[test]
fn a_profile_survives_its_encoding() {
    let profile = of(Rights::ALL);
    let decoded: SandboxProfile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
    assert_eq!(decoded, profile);
}

fn any_access() -> impl Strategy<Value = AccessLevel> {
    prop_oneof![Just(AccessLevel::None), Just(AccessLevel::Read), Just(AccessLevel::ReadWrite)]
}

prop_compose! {
    fn any_rights()(filesystem in any_access(), network in any_access(), flags in any::<[bool; 5]>()) -> Rights {
        let [bash, git, python, docker, sql] = flags;
        Rights { filesystem, bash, git, python, network, docker, sql }
    }
}

proptest! {
    #[test]
    fn fewer_rights_reach_less(a in any_rights(), b in any_rights()) {
        let (less, more) = (of(a.intersect(b)), of(a));
        let reach = |profile: &SandboxProfile| [profile.readable.clone(), profile.writable.clone()].concat();
        prop_assert!(less.writable.iter().all(|path| more.writable.contains(path)));
        prop_assert!(reach(&less).iter().all(|path| reach(&more).contains(path)));
        prop_assert!(more.hidden.iter().all(|path| less.hidden.contains(path)));
    }
}
