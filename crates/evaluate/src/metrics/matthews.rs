//! The Matthews correlation coefficient for any number of classes (Gorodkin 2004,
//! <https://doi.org/10.1016/j.compbiolchem.2004.09.006>): 1 is perfect, 0 is no better than chance.

/// The coefficient of a square matrix of counts, rows true and columns predicted; zero where one side has one class only.
pub(crate) fn correlation(matrix: &[Vec<u64>]) -> f64 {
    let n: f64 = matrix.iter().flatten().sum::<u64>() as f64;
    let right: f64 = (0..matrix.len()).map(|class| matrix[class][class] as f64).sum();
    let truth: Vec<f64> = matrix.iter().map(|row| row.iter().sum::<u64>() as f64).collect();
    let predicted: Vec<f64> =
        (0..matrix.len()).map(|class| matrix.iter().map(|row| row[class]).sum::<u64>() as f64).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let spread = (n * n - product(&predicted, &predicted)) * (n * n - product(&truth, &truth));
    if spread == 0.0 {
        return 0.0;
    }
    (right * n - product(&truth, &predicted)) / spread.sqrt()
}
