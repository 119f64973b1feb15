-- One row for each text of each job. Texts are kept as they were sent.
CREATE TABLE classifications (
    job_id text NOT NULL,
    text_index int NOT NULL CHECK (text_index >= 0),
    text text NOT NULL,
    label text NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    scores jsonb NOT NULL,
    language text,
    model_version text NOT NULL,
    classified_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, text_index)
);

CREATE INDEX classifications_classified_at ON classifications (classified_at);

CREATE INDEX classifications_score ON classifications (score);
