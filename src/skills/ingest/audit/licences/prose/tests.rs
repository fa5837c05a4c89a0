//! Sentences that name licences, and sentences that only seem to.

use super::super::plain;
use super::*;

fn names_of(found: Vec<FoundLicence>) -> Vec<String> {
    found.into_iter().map(|found| found.spdx).collect()
}

#[test]
fn a_name_counts_behind_a_grant_and_a_program_of_that_name_does_not() {
    for (sentence, ids) in [
        ("Licensed under the Apache License, Version 2.0 (the \"License\");", "Apache-2.0"),
        ("This file is released under the MIT license, see COPYING.", "MIT"),
        ("Released under MIT.", "MIT"),
        ("Distributed under the terms of the ISC licence.", "ISC"),
        ("Licensed under the X11 license.", "X11"),
        ("Licensed under X11.", "X11"),
        ("The library is licensed under PostgreSQL.", "PostgreSQL"),
        ("It is available under the PostgreSQL License.", "PostgreSQL"),
        ("This code is under the Python-2.0 license.", "Python-2.0"),
        ("Use is subject to the Mozilla Public License 2.0.", "MPL-2.0"),
        ("You may use it under the terms of BSD-3-Clause.", "BSD-3-Clause"),
        ("Available under MPL 2.0.", "MPL-2.0"),
        ("Licensed under the GPLv2 or later.", "GPL-2.0-or-later"),
        ("Published under GPL-3.0-or-later.", "GPL-3.0-or-later"),
        ("Covered by the zlib license.", "Zlib"),
        ("Licensed under the Vim license.", "Vim"),
        ("Licensed under EUPL 1.2.", "EUPL-1.2"),
        ("It is free software under the Boost Software License, version 1.0.", "BSL-1.0"),
        ("Distributed under Artistic-2.0.", "Artistic-2.0"),
        ("Runs under X11 and Wayland.", ""),
        ("Available under X11 and Wayland.", ""),
        ("It uses PostgreSQL and runs under PostgreSQL 12.", ""),
        ("Python 2 is needed.", ""),
        ("Tests pass under Python 2 and 3.", ""),
        ("Distributed as a package, it runs under Python 2.", ""),
        ("The server is started under xinetd or by hand.", ""),
        ("It compiles under FreeBSD version 9.", ""),
        ("Released under FreeBSD version 9 and tested there.", ""),
        ("Instances under AL2 need no agent.", ""),
        ("Works under OpenBSD, under curl and under Ruby.", ""),
        ("Runs under Apache 2.0 and nginx.", ""),
        ("The vim mode works under Vim.", ""),
        ("It is distributed under heavy load to the nodes.", ""),
        ("Data under json is kept, that under un is not.", ""),
        ("Served under http by Boost and ICU.", ""),
        ("Provided under W3C rules.", ""),
        ("With this release the code is licensed under the MIT license.", "MIT"),
    ] {
        let found = names_of(granted(&plain::flat(sentence).text));
        assert_eq!(found.join(","), ids, "{sentence}");
    }
}

#[test]
fn licences_offered_together_are_one_choice() {
    for (text, ids) in [
        (
            "// Licensed under the Apache License, Version 2.0 <LICENSE-APACHE or\n\
             // https://www.apache.org/licenses/LICENSE-2.0> or the MIT license\n\
             // <LICENSE-MIT or https://opensource.org/licenses/MIT>, at your\n\
             // option. This file may not be copied, modified, or distributed\n\
             // except according to those terms.\n",
            "Apache-2.0 OR MIT",
        ),
        (
            "Licensed under either of Apache License, Version 2.0 or MIT license at your option.",
            "Apache-2.0 OR MIT",
        ),
        ("Dual licensed under the MIT and GPL licenses.", "MIT OR GPL-1.0-or-later"),
        ("Dual-licensed under MIT/Apache-2.0.", "MIT OR Apache-2.0"),
        ("Licensed under the MIT, the ISC or the Zlib license.", "MIT OR ISC OR Zlib"),
        ("Licensed under the MIT license and the ISC license.", "MIT,ISC"),
        ("Licensed under the MIT license. The icons are under the ISC license.", "MIT,ISC"),
        ("Licensed under the GPLv2 or any later version, or the MPL 2.0.", "GPL-2.0-or-later OR MPL-2.0"),
    ] {
        assert_eq!(names_of(granted(&plain::flat(text).text)).join(","), ids, "{text}");
    }
}

#[test]
fn a_section_about_the_licence_names_it_but_no_program() {
    for (text, ids) in [
        (
            "Distributed under the GPLv2 or later, with parts under the Apache License 2.0 and MIT.",
            "GPL-2.0-or-later,Apache-2.0,MIT",
        ),
        ("Licensed under EUPL 1.2.", "EUPL-1.2"),
        (
            "Licensed under either of\n\n * Apache License, Version 2.0 ([LICENSE-APACHE](LICENSE-APACHE) or \
             http://www.apache.org/licenses/LICENSE-2.0)\n * MIT license ([LICENSE-MIT](LICENSE-MIT) or \
             http://opensource.org/licenses/MIT)\n\nat your option.",
            "Apache-2.0 OR MIT",
        ),
        ("GNU Affero General Public License v3.0 or later", "AGPL-3.0-or-later"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("The PostgreSQL License", "PostgreSQL"),
        ("Written in Ruby and Python 2 with vim; it reads JSON.", ""),
        ("This product uses PostgreSQL, X11 and ICU on AL2.", ""),
        ("MIT licensed.\n\nNeeds Python 2 and X11.", "MIT"),
    ] {
        assert_eq!(names_of(in_prose(text)).join(","), ids, "{text}");
    }
}

#[test]
fn a_section_on_one_endless_line_is_read_to_its_limit() {
    let words = "word ".repeat(PROSE_BYTES / 5 + 1);
    assert_eq!(names_of(in_prose(&format!("MIT {words} ISC"))), ["MIT"]);
}
