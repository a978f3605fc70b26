//! Topics of arbitrary bytes, folded. For fuzzers.

use super::event::Event;
use super::order::{Order, Place};
use super::state::{Differences, Part, State, hash};

/// See [`crate::fuzzing::event`].
pub(crate) fn events(bytes: &[u8]) {
    let columns = vec!["id".to_owned(), "v".to_owned()];
    let mut state = State::new(columns, vec![hash("\"u\""), 0], Part { number: 0, of: 1 });
    let (mut order, mut found) = (Order::default(), Differences::default());
    let mut values = bytes.split(|byte| *byte == 0);
    let key = values.next().filter(|key| !key.is_empty());
    let mut count = 0;
    for value in values {
        let Ok(event) = Event::read(value) else { continue };
        if let Some(place) = event.source.order() {
            order.push(Place::of_sequence(place), false);
        }
        if let Some(place) = Place::of_id(&event.op) {
            order.push(place, true);
        }
        state.apply(key, &event, |name| name == "shortened");
        if let Some(after) = &event.after {
            state.compare(key, after, &mut found);
        }
        count += 1;
    }
    state.finish(&mut found);
    assert!(order.late <= count * 2 && found.missing + found.phantom <= count * 2);
}
