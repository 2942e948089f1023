//! The densities that proposals are drawn from, held to SciPy.

use serde_json::Value;
use tpe::density_estimation::{BuildDensityEstimator, DensityEstimator, ParzenEstimatorBuilder};

#[test]
fn densities_are_those_of_scipy() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/parzen.json")).unwrap();
    assert_eq!(cases.len(), 5);
    let numbers =
        |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
    for case in cases {
        let range = tpe::range(case["low"].as_f64().unwrap(), case["high"].as_f64().unwrap()).unwrap();
        let values = numbers(&case["values"]);
        let Ok(estimator) = ParzenEstimatorBuilder::new().build_density_estimator(values.iter().copied(), range);
        for (x, expected) in numbers(&case["at"]).into_iter().zip(numbers(&case["log_density"])) {
            // The crate's error function is good to 1.5e-7.
            let found = estimator.log_pdf(x);
            assert!((found - expected).abs() < 2e-6, "{} values at {x}: {found}, SciPy has {expected}", values.len());
        }
    }
}
