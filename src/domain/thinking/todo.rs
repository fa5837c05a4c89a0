//! The plan that a step keeps for itself: text in the model's own words, shown verbatim.
//!
//! Only check boxes are read out of it, for the parent's list of unfinished items.

/// Most open items that are read out: a plan of more is no plan.
const MAX_ITEMS: usize = 50;

/// The items of a plan that are not ticked, in their order.
#[must_use]
pub fn unfinished(todo: &str) -> Vec<String> {
    todo.lines().filter_map(open_item).take(MAX_ITEMS).map(str::to_owned).collect()
}

fn open_item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let line = line.trim_start_matches(['-', '*', '+', '.', ')']).trim_start();
    let (mark, rest) = line.strip_prefix('[')?.split_once(']')?;
    let is_done = matches!(mark.trim(), "x" | "X" | "✓");
    let rest = rest.trim();
    (!is_done && mark.chars().count() <= 1 && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_items_are_read_in_every_usual_form_and_ticked_ones_are_not() {
        let todo =
            "Plan\n- [x] read\n- [ ] fix it\n  * [~] test it\n3. [ ] say so\n- [docs](a) no item\n[ ]\n";
        assert_eq!(unfinished(todo), ["fix it", "test it", "say so"]);
        assert!(unfinished("no boxes at all").is_empty());
    }
}
