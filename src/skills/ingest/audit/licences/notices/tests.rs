//! Notices as files carry them, in words of our own around the deciding ones.

use proptest::prelude::*;

use super::super::plain;
use super::*;

fn of(text: &str) -> Vec<String> {
    find(&plain::flat(text)).into_iter().map(|found| found.spdx).collect()
}

/// The notice of the GNU licences for a program's `name`, the licence's `kind` and the words on versions.
fn notice(name: &str, kind: &str, version: &str) -> String {
    format!(
        "{name} is free software; you can redistribute it and/or modify\nit under the terms of the GNU {kind} \
         as published\nby the Free Software Foundation; {version}.\n\n{name} is distributed in the hope that \
         it will be useful, but WITHOUT ANY\nWARRANTY.  See the GNU {kind}\nfor more details.\n\nYou should \
         have received a copy of the GNU {kind} along with\n{name}; if not, write to the Free Software \
         Foundation, 59 Temple Place.\n"
    )
}

#[test]
fn a_gnu_notice_is_read_for_any_program_version_and_wording() {
    let (gpl, lgpl) = ("General Public License", "Lesser General Public License");
    for (kind, version, id) in [
        (gpl, "either version 2, or (at your option)\nany later version", "GPL-2.0-or-later"),
        (gpl, "either version 3 of the License, or\n(at your option) any later version", "GPL-3.0-or-later"),
        (gpl, "version 2 of the License", "GPL-2.0-only"),
        (gpl, "version 2 only", "GPL-2.0-only"),
        (gpl, "version 2, and not any later version", "GPL-2.0-only"),
        (gpl, "either version 1, or any later version", "GPL-1.0-or-later"),
        (gpl, "either version 2 of the License, or version 3 of the License", "GPL-2.0-only OR GPL-3.0-only"),
        (
            lgpl,
            "either version 2.1 of the License, or (at your option) any later version",
            "LGPL-2.1-or-later",
        ),
        (
            "Library General Public License",
            "either version 2 of the License, or any newer version",
            "LGPL-2.0-or-later",
        ),
        (lgpl, "version 3", "LGPL-3.0-only"),
        (
            "Affero General Public License",
            "either version 3 of the License, or any later version",
            "AGPL-3.0-or-later",
        ),
    ] {
        for name in ["This program", "Quillwork", "The Marzipan library"] {
            assert_eq!(of(&notice(name, kind, version)), [id], "{name}: {kind}, {version}");
        }
    }
}

#[test]
fn the_comment_around_a_notice_makes_no_difference() {
    let notice = notice(
        "Quillwork",
        "General Public License",
        "either version 2, or (at your option) any later version",
    );
    for (start, end) in [
        ("# ", ""),
        ("dnl ", ""),
        ("; ", ""),
        ("/* ", "   */"),
        (" * ", ""),
        ("// ", ""),
        ("## ", " ##"),
        ("-- ", ""),
    ] {
        let commented: String = notice.lines().map(|line| format!("{start}{line:<76}{end}\n")).collect();
        assert_eq!(of(&commented), ["GPL-2.0-or-later"], "{start:?}");
    }
}

#[test]
fn a_grant_without_a_version_leaves_the_choice_and_a_mention_is_none() {
    assert_eq!(
        of("You may redistribute it and/or modify it under the terms of the GNU General Public License."),
        ["GPL-1.0-or-later"]
    );
    assert_eq!(of("It is distributed under version 2 of the GNU General Public License."), ["GPL-2.0-only"]);
    assert_eq!(of("Licensed under the GNU GPL, version 3 or later."), ["GPL-3.0-or-later"]);
    for mention in [
        "This works well with programs that chose the GNU General Public License, as we like it.",
        "The complete text of the GNU General Public License version 2 can be found in /usr/share.",
        "Compatible, says its author, with every public licence.",
        "This exception is an additional permission under section of the GNU General Public License, version 3.",
    ] {
        assert!(of(mention).is_empty(), "{mention}: {:?}", of(mention));
    }
}

#[test]
fn a_short_name_adds_nothing_to_the_notice_of_its_version() {
    let notice =
        notice("Tidy", "General Public License", "either version 2, or (at your option) any later version");
    assert_eq!(of(&format!("{notice}\nTidy is licensed under the GPL-2.")), ["GPL-2.0-or-later"]);
    let two = of(&format!("{notice}\nIts parser is licensed under the GPL-3."));
    assert_eq!(two, ["GPL-2.0-or-later", "GPL-3.0-only"]);
}

#[test]
fn exceptions_are_added_to_their_licence() {
    let notice = notice(
        "Quillwork",
        "General Public License",
        "either version 3, or (at your option) any later version",
    );
    let runtime = "Under Section 7 you are granted the additional permissions of the GCC Runtime Library Exception, version 3.1.";
    assert_eq!(of(&format!("{notice}\n{runtime}")), ["GPL-3.0-or-later WITH GCC-exception-3.1"]);
}

#[test]
fn documentation_licences_differ_by_what_they_say_of_invariant_sections() {
    let grant =
        "Permission is granted to copy this document under the terms of the GNU Free Documentation License, ";
    for (end, id) in [
        ("Version 1.2.", "GFDL-1.2-only"),
        (
            "Version 1.3 or any later version published by the Free Software Foundation; with no Invariant Sections, no Front-Cover Texts.",
            "GFDL-1.3-no-invariants-or-later",
        ),
        ("Version 1.1; with the Invariant Sections being \"Thanks\".", "GFDL-1.1-invariants-only"),
        ("Version 1.3 or any later version.", "GFDL-1.3-or-later"),
        (
            "(FDL), either version 1.2 of the License, or (at your option) any later version.",
            "GFDL-1.2-or-later",
        ),
    ] {
        assert_eq!(of(&format!("{grant}{end}")), [id], "{end}");
    }
}

#[test]
fn a_gnu_text_is_known_by_its_title_under_any_address_and_its_words_are_no_notice() {
    let text = "GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991\n\n Copyright (C) 1989 FSF, Inc.\n 675 Mass Ave\n \
        Everyone is permitted to copy and distribute verbatim copies\n of this document.\n\n Terms.\n\
        END OF TERMS AND CONDITIONS\n\nHow to Apply These Terms to Your New Programs\n";
    let notice = notice(
        "This program",
        "General Public License",
        "either version 2 of the License, or (at your option) any later version",
    );
    let end = "use the GNU Library General Public License instead of this License.\n";
    assert_eq!(of(&format!("{text}{notice}{end}")), ["GPL-2.0-only"]);
    let lesser = "GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\nEveryone is permitted to copy and distribute verbatim copies.\n\
        This version incorporates the terms and conditions of version 3 of the GNU General Public License.\n";
    assert_eq!(of(lesser), ["LGPL-3.0-only"]);
    let mine = super::tests::notice(
        "Quillwork",
        "General Public License",
        "either version 2, or (at your option) any later version",
    );
    assert_eq!(of(&format!("{mine}\n{text}{notice}{end}")), ["GPL-2.0-or-later", "GPL-2.0-only"]);
}

#[test]
fn other_licences_are_named_by_their_grant() {
    assert_eq!(of("Licensed under the Apache License, Version 2.0 (the \"License\");"), ["Apache-2.0"]);
    assert_eq!(of("# This file is released under the MIT license, see COPYING."), ["MIT"]);
    assert_eq!(of("it under the same terms as Perl itself."), ["Artistic-1.0-Perl OR GPL-1.0-or-later"]);
    assert!(of("It is distributed under heavy load to the nodes.").is_empty());
}

#[test]
fn a_pointer_to_a_copy_names_the_licence_only_where_nothing_else_does() {
    let pointer = "On Debian systems the complete text of version 2 of the GNU General Public License is in \
                   /usr/share/common-licenses/GPL-2.";
    assert_eq!(of(pointer), ["GPL-2.0-only"]);
    let later = notice("Quillwork", "General Public License", "either version 2, or any later version");
    assert_eq!(of(&format!("{later}\n{pointer}")), ["GPL-2.0-or-later"]);
}

#[test]
fn what_was_granted_once_is_not_granted_today() {
    for (text, ids) in [
        (
            "Formerly released under the GNU General Public License version 2, now under the MIT license.",
            &["MIT"][..],
        ),
        (
            "Prior to version 2 this was licensed under the Apache License, Version 2.0. It is licensed under the ISC license.",
            &["ISC"],
        ),
        ("This was formerly under the GNU GPL, version 3 or later.", &[]),
        (
            "Versions before 4.0 were distributed under the terms of the GNU General Public License, version 2.",
            &[],
        ),
        ("Released under the MIT license (previous versions: GNU GPL, version 2).", &["MIT"]),
    ] {
        assert_eq!(of(text), ids, "{text}");
    }
}

#[test]
fn a_short_name_may_carry_its_version() {
    for (text, id) in [
        ("Licensed under the GNU GPLv3.", "GPL-3.0-only"),
        ("Licensed under the GNU GPL3.", "GPL-3.0-only"),
        ("Licensed under the GNU GPL 3.", "GPL-3.0-only"),
        ("Licensed under the GNU GPLv3+.", "GPL-3.0-or-later"),
        ("Licensed under the GNU GPLv2 or, at your option, any later version.", "GPL-2.0-or-later"),
        ("Released under the LGPLv2.1.", "LGPL-2.1-only"),
        ("Released under the GNU LGPLv2.1.", "LGPL-2.1-only"),
        ("Released under AGPLv3.", "AGPL-3.0-only"),
        ("Distributed under the GNU AGPLv3 license.", "AGPL-3.0-only"),
        ("Licensed under GNU GPL-3.0-or-later.", "GPL-3.0-or-later"),
        ("Licensed under GNU GPL-3.0-only.", "GPL-3.0-only"),
        ("Licensed under the GNU/GPL v2.", "GPL-2.0-only"),
        ("Licensed under the GNU GPL.", "GPL-1.0-or-later"),
    ] {
        assert_eq!(of(text), [id], "{text}");
    }
    assert!(of("It works with programs that chose the GNU GPLv3.").is_empty());
}

#[test]
fn a_title_above_says_nothing_of_the_grant_below() {
    assert_eq!(of("Earlier versions\n\nLicensed under the MIT license."), ["MIT"]);
    assert_eq!(of("# Changes up to 2.0\n# ----\n# Licensed under the MIT license."), ["MIT"]);
    assert!(of("Earlier versions were\nlicensed under the MIT license.").is_empty());
}

const BOTH_GPL: [&str; 5] = [
    "Released under the GPL.",
    "Its parser is licensed under the GPL-2.",
    "Its lexer is licensed under the GPL-2.0-or-later.",
    "It is licensed under the GPL version 1.",
    "It is distributed under version 3 of the GNU General Public License.",
];

proptest! {
    #[test]
    fn the_order_of_what_is_said_makes_no_difference(
        said in prop::sample::subsequence(BOTH_GPL.to_vec(), 1..=BOTH_GPL.len()).prop_flat_map(|said| {
            (Just(said.clone()), Just(said).prop_shuffle())
        })
    ) {
        let sorted = |said: &[&str]| {
            let mut ids = of(&said.join("\n\n"));
            ids.sort();
            ids
        };
        let (in_order, shuffled) = said;
        prop_assert!(!sorted(&in_order).is_empty());
        prop_assert_eq!(sorted(&in_order), sorted(&shuffled));
    }

    #[test]
    fn the_order_of_finds_makes_no_difference(
        finds in prop::collection::vec((0..6_usize, any::<bool>(), 0..9_usize), 0..8).prop_flat_map(|finds| {
            (Just(finds.clone()), Just(finds).prop_shuffle())
        })
    ) {
        const IDS: [&str; 6] = [
            "GPL-1.0-or-later", "GPL-1.0-only", "GPL-2.0-only", "GPL-2.0-or-later", "LGPL-2.0-or-later", "MIT OR GPL-3.0-only",
        ];
        let resolved = |finds: &[(usize, bool, usize)]| {
            let mut all = NoticeFinds::default();
            for (id, is_named, at) in finds {
                let id = IDS[*id].to_owned();
                if *is_named { all.add_named(id, *at) } else { all.add(id, *at) }
            }
            all.resolved()
        };
        let (in_order, shuffled) = finds;
        prop_assert_eq!(resolved(&in_order).is_empty(), in_order.is_empty());
        prop_assert_eq!(resolved(&in_order), resolved(&shuffled));
    }
}

#[test]
fn each_licence_has_the_place_of_its_first_words() {
    let text = "One line.\n\nLicensed under the MIT license.\n\nmore\n// It is free software; you can\n// redistribute it under the terms of the GNU\n// General Public License version 2.\n";
    let flat = plain::flat(text);
    let places: Vec<_> =
        find(&flat).iter().map(|found| (found.spdx.clone(), flat.line_at(found.at))).collect();
    assert_eq!(places, [("MIT".to_owned(), 3), ("GPL-2.0-only".to_owned(), 7)]);
}
