//! Values that PyTorch computes for the same inputs, in `f64`.

use crate::{
    Activation, AdamW, AttentionShape, Backend, Loss, Mask, NormKind, NormShape, NormSlots, Queries, Reference,
    RotaryShape, Segments, Span, Targets, Turn, WeightShape,
};

fn assert_close(what: &str, ours: &[f64], wanted: &[f64]) {
    assert_eq!(ours.len(), wanted.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= 1e-14 * b.abs().max(1.0), "{what}[{i}] is {a}, PyTorch says {b}");
    }
}

fn vector(values: &[f64]) -> super::ReferenceWeight<f64> {
    Reference::new().weight(values, WeightShape { rows: 1, columns: values.len() })
}

#[test]
fn gelu_and_silu() {
    let x = vec![-3.0, -1.0, -0.25, 0.0, 0.5, 2.0, 5.0];
    let cases = [
        (
            Activation::GeluErf,
            [
                -0.00404969409489031,
                -0.15865525393145702,
                -0.10032341857926907,
                0.0,
                0.34573123063700656,
                1.9544997361036416,
                4.999998566742141,
            ],
            [
                -0.01194564720418392,
                -0.08331547058768635,
                0.304626645116364,
                0.5,
                0.8674951246561629,
                1.085231801078197,
                1.000007146946002,
            ],
        ),
        (
            Activation::GeluTanh,
            [
                -0.0036373920817729943,
                -0.15880800939172324,
                -0.100324649298315,
                0.0,
                0.34571400982514394,
                1.954597694087775,
                4.999999770820381,
            ],
            [
                -0.011584166630969648,
                -0.08296408384578252,
                0.30464590484893955,
                0.5,
                0.8673699035346424,
                1.0860992566236183,
                1.000001546361988,
            ],
        ),
        (
            Activation::Silu,
            [
                -0.14227761953270035,
                -0.2689414213699951,
                -0.10945587477855048,
                0.0,
                0.3112296656009273,
                1.7615941559557646,
                4.966535745378576,
            ],
            [
                -0.08810410601516962,
                0.07232948812851325,
                0.37628997842980233,
                0.5,
                0.7399611873026519,
                1.0907842487848955,
                1.0265474324296655,
            ],
        ),
    ];
    for (activation, wanted, slopes) in cases {
        let (mut y, mut dx) = (vec![0.0; 7], vec![0.0; 7]);
        Reference::new().activation_forward(&mut y, &x, activation, 7);
        Reference::new().activation_backward(&mut dx, &vec![1.0; 7], &x, activation, 7);
        assert_close("y", &y, &wanted);
        assert_close("dx", &dx, &slopes);
    }
}

#[test]
fn layer_norm() {
    let shape = NormShape::layer(2, 4, 1e-5);
    let x = vec![0.5, -1.0, 2.0, 0.25, 3.0, 1.0, -2.0, 0.0];
    let (gain, bias) = (vector(&[1.0, 0.5, -2.0, 1.5]), vector(&[0.1, -0.2, 0.3, 0.0]));
    let dy = vec![1.0, -0.5, 0.25, 2.0, -1.0, 0.75, 0.5, 1.0];
    let (mut y, mut stats, mut dx, mut grads) = (vec![0.0; 8], vec![0.0; 4], vec![0.0; 8], vec![0.0; 8]);
    let slots = NormSlots { gain: Some(Span { start: 0, len: 4 }), bias: Some(Span { start: 4, len: 4 }) };
    Reference::new().norm_forward(&mut y, &mut stats, &x, &gain, Some(&bias), shape);
    Reference::new().norm_backward(&mut dx, (&mut grads, slots), &dy, (&x, &stats), &gain, shape);
    let wanted_y = [
        0.15862078032576704,
        -0.8741389737463201,
        -2.6310390162883484,
        -0.2637935114659513,
        1.486748357105703,
        -0.06132516428942972,
        3.0734967142114056,
        -0.4160245071317109,
    ];
    let wanted_dx = [
        0.18774754926969617,
        -1.2699130562631296,
        -0.9339061795312247,
        2.016071686524658,
        -0.4773616383216941,
        0.2373472780410299,
        -0.5973683384352256,
        0.83738269871589,
    ];
    let dgain = [-1.3281275767799359, 0.8821512273121757, -0.32699430151680786, -0.6290743533757424];
    assert_close("y", &y, &wanted_y);
    assert_close("dx", &dx, &wanted_dx);
    assert_close("dgain", &grads[..4], &dgain);
    assert_close("dbias", &grads[4..], &[0.0, 0.25, 0.75, 3.0]);
}

#[test]
fn rms_norm() {
    let shape = NormShape { kind: NormKind::Rms, ..NormShape::layer(2, 4, 1e-5) };
    let x = vec![0.5, -1.0, 2.0, 0.25, 3.0, 1.0, -2.0, 0.0];
    let gain = vector(&[1.0, 0.5, -2.0, 1.5]);
    let dy = vec![1.0, -0.5, 0.25, 2.0, -1.0, 0.75, 0.5, 1.0];
    let (mut y, mut stats, mut dx, mut dgain) = (vec![0.0; 8], vec![0.0; 4], vec![0.0; 8], vec![0.0; 4]);
    let slots = NormSlots { gain: Some(Span { start: 0, len: 4 }), bias: None };
    Reference::new().norm_forward(&mut y, &mut stats, &x, &gain, None, shape);
    Reference::new().norm_backward(&mut dx, (&mut dgain, slots), &dy, (&x, &stats), &gain, shape);
    let wanted_y = [
        0.43385928228779475,
        -0.43385928228779475,
        -3.470874258302358,
        0.3253944617158461,
        1.6035651606688104,
        0.2672608601114684,
        2.138086880891747,
        0.0,
    ];
    let wanted_dx = [
        0.8268850572243229,
        -0.13526262644136433,
        -0.5971933116928608,
        2.582738940051135,
        -0.46293419437172445,
        0.22430815370067206,
        -0.5822467374570783,
        0.8017825803344052,
    ];
    assert_close("y", &y, &wanted_y);
    assert_close("dx", &dx, &wanted_dx);
    assert_close(
        "dgain",
        &dgain,
        &[-1.1697058783810157, 0.8347505724549973, -0.10066243793514201, 0.43385928228779475],
    );
}

#[test]
fn rotary_positions_are_those_of_transformers() {
    let angles = [3.0f64, 0.03];
    let table = [angles.map(f64::cos), angles.map(f64::sin)].concat();
    let mut x = vec![0.5, -1.0, 2.0, 0.25];
    let shape = RotaryShape { tokens: 1, head_size: 4, segments: Segments::WHOLE, turn: Turn::Forward };
    Reference::new().rotary(&mut x, &table, &[0], shape);
    let wanted = [-0.7772362644199571, -1.0070489087996115, -1.9094249891709572, 0.21989200823475122];
    assert_close("x", &x, &wanted);
}

/// Two query heads that read one key and value head, of the token itself and the one before.
#[test]
fn attention_of_shared_heads_in_a_window() {
    let tokens = [
        [0.5, -1.0, 1.0, 0.25, 1.0, 0.25, 2.0, -0.5],
        [2.0, -0.5, 1.5, 0.5, 1.5, 0.5, 0.0, 1.0],
        [-0.75, 1.0, 0.0, 1.0, 0.5, -1.0, -1.0, 0.25],
    ];
    let (starts, heads, kv_heads, head_size, queries) = (&[0, 3], 2, 1, 2, Queries::All);
    let mask = Mask::Window(2);
    let shape = AttentionShape { starts, heads, kv_heads, head_size, mask, queries, scale: 0.5f64.sqrt() };
    let (mut y, mut log_sums) = (vec![0.0; 12], vec![0.0; 6]);
    Reference::new().attention_forward(&mut y, &mut log_sums, &tokens.concat(), None, shape);
    let wanted = [
        [2.0, -0.5, 2.0, -0.5],
        [0.700145959586711, 0.47489053030996675, 0.700145959586711, 0.47489053030996675],
        [-0.37043990403035854, 0.7221700719772312, -0.25718331522680704, 0.8071125135798948],
    ];
    assert_close("y", &y, &wanted.concat());
}

#[test]
fn scaled_dot_product_attention() {
    let qkv = vec![0.5, -1.0, 1.0, 0.25, 2.0, -0.5, 1.5, 0.5, -0.75, 1.0, 0.0, 1.0, -1.0, 2.0, 0.5, 0.5, -1.0, 0.25];
    let wanted = [
        0.6427588256380337,
        -0.003721751699256805,
        0.7350148581813514,
        -0.07342467314956287,
        -0.0021654668574099182,
        0.7673104610212853,
    ];
    let causal = [2.0, -0.5, 1.6615107595417598, -0.24613306965631992, -0.0021654668574099182, 0.7673104610212853];
    for (mask, wanted) in [(Mask::Bidirectional, wanted), (Mask::Causal, causal)] {
        let shape = AttentionShape {
            starts: &[0, 3],
            heads: 1,
            kv_heads: 1,
            head_size: 2,
            mask,
            queries: Queries::All,
            scale: 0.5f64.sqrt(),
        };
        let (mut y, mut log_sums) = (vec![0.0; 6], vec![0.0; 3]);
        Reference::new().attention_forward(&mut y, &mut log_sums, &qkv, None, shape);
        assert_close("y", &y, &wanted);
    }
}

/// Losses and their gradient for two rows of three logits.
fn cross_entropy(targets: Targets<'_>, weights: &[f64], smoothing: f64, focal_gamma: f64) -> (Vec<f64>, Vec<f64>) {
    let logits = vec![2.0, -1.0, 0.5, 0.0, 3.0, -2.0];
    let class_weights = Some(weights.to_vec());
    let loss = Loss { classes: 3, smoothing, class_weights, focal_gamma, normaliser: 1.0 };
    let (mut losses, mut dlogits) = (vec![0.0; 2], vec![0.0; 6]);
    Reference::new().cross_entropy(&mut losses, &mut dlogits, &logits, targets, &loss);
    (losses, dlogits)
}

#[test]
fn cross_entropy_with_weights_and_smoothing() {
    let (losses, dlogits) = cross_entropy(Targets::Classes(&[2, 1]), &[1.0, 2.0, 0.5], 0.1, 0.0);
    let wanted = [
        0.41183831960058964,
        -0.04450287514661044,
        -0.3673354444539792,
        0.05698654833893962,
        -0.05254334844028703,
        -0.004443199898652264,
    ];
    assert_close("losses", &losses, &[1.0367430681057224, 0.28872170113953216]);
    assert_close("dlogits", &dlogits, &wanted);
}

#[test]
fn binary_cross_entropy_with_weights_and_with_focus() {
    let targets = Targets::Binary(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    let (losses, dlogits) = cross_entropy(targets, &[1.0, 2.0, 0.5], 0.0, 0.0);
    let wanted =
        [-0.11920292202211769, 0.5378828427399902, -0.1887703343990727, 0.5, 1.9051482536448667, -0.4403985389889412];
    assert_close("losses", &losses, &[0.9904898781694714, 7.853785889228916]);
    assert_close("dlogits", &dlogits, &wanted);

    let (losses, dlogits) = cross_entropy(targets, &[1.0; 3], 0.1, 2.0);
    let wanted = [
        -0.006663581799197574,
        0.05425236484956163,
        -0.13524632245481868,
        0.28578679513998634,
        1.0684697721215337,
        -1.019427947173797,
    ];
    assert_close("focal losses", &losses, &[0.10063594284441187, 4.3759554462654915]);
    assert_close("focal dlogits", &dlogits, &wanted);
}

#[test]
fn adamw_three_steps() {
    let mut weight = vector(&[1.0, -2.0, 0.5]);
    let (mut first, mut second) = (vec![0.0; 3], vec![0.0; 3]);
    let steps = [
        ([0.1, -0.2, 0.3], [0.890990099009901, -1.880497512437811, 0.39533222591362127]),
        ([0.5, 0.0, -0.1], [0.7963918566440763, -1.7950072480353378, 0.3514632505966802]),
        ([-0.4, 0.2, 0.001], [0.7755660199795714, -1.7855916133355418, 0.31685313246076785]),
    ];
    for (i, (gradient, wanted)) in steps.iter().enumerate() {
        // Twice the gradient at half the scale is the same gradient.
        let mut grads = gradient.iter().map(|g| 2.0 * g).collect();
        let span = Span { start: 0, len: 3 };
        let update = AdamW {
            rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-3,
            weight_decay: 0.1,
            step: i as u64 + 1,
            gradient_scale: 0.5,
        };
        Reference::new().adamw(&mut weight, (&mut first, &mut second), &mut grads, span, None, &update);
        assert_close("weight", &weight.values, wanted);
    }
    assert_close("first moment", &first, &[0.0131, 0.0038, 0.0154]);
    assert_close("second moment", &second, &[0.00417301, 0.00079204, 0.0009811]);
}

#[test]
fn global_norm_is_euclidean() {
    let grads = vec![3.0, -4.0, 12.0, 99.0, 84.0];
    let norm = |spans: &[Span]| Reference::<f32>::new().global_norm(&grads, spans);
    assert_eq!(norm(&[Span { start: 0, len: 3 }]), 13.0);
    assert_eq!(norm(&[Span { start: 0, len: 3 }, Span { start: 4, len: 1 }]), 85.0);
    assert_eq!(norm(&[]), 0.0);
}
