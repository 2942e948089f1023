//! What classifiers answered, where a record of it is kept.

use sqlx::{AnyConnection, FromRow};

use super::Store;

/// An answer before it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAnswer {
    /// The id that the client was told.
    pub id: String,
    /// The number of the text in its request, from 0.
    pub number: i64,
    /// The model's own name.
    pub model: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// The text, where texts are kept.
    pub text: Option<String>,
    /// What tells equal texts from others, for whoever has the key.
    pub hash: String,
    /// Words of the text.
    pub length: i64,
    /// The most probable class.
    pub predicted: String,
    /// Its probability.
    pub confidence: f64,
    /// How far it is ahead of the next class.
    pub margin: f64,
    /// Whether the text was left to a person, where the model leaves any.
    pub abstained: Option<bool>,
}

/// An answer as it is looked at again, without its text.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct AnswerRow {
    /// Seconds since 1970.
    pub created_at: i64,
    /// Words of the text.
    pub length: i64,
    /// The most probable class.
    pub predicted: String,
    /// Its probability.
    pub confidence: f64,
    /// 1 or 0 whether the text was left to a person, where the model leaves any.
    pub abstained: Option<i64>,
    /// The right class, where somebody has said it.
    pub label: Option<String>,
}

/// A text that was answered and has no label yet.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct OpenText {
    /// The text.
    pub text: String,
    /// How far the most probable class is ahead of the next.
    pub margin: f64,
}

/// What is kept of a model.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct KeptAnswers {
    /// Its name.
    pub model: String,
    /// Answers.
    pub answers: i64,
    /// Those of which somebody has said what was right.
    pub labelled: i64,
    /// Texts that are kept.
    pub texts: i64,
    /// The first answer, in seconds since 1970.
    pub since: i64,
    /// The last one.
    pub until: i64,
}

impl Store {
    /// Keeps answers, all or none. Those of a model that was deleted meanwhile are left out.
    pub async fn add_answers(&self, answers: &[NewAnswer]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        for answer in answers {
            insert(answer, &mut transaction).await?;
        }
        transaction.commit().await
    }

    /// What is kept, model by model.
    pub async fn kept_answers(&self) -> Result<Vec<KeptAnswers>, sqlx::Error> {
        let sql = "SELECT model, count(*) AS answers, count(label) AS labelled, count(text) AS texts, min(created_at) AS since, \
                   max(created_at) AS until FROM answers GROUP BY model ORDER BY model";
        sqlx::query_as(sql).fetch_all(&self.pool).await
    }

    /// The latest `most` answers of a model, in their order.
    pub async fn answers(&self, model: &str, most: i64) -> Result<Vec<AnswerRow>, sqlx::Error> {
        let sql = "SELECT created_at, length, predicted, confidence, abstained, label FROM answers WHERE model = $1 \
                   ORDER BY place DESC LIMIT $2";
        let mut rows: Vec<AnswerRow> = sqlx::query_as(sql).bind(model).bind(most).fetch_all(&self.pool).await?;
        rows.reverse();
        Ok(rows)
    }

    /// The latest `most` texts that are kept of a model.
    pub async fn answered_texts(&self, model: &str, most: i64) -> Result<Vec<String>, sqlx::Error> {
        let sql = "SELECT text FROM answers WHERE model = $1 AND text IS NOT NULL ORDER BY place DESC LIMIT $2";
        sqlx::query_scalar(sql).bind(model).bind(most).fetch_all(&self.pool).await
    }

    /// The latest `most` texts of a model that have no label, each once.
    pub async fn open_texts(&self, model: &str, most: i64) -> Result<Vec<OpenText>, sqlx::Error> {
        let sql = "SELECT text, margin FROM answers WHERE place IN (
                       SELECT max(place) FROM answers WHERE model = $1 AND text IS NOT NULL
                       GROUP BY hash HAVING count(label) = 0)
                   ORDER BY place DESC LIMIT $2";
        sqlx::query_as(sql).bind(model).bind(most).fetch_all(&self.pool).await
    }

    /// Notes what was right; says whether the answer was found.
    pub async fn label_answer(&self, (id, number): (&str, i64), model: &str, label: &str) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("UPDATE answers SET label = $1 WHERE id = $2 AND number = $3 AND model = $4");
        let done = query.bind(label).bind(id).bind(number).bind(model).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets all answers of a model; says how many there were.
    pub async fn forget_answers(&self, model: &str) -> Result<u64, sqlx::Error> {
        let query = sqlx::query("DELETE FROM answers WHERE model = $1").bind(model);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    /// Forgets answers before the time `oldest`, those of models that are gone, and of each model all but the latest `most`.
    pub async fn trim_answers(&self, oldest: i64, most: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query("DELETE FROM answers WHERE created_at < $1").bind(oldest);
        query.execute(&mut *transaction).await?;
        let query = "DELETE FROM answers WHERE model LIKE 'ft:%' AND model NOT IN (SELECT id FROM models)";
        sqlx::query(query).execute(&mut *transaction).await?;
        let models: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT model FROM answers").fetch_all(&mut *transaction).await?;
        for model in models {
            let query = sqlx::query(
                "DELETE FROM answers WHERE model = $1 AND place <= (
                     SELECT place FROM answers WHERE model = $1 ORDER BY place DESC LIMIT 1 OFFSET $2)",
            );
            query.bind(model).bind(most).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

async fn insert(answer: &NewAnswer, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "INSERT INTO answers (id, number, model, created_at, text, hash, length, predicted, confidence, margin, abstained)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         WHERE $3 NOT LIKE 'ft:%' OR EXISTS (SELECT 1 FROM models WHERE id = $3)",
    );
    let query = query.bind(&answer.id).bind(answer.number).bind(&answer.model).bind(answer.created_at);
    let query = query.bind(&answer.text).bind(&answer.hash).bind(answer.length).bind(&answer.predicted);
    let query = query.bind(answer.confidence).bind(answer.margin).bind(answer.abstained.map(i64::from));
    query.execute(connection).await.map(drop)
}
