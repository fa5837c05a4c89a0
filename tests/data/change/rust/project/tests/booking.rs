use slotbook::{fit, gaps, merge, parse_list, Day, Span};

fn spans(text: &str) -> Vec<Span> {
    parse_list(text).unwrap()
}

fn open() -> Span {
    spans("08:00-18:00")[0]
}

#[test]
fn neighbours_become_one() {
    assert_eq!(
        merge(&spans("10:00-11:00, 09:00-10:00")),
        spans("09:00-11:00")
    );
}

#[test]
fn overlapping_bookings_become_one() {
    assert_eq!(
        merge(&spans("09:00-10:30, 10:00-11:00")),
        spans("09:00-11:00")
    );
}

#[test]
fn a_meeting_inside_a_longer_one_does_not_shorten_it() {
    assert_eq!(
        merge(&spans("09:00-12:00, 10:00-10:30")),
        spans("09:00-12:00")
    );
}

#[test]
fn times_apart_stay_apart() {
    assert_eq!(
        merge(&spans("13:00-14:00, 09:00-10:00")),
        spans("09:00-10:00, 13:00-14:00")
    );
}

#[test]
fn an_empty_day_is_one_gap() {
    assert_eq!(gaps(open(), &[]), [open()]);
}

#[test]
fn gaps_lie_between_bookings() {
    let free = gaps(open(), &spans("09:00-10:00, 12:00-13:00"));
    assert_eq!(free, spans("08:00-09:00, 10:00-12:00, 13:00-18:00"));
}

#[test]
fn bookings_beyond_the_opening_hours_leave_no_gap_there() {
    assert_eq!(
        gaps(open(), &spans("07:00-09:00, 17:00-19:00")),
        spans("09:00-17:00")
    );
}

#[test]
fn the_first_gap_that_is_long_enough_is_taken() {
    let booked = spans("08:30-10:00, 10:45-12:00");
    assert_eq!(fit(open(), &booked, 45), Some(spans("10:00-10:45")[0]));
    assert_eq!(fit(open(), &booked, 361), None);
}

#[test]
fn a_day_refuses_what_is_taken() {
    let mut day = Day::new(open());
    let taken = spans("09:00-10:00")[0];
    assert_eq!(day.book(taken), Ok(()));
    assert_eq!(
        day.book(spans("09:30-11:00")[0]),
        Err(spans("09:30-11:00")[0])
    );
    assert_eq!(day.book_first(90), Some(spans("10:00-11:30")[0]));
    assert_eq!(
        (day.used(), day.free()),
        (150, spans("08:00-09:00, 11:30-18:00"))
    );
}

#[test]
fn a_list_with_a_wrong_time_is_refused_with_that_part() {
    let error = parse_list("09:00-10:00, 10:75-11:00").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`10:75-11:00` is no time of the form 09:00-10:30"
    );
}
