//! The suite notices every kind of fault that it says it looks for.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case};
use crate::{Backend, Real, Reference};

/// What the backend in `f32` does wrong where the reference in `f64` does it right.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Inaccurate,
    NotWritten,
    ReadBehindTheInput,
    WrittenBehind,
    WrittenBeforeTheSpan,
    NotAccumulated,
    DifferentEachTime,
}

/// An operation that doubles eight numbers into an output and adds them to a gradient.
#[derive(Debug)]
struct Doubling(Fault);

static CALLS: AtomicU32 = AtomicU32::new(0);

impl Case for Doubling {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let x = desk.input(&numbers.values(8));
        let mut y = desk.output(8);
        let (mut grads, span) = desk.slot(&numbers.values(8));
        let fault = if std::mem::size_of::<B::Real>() == 4 { self.0 } else { Fault::None };
        let mut doubled: Vec<f64> = desk.read(&x, 9).iter().map(|x| 2.0 * x).collect();
        let behind = doubled.pop().unwrap();
        let mut sums = desk.read(&grads, span.range().end);
        (0..8).for_each(|i| sums[span.start + i] += doubled[i]);
        match fault {
            Fault::None => {}
            Fault::Inaccurate => doubled[3] += 1e-4,
            Fault::NotWritten => doubled.truncate(7),
            Fault::ReadBehindTheInput => doubled[7] += 0.0 * behind,
            Fault::WrittenBehind => doubled.push(0.0),
            Fault::WrittenBeforeTheSpan => sums[span.start - 1] = 0.0,
            Fault::NotAccumulated => sums[span.range()].copy_from_slice(&doubled),
            Fault::DifferentEachTime => doubled[0] += f64::from(CALLS.fetch_add(1, Ordering::Relaxed)) * 1e-7,
        }
        desk.backend.write(&mut y, &desk.reals(&doubled));
        desk.backend.write(&mut grads, &desk.reals(&sums));
        vec![desk.outcome("y", &y, 8), desk.outcome_at("dx", &grads, span)]
    }
}

/// The message with which the suite refuses a fault, empty when it does not.
fn message(fault: Fault) -> String {
    let check = || check_case(&Doubling(fault), &Reference::<f32>::new(), &Tolerance::F32);
    let Err(panic) = std::panic::catch_unwind(check) else { return String::new() };
    *panic.downcast::<String>().expect("an assertion with values panics with a `String`")
}

#[test]
fn every_fault_is_noticed_and_named() {
    let wanted = [
        (Fault::Inaccurate, "`y`[3] is"),
        (Fault::NotWritten, "`y`[7] is NaN"),
        (Fault::ReadBehindTheInput, "`y`[7] is NaN"),
        (Fault::WrittenBehind, "`y` was written behind its 8 values"),
        (Fault::WrittenBeforeTheSpan, "`dx` was written before its span"),
        (Fault::NotAccumulated, "`dx`[0] is"),
        (Fault::DifferentEachTime, "run twice: `y`[0] is"),
    ];
    for (fault, wanted) in wanted {
        let message = message(fault);
        assert!(message.contains(wanted), "{fault:?} should be refused with \"{wanted}\", not \"{message}\"");
    }
    assert_eq!(message(Fault::None), "");
}

#[test]
#[should_panic(expected = "packed: `y`[1] is 2 and 3")]
fn packing_is_compared_bit_by_bit() {
    let outcome = |second: f32| Outcome { name: "y", values: vec![1.0, second.to_f64()] };
    assert_same_bits("packed", &outcome(2.0), &outcome(3.0));
}
