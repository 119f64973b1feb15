CREATE SCHEMA aws_sagemaker;

-- On Aurora the inputs may be of any type. COPY writes them as the line of CSV that the endpoint gets.
CREATE FUNCTION aws_sagemaker.invoke_endpoint(
    endpoint_name varchar, max_rows_per_batch int, VARIADIC model_input text[], OUT model_output varchar
) AS $$
DECLARE
    answer_file text := format('%s/aws_ml.%s', current_setting('data_directory'), pg_backend_pid());
    command text := format('%s %s ''%s''', current_setting('aws_ml.command'), endpoint_name, answer_file);
    columns text := (SELECT string_agg(quote_nullable(input), ', ') FROM unnest(model_input) AS input);
    answer json;
BEGIN
    IF endpoint_name !~ '^[A-Za-z0-9-]+$' THEN
        RAISE EXCEPTION '% is no name of an endpoint', endpoint_name;
    END IF;
    EXECUTE format('COPY (SELECT %s) TO PROGRAM %L WITH (FORMAT csv)', columns, command);
    answer := pg_read_file(answer_file);
    IF answer ->> 'error' IS NOT NULL THEN
        RAISE EXCEPTION '%', answer ->> 'error';
    END IF;
    model_output := answer ->> 'output';
END
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog;

REVOKE ALL ON FUNCTION aws_sagemaker.invoke_endpoint FROM PUBLIC;
GRANT USAGE ON SCHEMA aws_sagemaker TO @extowner@;
GRANT EXECUTE ON FUNCTION aws_sagemaker.invoke_endpoint TO @extowner@;
