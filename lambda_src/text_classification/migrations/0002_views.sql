-- How many texts got which label on which day (UTC).
CREATE VIEW label_counts_per_day AS
SELECT
    CAST(classified_at AT TIME ZONE 'UTC' AS date) AS day,
    label,
    count(*) AS texts,
    avg(score) AS average_score
FROM classifications
GROUP BY 1, 2;

-- The texts that the model is least sure of, with the label that came second: worth a look by a person.
CREATE VIEW low_confidence_texts AS
SELECT
    classification.job_id,
    classification.text_index,
    classification.text,
    classification.language,
    classification.label,
    classification.score,
    second.label AS second_label,
    second.score AS second_score,
    classification.model_version,
    classification.classified_at
FROM classifications AS classification
LEFT JOIN LATERAL (
    SELECT other.key AS label, CAST(other.value AS double precision) AS score
    FROM jsonb_each_text(classification.scores) AS other
    WHERE other.key <> classification.label
    ORDER BY CAST(other.value AS double precision) DESC, other.key
    LIMIT 1
) AS second ON true
WHERE classification.score < 0.6;

-- Each label's share of the last seven days against that of the 28 days before. z_score is that of the test of two
-- proportions: between -3 and 3 the difference may well be chance. It is null while one of the periods has no texts.
CREATE VIEW label_share_drift AS
WITH periods AS (
    SELECT label, classified_at >= now() - interval '7 days' AS is_this_week
    FROM classifications
    WHERE classified_at >= now() - interval '35 days' AND classified_at <= now()
),
totals AS (
    SELECT
        CAST(count(*) FILTER (WHERE is_this_week) AS double precision) AS this_week,
        CAST(count(*) FILTER (WHERE NOT is_this_week) AS double precision) AS before
    FROM periods
),
labels AS (
    SELECT
        label,
        count(*) FILTER (WHERE is_this_week) AS texts_this_week,
        count(*) FILTER (WHERE NOT is_this_week) AS texts_before
    FROM periods
    GROUP BY label
),
shares AS (
    SELECT
        labels.*,
        texts_this_week / nullif(totals.this_week, 0) AS share_this_week,
        texts_before / nullif(totals.before, 0) AS share_before,
        (texts_this_week + texts_before) / (totals.this_week + totals.before) AS share,
        1 / nullif(totals.this_week, 0) + 1 / nullif(totals.before, 0) AS inverse_totals
    FROM labels, totals
)
SELECT
    label,
    texts_this_week,
    texts_before,
    share_this_week,
    share_before,
    share_this_week - share_before AS drift,
    (share_this_week - share_before) / nullif(sqrt(share * (1 - share) * inverse_totals), 0) AS z_score
FROM shares;
