//! The table of parameters, and the memory that follows it.

use finetone_backend::{Backend, Real, Span, WeightShape};

use crate::initialise;

/// Index of a parameter in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub(crate) usize);

/// How a fresh parameter is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean 0 and this deviation.
    Normal(f64),
    /// Uniform from minus this to this.
    Uniform(f64),
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
}

/// Which part of the model a parameter belongs to, from input to output; decides freezing and layer-wise rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Token, position and type embeddings.
    Embedding,
    /// The block of this number, from 0.
    Block(usize),
    /// The normalisation after the last block.
    FinalNorm,
    /// Pooling and classifier.
    Head,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Our name, such as `blocks.0.attention.qkv.weight`.
    pub name: String,
    /// Rows and columns; vectors have one row.
    pub shape: WeightShape,
    /// Whether weight decay applies: matrices yes, norms and biases no.
    pub decay: bool,
    /// How it starts from scratch.
    pub init: Init,
    /// Which part of the model it belongs to.
    pub part: Part,
    /// Whether it is a table of which a pass looks up some rows, so that the others have no gradient.
    pub looked_up: bool,
    /// Whether it belongs to a low-rank adapter of another parameter.
    pub adapter: bool,
    /// Whether it is trained.
    pub trainable: bool,
}

/// All parameters of a model, and where their gradients lie.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParamTable {
    specs: Vec<ParamSpec>,
    spans: Vec<Option<Span>>,
    gradient_len: usize,
}

impl ParamTable {
    /// Adds a parameter, trainable at first.
    pub(crate) fn declare(&mut self, spec: ParamSpec) -> ParamId {
        self.spans.push(place_one(&mut self.gradient_len, &spec));
        self.specs.push(spec);
        ParamId(self.specs.len() - 1)
    }

    /// Notes that only rows of a parameter that a pass looks up have gradients.
    pub(crate) fn set_looked_up(&mut self, id: ParamId) {
        self.specs[id.0].looked_up = true;
    }

    /// Notes that a parameter belongs to an adapter.
    pub(crate) fn set_adapter(&mut self, id: ParamId) {
        self.specs[id.0].adapter = true;
    }

    /// Decides which parameters are trained, and lays out the gradients anew.
    pub fn set_trainable(&mut self, trainable: impl Fn(&ParamSpec) -> bool) {
        self.gradient_len = 0;
        for (spec, span) in self.specs.iter_mut().zip(&mut self.spans) {
            spec.trainable = trainable(spec);
            *span = place_one(&mut self.gradient_len, spec);
        }
    }

    /// Every parameter with its id.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, &ParamSpec)> {
        self.specs.iter().enumerate().map(|(i, spec)| (ParamId(i), spec))
    }

    /// The row of one parameter.
    pub fn spec(&self, id: ParamId) -> &ParamSpec {
        &self.specs[id.0]
    }

    /// Where its gradient lies; `None` for a frozen parameter.
    pub fn span(&self, id: ParamId) -> Option<Span> {
        self.spans[id.0]
    }

    /// The parameter of this name.
    pub fn find(&self, name: &str) -> Option<ParamId> {
        self.specs.iter().position(|spec| spec.name == name).map(ParamId)
    }

    /// Number of parameters in the table (tensors, not numbers).
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Numbers in all parameters.
    pub fn numbers(&self) -> usize {
        self.specs.iter().map(|spec| spec.shape.len()).sum()
    }

    /// Numbers in all parameters but the tables of embeddings, which are looked up and not multiplied.
    pub fn numbers_without_embeddings(&self) -> usize {
        let is_table = |spec: &ParamSpec| spec.part == Part::Embedding && spec.decay;
        self.specs.iter().filter(|spec| !is_table(spec)).map(|spec| spec.shape.len()).sum()
    }

    /// Numbers in the trained parameters: the length of the gradient buffer.
    pub fn gradient_len(&self) -> usize {
        self.gradient_len
    }

    /// The part closest to the input that is trained; backward need not go below it.
    pub fn lowest_trainable(&self) -> Option<Part> {
        self.specs.iter().filter(|spec| spec.trainable).map(|spec| spec.part).min()
    }
}

fn place_one(start: &mut usize, spec: &ParamSpec) -> Option<Span> {
    spec.trainable.then(|| {
        let span = Span { start: *start, len: spec.shape.len() };
        *start += span.len;
        span
    })
}

/// The weights of a model on a backend, one for each row of the table.
pub struct Parameters<B: Backend> {
    weights: Vec<B::Weight>,
}

impl<B: Backend> Parameters<B> {
    /// Weights in the order of the table.
    pub(crate) fn new(weights: Vec<B::Weight>) -> Self {
        Self { weights }
    }

    /// Fresh weights; the same seed gives the same values on every backend.
    pub fn initialise(backend: &B, table: &ParamTable, seed: u64) -> Self {
        // The same memory for one after the other: an allocator would keep what lies between the weights.
        let mut values = Vec::new();
        let weights = table.iter().map(|(id, spec)| Self::fresh_by(&mut values, backend, id, spec, seed));
        Self::new(weights.collect())
    }

    /// The weights of a table that has adapters, which are fresh, among the parameters of these weights.
    pub(crate) fn with_adapters(self, backend: &B, table: &ParamTable, seed: u64) -> Self {
        let mut old = self.weights.into_iter();
        let weights = table.iter().map(|(id, spec)| match spec.adapter {
            true => Self::fresh(backend, id, spec, seed),
            false => old.next().expect("the tables differ by adapters alone"),
        });
        Self::new(weights.collect())
    }

    /// One fresh weight.
    pub(crate) fn fresh(backend: &B, id: ParamId, spec: &ParamSpec, seed: u64) -> B::Weight {
        Self::fresh_by(&mut Vec::new(), backend, id, spec, seed)
    }

    /// The same by way of `values`.
    fn fresh_by(values: &mut Vec<B::Real>, backend: &B, id: ParamId, spec: &ParamSpec, seed: u64) -> B::Weight {
        values.clear();
        values.extend(initialise::values(spec.init, spec.shape.len(), seed, id.0 as u64).map(B::Real::from_f64));
        backend.weight(values, spec.shape)
    }

    /// One weight.
    pub fn get(&self, id: ParamId) -> &B::Weight {
        &self.weights[id.0]
    }

    /// One weight, to be changed.
    pub fn get_mut(&mut self, id: ParamId) -> &mut B::Weight {
        &mut self.weights[id.0]
    }

    /// The master values of one weight as `f32`.
    pub fn values(&self, backend: &B, table: &ParamTable, id: ParamId) -> Vec<f32> {
        let len = table.spec(id).shape.len();
        let mut values = vec![B::Real::default(); len];
        backend.read_weight(&mut values, self.get(id), 0..len);
        values.into_iter().map(|v| v.to_f64() as f32).collect()
    }

    /// Replaces the master values of one weight.
    pub fn set_values(&mut self, backend: &B, id: ParamId, values: &[f32]) {
        let values: Vec<B::Real> = values.iter().map(|&v| B::Real::from_f64(f64::from(v))).collect();
        backend.write_weight(self.get_mut(id), &values);
    }
}
