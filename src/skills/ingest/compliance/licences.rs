//! The obligations of licences: families of SPDX expressions, and deny lists.
//!
//! A family is a first orientation for a reader, not legal advice. Families follow the flags of the SPDX list
//! (copyleft, approved by the OSI, free by the FSF), corrected by the short lists below where the flags are
//! silent. Invariant: an expression with a choice counts as the most permissive alternative, one that joins
//! licences with `AND` as the strictest part.

use std::fmt;

use spdx::expression::ExpressionReq;
use spdx::{Expression, LicenseId, LicenseReq, ParseMode};

/// Families by obligations, from the least to the most; unknown ones come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LicenceFamily {
    /// No conditions worth the name.
    PublicDomain,
    Permissive,
    /// Changes to the licensed files stay under the licence; a work around them need not.
    WeakCopyleft,
    /// The whole derived work goes under the licence.
    StrongCopyleft,
    /// Not on the SPDX list, or listed without being free: to be read by a person.
    Unknown,
}

impl LicenceFamily {
    /// All families, from the least demanding.
    pub const ALL: [Self; 5] =
        [Self::PublicDomain, Self::Permissive, Self::WeakCopyleft, Self::StrongCopyleft, Self::Unknown];

    /// The name the contract between the steps uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PublicDomain => "public domain",
            Self::Permissive => "permissive",
            Self::WeakCopyleft => "weak copyleft",
            Self::StrongCopyleft => "strong copyleft",
            Self::Unknown => "unknown",
        }
    }

    /// The permissions for works of this family, as a sentence.
    #[must_use]
    pub const fn permits(self) -> &'static str {
        match self {
            Self::PublicDomain => "Use, change and sell it freely; there are no conditions.",
            Self::Permissive => {
                "Use, change and sell it, in closed products too; keep the copyright and licence notice."
            }
            Self::WeakCopyleft => {
                "Use it in any product; give out changes to these files under the same licence."
            }
            Self::StrongCopyleft => {
                "Use it freely; recipients of a derived work must get its source under the same licence."
            }
            Self::Unknown => "No permission can be assumed: read the licence or ask its owner first.",
        }
    }
}

impl fmt::Display for LicenceFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Licences equivalent to a public-domain dedication; SPDX has no flag for them.
const PUBLIC_DOMAIN: &[&str] = &[
    "CC-PDDC",
    "CC-PDM-1.0",
    "CC0-1.0",
    "NIST-PD",
    "NIST-PD-fallback",
    "PDDL-1.0",
    "SAX-PD",
    "SAX-PD-2.0",
    "Unlicense",
    "WTFPL",
    "blessing",
    "libselinux-1.0",
];
/// Beginnings of identifiers whose copyleft ends at the file or the library; the SPDX flag only says
/// "copyleft" (and says nothing for the EPL).
const WEAK: &[&str] = &[
    "APSL-",
    "CC-BY-SA-",
    "CDDL-",
    "CECILL-C",
    "CPL-",
    "EPL-",
    "IPL-",
    "LGPL-",
    "MPL-",
    "MS-PL",
    "MS-RL",
    "NPL-",
    "OFL-",
    "SISSL",
    "YPL-",
];
/// Beginnings of permissive identifiers that carry neither an OSI nor an FSF flag, or a wrong copyleft one.
const PERMISSIVE: &[&str] =
    &["BSD-", "CC-BY-", "CDLA-Permissive-", "CECILL-B", "HPND", "MIT", "Unicode-", "X11", "xinetd"];
/// Endings of exceptions that let a GPL library be used in works under other terms.
const LINKING_EXCEPTIONS: &[&str] =
    &["Classpath-exception", "GCC-exception", "LGPL-3.0-linking-exception", "OpenJDK"];

/// The family of an SPDX identifier or expression; [`LicenceFamily::Unknown`] if unparsable.
#[must_use]
pub fn family(spdx: &str) -> LicenceFamily {
    let Some(expression) = parse(spdx) else { return LicenceFamily::Unknown };
    LicenceFamily::ALL
        .into_iter()
        .find(|limit| expression.evaluate(|licence| family_of_licence(licence) <= *limit))
        .unwrap_or(LicenceFamily::Unknown)
}

/// One spelling for one licence: `MIT/Apache-2.0` and `MIT OR Apache-2.0` are counted together. Unparsable
/// text is only trimmed.
#[must_use]
pub fn canonical(spdx: &str) -> String {
    Expression::canonicalize(spdx).ok().flatten().unwrap_or_else(|| spdx.trim().to_owned())
}

fn parse(spdx: &str) -> Option<Expression> {
    Expression::parse_mode(spdx, ParseMode { allow_unknown: true, ..ParseMode::LAX }).ok()
}

fn family_of_licence(licence: &LicenseReq) -> LicenceFamily {
    let Some(id) = licence.license.id() else { return LicenceFamily::Unknown };
    let family = family_of_id(id);
    let exception = licence.addition.as_ref().map(ToString::to_string).unwrap_or_default();
    let linking = LINKING_EXCEPTIONS.iter().any(|known| exception.starts_with(known));
    if family == LicenceFamily::StrongCopyleft && linking { LicenceFamily::WeakCopyleft } else { family }
}

fn family_of_id(id: LicenseId) -> LicenceFamily {
    let starts = |list: &[&str]| list.iter().any(|start| id.name.starts_with(start));
    let restricted = id.name.contains("-NC") || id.name.contains("-ND");
    if restricted {
        LicenceFamily::Unknown
    } else if PUBLIC_DOMAIN.contains(&id.name) {
        LicenceFamily::PublicDomain
    } else if starts(WEAK) {
        LicenceFamily::WeakCopyleft
    } else if id.name != "BSD-Protection" && starts(PERMISSIVE) {
        LicenceFamily::Permissive
    } else if id.is_copyleft() {
        LicenceFamily::StrongCopyleft
    } else if id.is_osi_approved() || id.is_fsf_free_libre() {
        LicenceFamily::Permissive
    } else {
        LicenceFamily::Unknown
    }
}

/// Licences that must not be the only way to use a work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DenyList(Vec<LicenseId>);

impl DenyList {
    /// A list of SPDX identifiers.
    ///
    /// # Errors
    /// The first name that is not on the SPDX list.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let find = |name: &'a str| spdx::license_id(name).ok_or_else(|| name.to_owned());
        names.into_iter().map(find).collect::<Result<_, _>>().map(Self)
    }

    /// The identifiers of `spdx` that are denied, unless the expression offers a choice without them.
    #[must_use]
    pub fn hit(&self, spdx: &str) -> Option<String> {
        let expression = parse(spdx)?;
        if self.0.is_empty() || expression.evaluate(|licence| !self.denies(licence)) {
            return None;
        }
        let denied = |found: &ExpressionReq| self.denies(&found.req).then(|| found.req.to_string());
        expression.requirements().find_map(denied)
    }

    /// `-only`, `-or-later` and the old plain names of one GNU licence are the same licence here.
    fn denies(&self, licence: &LicenseReq) -> bool {
        licence.license.id().is_some_and(|id| {
            self.0.iter().any(|denied| {
                denied.name == id.name
                    || (id.is_gnu() && denied.is_gnu() && gnu_stem(denied.name) == gnu_stem(id.name))
            })
        })
    }
}

fn gnu_stem(name: &str) -> &str {
    name.trim_end_matches('+').trim_end_matches("-only").trim_end_matches("-or-later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_follow_choice_conjunction_and_exception() {
        use LicenceFamily::{Permissive, PublicDomain, StrongCopyleft, Unknown, WeakCopyleft};
        for (spdx, expected) in [
            ("MIT", Permissive),
            ("MIT OR Apache-2.0", Permissive),
            ("MIT/Apache-2.0", Permissive),
            ("Apache-2.0 WITH LLVM-exception", Permissive),
            ("Unicode-3.0", Permissive),
            ("CC-BY-4.0", Permissive),
            ("CC0-1.0", PublicDomain),
            ("Unlicense OR MIT", PublicDomain),
            ("Unlicense AND MIT", Permissive),
            ("MPL-2.0", WeakCopyleft),
            ("EPL-2.0", WeakCopyleft),
            ("LGPL-2.1-or-later", WeakCopyleft),
            ("GPL-2.0-only WITH Classpath-exception-2.0", WeakCopyleft),
            ("MIT AND GPL-3.0-only", StrongCopyleft),
            ("GPL-3.0-only OR MPL-2.0", WeakCopyleft),
            ("GPL-3.0", StrongCopyleft),
            ("AGPL-3.0-or-later", StrongCopyleft),
            ("CC-BY-NC-4.0", Unknown),
            ("BUSL-1.1", Unknown),
            ("LicenseRef-Proprietary", Unknown),
            ("LicenseRef-Proprietary OR MIT", Permissive),
            ("all rights reserved", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(family(spdx), expected, "{spdx}");
        }
    }

    #[test]
    fn a_denied_licence_hits_unless_there_is_a_way_around_it() {
        let deny = DenyList::new(["AGPL-3.0-only", "BUSL-1.1"]).unwrap();
        assert_eq!(deny.hit("AGPL-3.0-or-later").as_deref(), Some("AGPL-3.0-or-later"));
        assert_eq!(deny.hit("MIT AND BUSL-1.1").as_deref(), Some("BUSL-1.1"));
        assert_eq!(deny.hit("MIT OR AGPL-3.0-only"), None);
        assert_eq!(deny.hit("GPL-3.0-only"), None);
        assert_eq!(DenyList::default().hit("AGPL-3.0-only"), None);
        assert_eq!(DenyList::new(["MIT", "AGPL"]), Err("AGPL".to_owned()));
    }

    #[test]
    fn spellings_of_one_licence_meet() {
        assert_eq!(canonical("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(canonical(" home-made "), "home-made");
    }
}
