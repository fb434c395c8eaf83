-- Who may do what with the store: grant these roles to those who log in.
-- To be executed by the owner of the schema, who may make roles; once more after each `ruleengine db upgrade`.
-- All of them need TEMPORARY on the database as well, and who runs rules has to read the sources.
DO {body}
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[{reader_text}, {runner_text}, {admin_text}] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
END {body};

-- Reads versions: `export`, `history`, `explain`, `diff`, `serve`.
GRANT USAGE ON SCHEMA {schema} TO {reader}, {runner};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}, {runner};
REVOKE SELECT ON {schema}.salts FROM {reader};

-- Runs rules, publishes, holds, brings back and sets by hand. What is published it can only end, never change.
GRANT INSERT ON ALL TABLES IN SCHEMA {schema} TO {runner};
REVOKE INSERT ON {schema}.meta FROM {runner};
GRANT UPDATE ON {schema}.runs, {schema}.pointer, {schema}.writer, {schema}.api_keys TO {runner};
GRANT UPDATE (to_version) ON {schema}.assignments, {schema}.customers TO {runner};
GRANT UPDATE (leaf), DELETE ON {schema}.changes TO {runner};
GRANT DELETE ON {schema}.arrivals, {schema}.facts, {schema}.memory TO {runner};
GRANT UPDATE, DELETE ON {schema}.jobs, {schema}.replies TO {runner};

-- Owns the schema: `ruleengine db upgrade`.
GRANT ALL ON SCHEMA {schema} TO {admin};
GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {admin};
-- Forgets customers: nobody else can take away anything that is published.
GRANT EXECUTE ON FUNCTION {schema}.forget TO {admin};
DO {body}
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN  -- before, only who owns a table may vacuum it
        EXECUTE format('GRANT MAINTAIN ON ALL TABLES IN SCHEMA %I TO %I', {schema_text}, {admin_text});
    END IF;
END {body};
