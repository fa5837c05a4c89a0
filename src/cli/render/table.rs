//! Tables that fit a width: one column is cut, the others keep their content's width.

use console::{Alignment, measure_text_width, pad_str, style};

use super::fit;

const GAP: usize = 2;
/// A narrower cell is unreadable.
const LEAST: usize = 8;

#[derive(Debug, Clone, Copy)]
pub struct TableColumn {
    title: &'static str,
    alignment: Alignment,
}

impl TableColumn {
    /// Text, at the left.
    #[must_use]
    pub const fn left(title: &'static str) -> Self {
        Self { title, alignment: Alignment::Left }
    }

    /// Numbers, at the right.
    #[must_use]
    pub const fn right(title: &'static str) -> Self {
        Self { title, alignment: Alignment::Right }
    }
}

/// Draws the rows below their titles. Where they are wider than `width`, the column `gives_way` is cut
/// first, then the whole line.
#[must_use]
pub fn draw<const N: usize>(
    columns: [TableColumn; N],
    gives_way: usize,
    rows: &[[String; N]],
    width: usize,
) -> String {
    let mut widths = columns.map(|column| measure_text_width(column.title));
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let total = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
    if let Some(flexible) = widths.get_mut(gives_way) {
        *flexible = flexible.saturating_sub(total.saturating_sub(width)).max(LEAST.min(*flexible));
    }
    let line = |cells: [&str; N]| -> String {
        let padded = cells.iter().zip(widths).zip(columns);
        let padded = padded.map(|((cell, width), column)| {
            pad_str(&fit(cell, width), width, column.alignment, None).into_owned()
        });
        let line = padded.collect::<Vec<_>>().join(&" ".repeat(GAP));
        fit(line.trim_end(), width)
    };
    let mut lines = vec![style(line(columns.map(|column| column.title))).dim().to_string()];
    lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: usize) -> String {
        let rows = [
            ["ingest-k3v9x2m4ab.data.lane.clean".to_owned(), "●".into(), "1".into()],
            ["短い名前".to_owned(), "✔".into(), "1200".into()],
        ];
        let drawn = draw(
            [TableColumn::left("JOB"), TableColumn::left("S"), TableColumn::right("FILES")],
            0,
            &rows,
            width,
        );
        console::strip_ansi_codes(&drawn).into_owned()
    }

    #[test]
    fn the_named_column_gives_way() {
        insta::assert_snapshot!(format!("{}\n---\n{}", table(60), table(30)), @r"
        JOB                                S  FILES
        ingest-k3v9x2m4ab.data.lane.clean  ●      1
        短い名前                           ✔   1200
        ---
        JOB                   S  FILES
        ingest-k3v9x2m4ab.d…  ●      1
        短い名前              ✔   1200
        ");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for width in 1..70 {
            let drawn = table(width);
            assert!(drawn.lines().all(|line| measure_text_width(line) <= width), "{width}\n{drawn}");
        }
    }
}
