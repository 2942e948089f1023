//! Files of others, as they are found.

use finetone_data::conversation::{Conversation, Speakers};
use finetone_data::doctor::{DoctorOptions, FaultKind, examine};
use finetone_data::preparation::ConversationPart;
use finetone_data::{Dataset, Notice, Preparation, ReadOptions};

use super::real_data::present;

#[test]
fn support_conversations() {
    let (Some(train), Some(test)) = (present("customer_service/train.csv"), present("customer_service/test.csv"))
    else {
        return;
    };
    let dataset = Dataset::read(&train, &ReadOptions::default()).expect("a sound file");
    assert_eq!(
        (dataset.text_column.as_str(), dataset.label_column.as_deref()),
        ("conversation", Some("customer_sentiment"))
    );
    assert_eq!(dataset.examples.len(), 970);
    assert_eq!(dataset.labels.names(), ["negative", "neutral", "positive"]);
    assert_eq!(dataset.class_counts(), [411, 542, 17]);
    let checkup = examine(&train, Some(&test), &DoctorOptions::default()).expect("sound files");
    assert!(!checkup.has_errors(), "{:?}", checkup.faults);
    assert_eq!(checkup.test_rows, Some(30));
    assert!(checkup.faults.iter().any(|fault| matches!(fault.kind, FaultKind::SmallClasses { .. })));
}

#[test]
fn turns_of_support_conversations() {
    let Some(train) = present("customer_service/train.csv") else { return };
    let dataset = Dataset::read(&train, &ReadOptions::default()).expect("a sound file");
    let customer = Preparation { conversation: ConversationPart::Customer, ..Preparation::default() };
    let notices = customer.check_speakers(&train, &dataset.examples).expect("speakers");
    // These three are cut off before the customer speaks.
    assert_eq!(notices, [Notice::SilentCustomers { rows: 3, lines: vec![6854, 10263, 26905] }]);
    for example in &dataset.examples {
        let conversation = Conversation::parse(&example.text, &Speakers::default());
        assert_eq!(conversation.preamble, "", "line {}", example.line);
        assert_eq!(Conversation::parse(&conversation.to_string(), &Speakers::default()), conversation);
        for turn in &conversation.turns {
            assert!(!turn.text.contains("Agent:") && !turn.text.contains("Customer:"), "line {}", example.line);
        }
    }
}

#[test]
fn film_sentences() {
    let Some(train) = present("sst2/train.csv") else { return };
    let dataset = Dataset::read(&train, &ReadOptions::default()).expect("a sound file");
    assert_eq!(dataset.examples.len(), 6920);
    assert_eq!(dataset.labels.names(), ["negative", "positive"]);
}
