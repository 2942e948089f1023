//! `logits = W drop(v) + b`, with `v = pool(x)` or `v = f(dense(drop(pool(x))))`
//!
//! Where a text has numbers `m` beside it, `logits = W drop(v) + U m + b`: one linear layer over the joined vector
//! `[drop(v); m]`, written as two products. `dU += dlogitsᵀ m`.
//!
//! In a language model `pool` takes the tokens that are asked about, and `W[V, D]` may be the table of embeddings. A masked
//! one has `v = norm(f(dense(pool(x))))`; it is read and not trained, so that has no backward.
//!
//! Pooling by attention: `p = softmax(x · q / √D)` over the last tokens, `v = Σ p x`, with a learned query `q`. Where a
//! text is several sequences, `pool(x)` is the mean of what pooling gives for each of them.

use finetone_backend::{Activation, AttentionPoolShape, Backend, PoolShape, Pooling, Real};

use super::{Declare, Dropout, Linear, Norm};
use crate::config::{HeadPooling, LanguageHead, ModelConfig};
use crate::gradients::Gradients;
use crate::params::{Init, ParamId};
use crate::transformer::Pass;
use crate::workspace::Plan;

/// Hidden states to one row of logits for each text, or for each token that is asked about.
#[derive(Debug, Clone)]
pub struct Head {
    pool: Pool,
    pooled_dropout: Dropout,
    dense: Option<(Linear, Activation)>,
    norm: Option<Norm>,
    dropout: Dropout,
    classifier: Linear,
    features: Option<Linear>,
    width: usize,
    logits: usize,
}

#[derive(Debug, Clone)]
enum Pool {
    Plain(Pooling),
    /// The tokens that are asked about: the last ones of the stretches between them.
    Asked,
    Attention {
        query: ParamId,
        last: usize,
    },
}

/// What the head keeps for its backward, and its output.
pub struct HeadSaved<B: Backend> {
    /// `[N]`, attention pooling only (empty otherwise).
    probabilities: B::Buffer,
    /// `[S, D]`, where a text is several sequences.
    windows: B::Buffer,
    /// `[T, D]`.
    pub pooled: B::Buffer,
    /// `[T, D]` before and after the activation, where there is a dense layer.
    dense: Option<(B::Buffer, B::Buffer)>,
    /// `[T, D]` and its statistics `[2 T]`, where there is a norm.
    normed: Option<(B::Buffer, B::Buffer)>,
    features: Option<FeaturesSaved<B>>,
    /// `[T, C]`.
    pub logits: B::Buffer,
}

/// The numbers beside the texts.
struct FeaturesSaved<B: Backend> {
    /// `[T, M]`, and the same before they are on the machine.
    values: B::Buffer,
    host: Vec<B::Real>,
    /// M.
    width: usize,
    /// `[T, C]`: what they add to the logits.
    logits: B::Buffer,
}

impl<B: Backend> FeaturesSaved<B> {
    fn new(plan: &Plan<'_, B>) -> Self {
        let head = &plan.config.head;
        Self {
            values: plan.zeros(plan.sequences * head.features),
            host: Vec::new(),
            width: head.features,
            logits: plan.zeros(plan.sequences * head.logits()),
        }
    }

    /// Writes `values[T, M]`.
    fn load(&mut self, pass: &Pass<'_, B>) {
        let (found, texts) = (pass.batch.features.len(), pass.batch.texts());
        assert!(
            found == texts * self.width,
            "{found} numbers beside {texts} texts that should have {} each",
            self.width
        );
        self.host.clear();
        self.host.extend(pass.batch.features.iter().map(|&value| B::Real::from_f64(f64::from(value))));
        pass.backend.write(&mut self.values, &self.host);
    }
}

impl<B: Backend> HeadSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let head = &plan.config.head;
        let rows = || plan.zeros(plan.sequences * plan.config.hidden_size);
        let attended = matches!(head.pooling, HeadPooling::Attention { .. });
        let masked = plan.config.language.and_then(|language| language.masked);
        Self {
            probabilities: plan.zeros(if attended { plan.tokens } else { 0 }),
            windows: rows(),
            pooled: rows(),
            dense: plan.config.head_activation().map(|_| (rows(), rows())),
            normed: masked.map(|_| (rows(), plan.zeros(2 * plan.sequences))),
            features: (head.features > 0).then(|| FeaturesSaved::new(plan)),
            logits: plan.zeros(plan.sequences * plan.config.logits()),
        }
    }
}

/// Memory of the head's backward: `[T, D]` each, and `[S, D]` where a text is several sequences.
pub struct HeadScratch<B: Backend> {
    v: B::Buffer,
    inner: B::Buffer,
    pooled: B::Buffer,
    windows: B::Buffer,
}

impl<B: Backend> HeadScratch<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let rows = || plan.zeros(plan.sequences * plan.config.hidden_size);
        Self { v: rows(), inner: rows(), pooled: rows(), windows: rows() }
    }
}

impl Head {
    /// The head; a language model's may share the table of embeddings, `tokens`.
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig, tokens: ParamId) -> Self {
        match config.language {
            Some(language) => Self::of_language(at, config, language, tokens),
            None => Self::of_classes(at, config),
        }
    }

    fn of_language(at: &mut Declare<'_>, config: &ModelConfig, language: LanguageHead, tokens: ParamId) -> Self {
        let (d, init) = (config.hidden_size, Init::Normal(config.initializer_range));
        let (sizes, bias) = ((d, config.vocab_size), language.masked.is_some());
        let dense = |f| (at.within("dense", |at| Linear::declare(at, (d, d), true, init)), f);
        Self {
            pool: Pool::Asked,
            dense: language.masked.map(dense),
            norm: language.masked.map(|_| at.within("norm", |at| Norm::declare(at, config))),
            pooled_dropout: Dropout::declare(at, 0.0),
            dropout: Dropout::declare(at, 0.0),
            classifier: at.within("tokens", |at| match language.tied {
                true => Linear::sharing(at, tokens, sizes, bias),
                false => Linear::declare(at, sizes, bias, init),
            }),
            features: None,
            width: config.hidden_size,
            logits: config.vocab_size,
        }
    }

    fn of_classes(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let (head, d) = (&config.head, config.hidden_size);
        let init = Init::Normal(config.initializer_range);
        let pool = match head.pooling {
            HeadPooling::First => Pool::Plain(Pooling::First),
            HeadPooling::Last => Pool::Plain(Pooling::Last),
            HeadPooling::Mean => Pool::Plain(Pooling::Mean),
            HeadPooling::Attention { last } => Pool::Attention { query: at.vector("query", d, init), last },
        };
        Self {
            pool,
            pooled_dropout: Dropout::declare(at, head.pooled_dropout),
            dense: head.dense.map(|f| (at.within("dense", |at| Linear::declare(at, (d, d), true, init)), f)),
            norm: None,
            dropout: Dropout::declare(at, head.dropout),
            classifier: at.within("classifier", |at| Linear::declare(at, (d, head.logits()), head.bias, init)),
            features: (head.features > 0)
                .then(|| at.within("features", |at| Linear::declare(at, (head.features, head.logits()), false, init))),
            width: d,
            logits: head.logits(),
        }
    }

    /// The parameters that logits are linear in: those of the last layer.
    pub(crate) fn last_layer(&self) -> impl Iterator<Item = ParamId> {
        [Some(&self.classifier), self.features.as_ref()].into_iter().flatten().flat_map(Linear::parameters)
    }

    fn attention_shape<'a, B: Backend>(&self, pass: &Pass<'a, B>, last: usize) -> AttentionPoolShape<'a> {
        AttentionPoolShape { starts: pass.starts(), width: self.width, last }
    }

    /// The sequences of each text, where a text may have several.
    fn windows<'a, B: Backend>(&self, pass: &Pass<'a, B>) -> Option<PoolShape<'a>> {
        let starts = &pass.batch.texts;
        (!starts.is_empty()).then_some(PoolShape { starts, width: self.width })
    }

    /// Writes `saved.pooled[T, D]`.
    fn pool_forward<B: Backend>(&self, pass: &Pass<'_, B>, saved: &mut HeadSaved<B>, x: &B::Buffer) {
        let windows = self.windows(pass);
        let HeadSaved { windows: of_windows, pooled, probabilities, .. } = saved;
        let of_sequences = if windows.is_some() { &mut *of_windows } else { &mut *pooled };
        match self.pool {
            Pool::Plain(pooling) => {
                let shape = PoolShape { starts: pass.starts(), width: self.width };
                pass.backend.pool_forward(of_sequences, x, pooling, shape);
            }
            Pool::Attention { query, last } => {
                let (query, shape) = (pass.parameters.get(query), self.attention_shape(pass, last));
                pass.backend.attention_pool_forward(of_sequences, probabilities, x, query, shape);
            }
            Pool::Asked => {
                let shape = PoolShape { starts: &pass.batch.asked, width: self.width };
                pass.backend.pool_forward(pooled, x, Pooling::Last, shape);
                return;
            }
        }
        if let Some(shape) = windows {
            pass.backend.pool_forward(pooled, of_windows, Pooling::Mean, shape);
        }
    }

    /// Writes `dx[rows, D]` from `dpooled[T, D]`; `dwindows` is scratch.
    fn pool_backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        (dpooled, dwindows): (&B::Buffer, &mut B::Buffer),
        (saved, x): (&HeadSaved<B>, &B::Buffer),
    ) {
        let dsequences = match self.windows(pass) {
            Some(shape) => {
                pass.backend.pool_backward(dwindows, dpooled, Pooling::Mean, shape);
                dwindows
            }
            None => dpooled,
        };
        match self.pool {
            Pool::Plain(pooling) => {
                let shape = PoolShape { starts: pass.starts(), width: self.width };
                pass.backend.pool_backward(dx, dsequences, pooling, shape);
            }
            Pool::Attention { query, last } => {
                let grads = (&mut grads.buffer, pass.table.span(query));
                let (kept, shape) = ((x, &saved.probabilities), self.attention_shape(pass, last));
                pass.backend.attention_pool_backward(dx, grads, dsequences, kept, pass.parameters.get(query), shape);
            }
            Pool::Asked => {
                // Behind the last token that is asked about nothing is written.
                pass.backend.clear(dx, pass.batch.tokens() * self.width);
                let shape = PoolShape { starts: &pass.batch.asked, width: self.width };
                pass.backend.pool_backward(dx, dpooled, Pooling::Last, shape);
            }
        }
    }

    /// Writes `saved.logits[T, C]`, or `[A, V]`, from `x[rows, D]`, the rows asked for.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, saved: &mut HeadSaved<B>, x: &B::Buffer) {
        let rows = pass.batch.answers();
        let len = rows * self.width;
        self.pool_forward(pass, saved, x);
        let v = match (&self.dense, &mut saved.dense) {
            (Some((dense, activation)), Some((inner, activated))) => {
                self.pooled_dropout.apply(pass, &mut saved.pooled, len);
                dense.forward(pass, inner, &saved.pooled, rows);
                pass.backend.activation_forward(activated, inner, *activation, len);
                activated
            }
            _ => &mut saved.pooled,
        };
        let v = match (&self.norm, &mut saved.normed) {
            (Some(norm), Some((normed, stats))) => {
                norm.forward(pass, normed, stats, v, rows);
                normed
            }
            _ => v,
        };
        self.dropout.apply(pass, v, len);
        self.classifier.forward(pass, &mut saved.logits, v, rows);
        if let (Some(linear), Some(features)) = (&self.features, &mut saved.features) {
            features.load(pass);
            linear.forward(pass, &mut features.logits, &features.values, rows);
            pass.backend.add(&mut saved.logits, &features.logits, rows * self.logits);
        }
    }

    /// Writes `dx[rows, D]`; `saved` is what forward kept, and `x`.
    ///
    /// # Panics
    /// For a masked language model.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        dx: &mut B::Buffer,
        grads: &mut Gradients<B>,
        scratch: &mut HeadScratch<B>,
        dlogits: &B::Buffer,
        (saved, x): (&HeadSaved<B>, &B::Buffer),
    ) {
        assert!(self.norm.is_none(), "a masked language model is read, not trained");
        let rows = pass.batch.answers();
        let len = rows * self.width;
        if let (Some(linear), Some(features)) = (&self.features, &saved.features) {
            linear.accumulate(pass, grads, dlogits, &features.values, rows);
        }
        let HeadScratch { v: dv, inner: dinner, pooled: dpooled, windows: dwindows } = scratch;
        let dpooled = match (&self.dense, &saved.dense) {
            (Some((dense, activation)), Some((inner, activated))) => {
                self.classifier.backward(pass, dv, grads, dlogits, activated, rows);
                self.dropout.apply(pass, dv, len);
                pass.backend.activation_backward(dinner, dv, inner, *activation, len);
                dense.backward(pass, dpooled, grads, dinner, &saved.pooled, rows);
                self.pooled_dropout.apply(pass, dpooled, len);
                dpooled
            }
            _ => {
                self.classifier.backward(pass, dv, grads, dlogits, &saved.pooled, rows);
                self.dropout.apply(pass, dv, len);
                dv
            }
        };
        self.pool_backward(pass, dx, grads, (dpooled, dwindows), (saved, x));
    }
}
