//! Documents made here, sound and broken.

use std::io::{Cursor, Write as _};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use super::*;

const LIMIT: u64 = 1 << 20;
const RULES: ReadingRules<'_> = ReadingRules { max_bytes: LIMIT, program: None };

pub(in crate::ingest) fn zip_of(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(in crate::ingest) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A document of Word with this body.
fn docx(body: &str) -> Vec<u8> {
    let styles = format!(
        "<w:styles xmlns:w=\"{WORD}\"><w:style w:styleId=\"Titel\"><w:name w:val=\"Title\"/></w:style>\
         <w:style w:styleId=\"berschrift2\"><w:name w:val=\"heading 2\"/></w:style>\
         <w:style w:styleId=\"Punkt\"><w:name w:val=\"List Bullet\"/></w:style>\
         <w:style w:styleId=\"Eigen\"><w:name w:val=\"Eigen\"/><w:pPr><w:outlineLvl w:val=\"2\"/></w:pPr></w:style></w:styles>"
    );
    let root = format!(
        "<Relationships><Relationship Id=\"r1\" Type=\"{OFFICE}/officeDocument\" Target=\"word/document.xml\"/></Relationships>"
    );
    let links = "<Relationships><Relationship Id=\"r7\" Target=\"https://pas.example/a(b)\" TargetMode=\"External\"/>\
                 <Relationship Id=\"r8\" Target=\"other.docx\"/></Relationships>";
    let notes = format!(
        "<w:footnotes xmlns:w=\"{WORD}\"><w:footnote><w:p><w:r><w:t>A note below.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    );
    let core = "<cp:coreProperties xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>The\n manual</dc:title></cp:coreProperties>";
    zip_of(&[
        ("[Content_Types].xml", "<Types/>"),
        ("_rels/.rels", &root),
        (
            "word/document.xml",
            &format!("<w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>"),
        ),
        ("word/styles.xml", &styles),
        ("word/_rels/document.xml.rels", links),
        ("word/footnotes.xml", &notes),
        ("docProps/core.xml", core),
    ])
}

const DOCX_BODY: &str = "<w:p><w:pPr><w:pStyle w:val=\"Titel\"/></w:pPr><w:r><w:t>Quill &amp; ink</w:t></w:r></w:p>\
    <w:p><w:r><w:t xml:space=\"preserve\">It &#x201C;reads&#x201D; </w:t></w:r><w:del><w:r><w:delText>badly</w:delText></w:r></w:del>\
    <w:hyperlink r:id=\"r7\"><w:r><w:t>settings</w:t></w:r></w:hyperlink><w:r><w:t>.</w:t></w:r></w:p>\
    <w:p><w:pPr><w:pStyle w:val=\"berschrift2\"/><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr><w:r><w:t>Parts</w:t></w:r></w:p>\
    <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>one</w:t></w:r></w:p><w:p><w:pPr><w:pStyle w:val=\"Punkt\"/></w:pPr><w:r><w:t>two</w:t></w:r></w:p>\
    <w:p><w:pPr><w:pStyle w:val=\"Eigen\"/></w:pPr><w:r><w:t>Table</w:t></w:r></w:p>\
    <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t><w:tab/><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
    <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>Boxed.</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:r><w:t>Boxed.</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>";

fn content(name: &str, bytes: &[u8]) -> ReadableContent {
    read(Path::new(name), bytes, RULES).unwrap()
}

/// A PDF whose pages have one line of text each; parentheses in it are escaped.
pub(in crate::ingest) fn pdf(title: &str, pages: &[&str]) -> Vec<u8> {
    const FIRST_PAGE: usize = 5;
    let escaped = |text: &str| text.replace('(', "\\(").replace(')', "\\)");
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", FIRST_PAGE + 2 * page)).collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!("<</Type/Pages/Kids[{}]/Count {}>>", kids.join(" "), pages.len()),
        format!("<</Title({})>>", escaped(title)),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    for (page, text) in pages.iter().enumerate() {
        let drawn = format!("BT /F 12 Tf 72 700 Td ({}) Tj ET", escaped(text));
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 4 0 R>>>>/Contents {} 0 R>>",
            FIRST_PAGE + 2 * page + 1
        ));
        objects.push(format!("<</Length {}>>\nstream\n{drawn}\nendstream", drawn.len()));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = String::new();
    for (object, number) in objects.iter().zip(1..) {
        places += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let (table, size) = (file.len(), objects.len() + 1);
    file += &format!(
        "xref\n0 {size}\n0000000000 65535 f \n{places}trailer\n<</Size {size}/Root 1 0 R/Info 3 0 R>>\nstartxref\n{table}\n%%EOF\n"
    );
    file.into_bytes()
}

fn trouble(name: &str, bytes: &[u8]) -> FileTrouble {
    read(Path::new(name), bytes, RULES).unwrap_err()
}

#[test]
fn a_docx_gives_text_headings_lists_tables_links_notes_and_its_title() {
    let read = content("a.docx", &docx(DOCX_BODY));
    assert_eq!((read.format, read.title.as_str(), read.label), ("docx", "The manual", "UTF-8"));
    assert_eq!(
        read.text,
        "# Quill & ink\n\nIt “reads” [settings](https://pas.example/a%20b%20).\n\n## Parts\n\n- one\n- two\n\n### Table\n\n\
         a | b\tc\n\nBoxed.\n\nA note below.\n\n"
    );
}

#[test]
fn moved_text_is_read_in_its_new_place_only() {
    let body = "<w:p><w:pPr><w:rPr><w:moveFrom/></w:rPr></w:pPr><w:moveFromRangeStart w:id=\"1\"/><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>\
                <w:moveFromRangeEnd w:id=\"1\"/><w:r><w:t>stayed</w:t></w:r></w:p><w:p><w:moveTo><w:r><w:t>moved</w:t></w:r></w:moveTo></w:p>";
    assert_eq!(content("a.docx", &docx(body)).text, "stayed\n\nmoved\n\nA note below.\n\n");
}

#[test]
fn of_several_main_parts_the_first_identifiers_is_read_every_time() {
    let row = |id: char| {
        format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/officeDocument\" Target=\"word/{id}.xml\"/>")
    };
    let page = |id: char| format!("<w:d><w:p><w:r><w:t>{id}</w:t></w:r></w:p></w:d>");
    let ids = 'a'..='p';
    let root = format!("<R>{}</R>", ids.clone().rev().map(row).collect::<String>());
    let pages: Vec<_> = ids.map(|id| (format!("word/{id}.xml"), page(id))).collect();
    let mut parts = vec![("_rels/.rels", root.as_str())];
    parts.extend(pages.iter().map(|(name, page)| (name.as_str(), page.as_str())));
    assert_eq!(content("a.docx", &zip_of(&parts)).text, "a\n\n");
}

pub(in crate::ingest) fn odt(body: &str) -> Vec<u8> {
    let names = "xmlns:office=\"urn:o\" xmlns:text=\"urn:t\" xmlns:table=\"urn:b\" xmlns:xlink=\"urn:x\"";
    zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", "<manifest:manifest xmlns:manifest=\"urn:m\"/>"),
        (
            "content.xml",
            &format!(
                "<office:document-content {names}><office:body><office:text>{body}</office:text></office:body></office:document-content>"
            ),
        ),
        (
            "meta.xml",
            "<office:document-meta xmlns:office=\"urn:o\" xmlns:dc=\"urn:d\"><office:meta><dc:title>The guide</dc:title></office:meta></office:document-meta>",
        ),
    ])
}

#[test]
fn an_odt_gives_text_headings_lists_tables_links_notes_and_its_title() {
    let read = content(
        "a.odt",
        &odt("<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>\
              <text:h text:outline-level=\"2\">Parts</text:h>\
              <text:p>One<text:s text:c=\"2\"/>and\n <text:a xlink:href=\"../other.odt\">two</text:a><text:note>\
              <text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p></text:note-body></text:note> here\
              <office:annotation><text:p>a remark</text:p></office:annotation>.</text:p>\
              <text:list><text:list-item><text:p>item</text:p></text:list-item></text:list>\
              <table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>\
              <table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"),
    );
    assert_eq!((read.format, read.title.as_str()), ("odt", "The guide"));
    assert_eq!(read.text, "## Parts\n\nOne  and  [two](other.odt) here.\n\n- item\n\na | b\n\n\nA note.\n\n");
}

fn epub(spine: &str) -> Vec<u8> {
    let page = |words: &str| {
        format!(
            "<html><head><title>x</title></head><body><h1>{words}</h1><p>See <a href=\"two.xhtml\">two</a> and \
             <a class=\"x\" href=\"https://pas.example/book?a=1&amp;b\">the page</a>.</p></body></html>"
        )
    };
    let package = format!(
        "<package><metadata xmlns:dc=\"urn:d\"><dc:title>The book</dc:title></metadata><manifest>\
         <item id=\"a\" href=\"text/one.xhtml\"/><item id=\"b\" href=\"../OPS/text/two.xhtml\"/></manifest><spine>{spine}</spine></package>"
    );
    zip_of(&[
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path=\"OPS/book.opf\"/></rootfiles></container>",
        ),
        ("OPS/book.opf", &package),
        ("OPS/text/one.xhtml", &page("First")),
        ("OPS/text/two.xhtml", &page("Second")),
    ])
}

#[test]
fn an_epub_gives_its_chapters_in_reading_order_with_addresses_and_its_title() {
    let read = content("a.epub", &epub("<itemref idref=\"b\"/><itemref idref=\"a\"/><itemref idref=\"b\"/>"));
    assert_eq!((read.format, read.title.as_str()), ("epub", "The book"));
    let chapter =
        |name: &str| format!("# {name}\n\nSee two and the page.\n\n<https://pas.example/book?a=1&b>\n\n");
    assert_eq!(read.text, chapter("Second") + &chapter("First"));
}

#[test]
fn chapters_are_found_by_their_encoded_names_and_lost_ones_are_named() {
    let book = |spine: &str| {
        zip_of(&[
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", "<c><rootfile full-path=\"O/b.opf\"/></c>"),
            (
                "O/b.opf",
                &format!(
                    "<p><title>x</title><item id=\"a\" href=\"chapter%201%2B2.xhtml\"/><item id=\"b\" href=\"caf%C3%A9.xhtml\"/>\
                     <item id=\"c\" href=\"lost.xhtml\"/>{spine}</p>"
                ),
            ),
            ("O/chapter 1+2.xhtml", "<p>One</p>"),
            ("O/café.xhtml", "<p>Two</p>"),
        ])
    };
    let spine = |ids: &str| ids.chars().map(|id| format!("<itemref idref=\"{id}\"/>")).collect::<String>();
    let whole = content("a.epub", &book(&spine("ab")));
    assert_eq!((whole.text.as_str(), whole.left_out.as_str()), ("One\n\nTwo\n\n", ""));
    let partial = content("a.epub", &book(&spine("acb")));
    assert_eq!(partial.text, whole.text);
    assert_eq!(partial.left_out, "read without its chapter O/lost.xhtml, which is missing");
    let worse = content("a.epub", &book(&spine("acbd")));
    assert_eq!(worse.left_out, "read without 2 of its chapters, such as O/lost.xhtml, which is missing");
    let (status, said) = trouble("a.epub", &book(&spine("c")));
    assert!(status == AuditStatus::Broken && said.contains("O/lost.xhtml"), "{status:?}, {said}");
}

#[test]
fn gzip_is_opened_and_what_is_in_it_keeps_its_kind() {
    let text = content("doc/changelog.md.gz", &gzip("# Größe".as_bytes()));
    assert_eq!(
        (text.text.as_str(), text.format, text.path.to_str()),
        ("# Größe", "gzip", Some("doc/changelog.md"))
    );
    assert_eq!(content("a.docx.gz", &gzip(&docx(DOCX_BODY))).format, "docx");
    let mut tar = vec![b'a'; 257];
    tar.extend(b"ustar\x0000");
    let refused = [
        ("a.tar.gz", gzip(&tar), "a tar archive"),
        ("a.png.gz", gzip(b"\x89PNG\0"), "a PNG image in gzip data"),
    ];
    for (name, bytes, reason) in refused {
        let (status, said) = trouble(name, &bytes);
        assert!(status == AuditStatus::Binary && said.contains(reason), "{name}: {said}");
    }
}

#[test]
fn a_broken_document_is_a_row_with_its_reason() {
    let good = docx(DOCX_BODY);
    let sealed = zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", "<manifest><encryption-data/></manifest>"),
        ("content.xml", "x"),
    ]);
    for (name, bytes, reason) in [
        ("a.docx", good[..good.len() / 2].to_vec(), "damaged ZIP archive"),
        ("a.docx", docx("<w:p><w:r></w:p>"), "no XML"),
        ("a.docx", docx("<w:p><w:t>\u{1}\u{2}\u{3}\u{0}</w:t></w:p>"), "no text"),
        (
            "a.odt",
            zip_of(&[("mimetype", "application/vnd.oasis.opendocument.text")]),
            "content.xml is missing",
        ),
        ("a.odt", sealed, "encrypted"),
        ("a.epub", zip_of(&[("mimetype", "application/epub+zip")]), "container.xml is missing"),
        ("a.gz", gzip(b"some words")[..15].to_vec(), "damaged gzip data"),
    ] {
        let (status, said) = trouble(name, &bytes);
        assert!(status == AuditStatus::Broken && said.contains(reason), "{name}: {status:?}, {said}");
    }
}

#[test]
fn archives_and_office_files_of_other_kinds_are_named_and_not_read() {
    let office = |main: &str| {
        let root =
            format!("<R><Relationship Id=\"r\" Type=\"{OFFICE}/officeDocument\" Target=\"{main}\"/></R>");
        zip_of(&[("_rels/.rels", &root)])
    };
    for (name, bytes, reason) in [
        ("a.zip", zip_of(&[("a.txt", "words")]), "a ZIP archive"),
        ("a.zip", zip_of(&[("a.txt", "words")])[..40].to_vec(), "a ZIP archive"),
        ("a.xlsx", office("xl/workbook.xml"), "a spreadsheet, which is not read"),
        ("a.pptx", office("/ppt/presentation.xml"), "a presentation, which is not read"),
        (
            "a.ods",
            zip_of(&[("mimetype", "application/vnd.oasis.opendocument.spreadsheet")]),
            "other than a text",
        ),
        ("a.pdf", b"%PDF-1.7".to_vec(), "a PDF document"),
        ("a.rtf", b"{\\rtf1 words}".to_vec(), "a rich text document"),
    ] {
        let (status, said) = trouble(name, &bytes);
        assert!(status == AuditStatus::Binary && said.contains(reason), "{name}: {said}");
    }
}

#[test]
fn no_more_is_unpacked_than_the_limit_however_the_bytes_are_spread() {
    let blanks = " ".repeat(LIMIT as usize + 1);
    let half = " ".repeat(LIMIT as usize / 2 + 1);
    let page = format!("<p>{half}</p>");
    let two_halves = zip_of(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<c><rootfile full-path=\"b.opf\"/></c>"),
        (
            "b.opf",
            "<p><title>x</title><item id=\"a\" href=\"a\"/><item id=\"b\" href=\"b\"/><itemref idref=\"a\"/><itemref idref=\"b\"/></p>",
        ),
        ("a", &page),
        ("b", &page),
    ]);
    for (name, bytes) in [
        ("a.docx", docx(&format!("<w:p><w:t>{blanks}</w:t></w:p>"))),
        ("a.odt", odt(&blanks)),
        ("a.epub", two_halves),
        ("a.gz", gzip(blanks.as_bytes())),
        ("a.docx.gz", gzip(&docx(&format!("<w:p><w:t>{blanks}</w:t></w:p>")))),
    ] {
        assert!(bytes.len() < LIMIT as usize / 10);
        let (status, said) = trouble(name, &bytes);
        assert!(
            status == AuditStatus::TooLarge && said.contains("unpacks to more"),
            "{name}: {status:?}, {said}"
        );
    }
    let spaces = content("a.odt", &odt(&"<text:p>a<text:s text:c=\"999999999\"/>b</text:p>".repeat(100)));
    assert!(spaces.text.len() < 20_000);
    let entities = format!(
        "<!DOCTYPE d [<!ENTITY a \"{}\">]><w:document><w:p><w:r><w:t>x&a;&a;y</w:t></w:r></w:p></w:document>",
        "word ".repeat(1_000)
    );
    let root = format!(
        "<R><Relationship Id=\"r\" Type=\"{OFFICE}/officeDocument\" Target=\"word/document.xml\"/></R>"
    );
    let defined = zip_of(&[("_rels/.rels", &root), ("word/document.xml", &entities)]);
    assert_eq!(content("a.docx", &defined).text, "xy\n\n");
}

#[test]
fn no_more_is_written_than_the_limit_and_nothing_nests_without_end() {
    let target = format!("https://pas.example/{}", "a".repeat(1_900));
    let link = "<w:hyperlink r:id=\"r1\"><w:r><w:t>a</w:t></w:r></w:hyperlink>";
    let linked = |links: usize| {
        let root = format!(
            "<R><Relationship Id=\"m\" Type=\"{OFFICE}/officeDocument\" Target=\"word/document.xml\"/></R>"
        );
        zip_of(&[
            ("_rels/.rels", &root),
            ("word/document.xml", &format!("<w:d><w:p>{}</w:p></w:d>", link.repeat(links))),
            (
                "word/_rels/document.xml.rels",
                &format!("<R><Relationship Id=\"r1\" Target=\"{target}\"/></R>"),
            ),
        ])
    };
    assert!(content("a.docx", &linked(100)).text.len() > 190_000);
    let (status, said) = trouble("a.docx", &linked(2_000));
    assert!(status == AuditStatus::TooLarge && said.contains("1048576 bytes"), "{status:?}, {said}");
    let spaces = "<text:p>a<text:s text:c=\"80\"/></text:p>".repeat(20_000);
    assert_eq!(trouble("a.odt", &odt(&spaces)).0, AuditStatus::TooLarge);

    let indented = format!("{}{}", "<ul><li>a".repeat(40), "<li>a".repeat(20_000));
    let package = "<p><title>x</title><item id=\"a\" href=\"a\"/><itemref idref=\"a\"/></p>";
    let book = zip_of(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<c><rootfile full-path=\"b.opf\"/></c>"),
        ("b.opf", package),
        ("a", &indented),
    ]);
    assert_eq!(trouble("a.epub", &book).0, AuditStatus::TooLarge);

    let nested = |open: &str, close: &str, deep: usize| {
        docx(&format!("{}<w:r><w:t>inside</w:t></w:r>{}", open.repeat(deep), close.repeat(deep)))
    };
    assert!(content("a.docx", &nested("<w:p>", "</w:p>", 64)).text.contains("inside"));
    for (open, close) in [("<w:p>", "</w:p>"), ("<w:tbl>", "</w:tbl>")] {
        let (status, said) = trouble("a.docx", &nested(open, close, 65));
        assert!(status == AuditStatus::Broken && said.contains("64 deep"), "{status:?}, {said}");
    }
}

#[test]
fn a_readers_panic_is_a_reason() {
    let failed: Result<(), FileTrouble> = guarded(|| panic!("a reader's fault"));
    let (status, reason) = failed.unwrap_err();
    assert!(status == AuditStatus::Broken && reason.contains("its reader failed"), "{reason}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_anywhere_gives_text_or_a_reason(
        which in 0..4_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let (name, mut bytes) = match which {
            0 => ("a.docx", docx(DOCX_BODY)),
            1 => ("a.odt", odt("<text:p>One</text:p>")),
            2 => ("a.epub", epub("<itemref idref=\"a\"/>")),
            _ => ("a.md.gz", gzip(b"# some words")),
        };
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Err((_, reason)) = read(Path::new(name), &bytes, RULES) {
            prop_assert!(!reason.is_empty() && !reason.contains("its reader failed"), "{}", reason);
        }
    }
}
