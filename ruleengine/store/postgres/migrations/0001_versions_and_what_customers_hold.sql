-- `key` is made before: bigint, or text in the order of code points.
CREATE DOMAIN label AS text COLLATE "C";

CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);

CREATE TABLE texts (hash text, path label, text text NOT NULL, PRIMARY KEY (hash, path));

CREATE TABLE runs (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    kind text NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    started_at text NOT NULL,
    finished_at text,
    header text NOT NULL,
    base bigint,
    detached boolean NOT NULL DEFAULT false,
    counts text,
    movement text,
    report text,
    version bigint,
    reasons text NOT NULL DEFAULT '[]',
    value_columns text,   -- of its facts: column, name, type
    facts_of text,        -- the run whose facts are its own
    staged text
);

CREATE TABLE versions (
    number bigint PRIMARY KEY,
    run text NOT NULL UNIQUE REFERENCES runs (id),
    base bigint,
    detached boolean NOT NULL,
    as_of date NOT NULL,
    header text NOT NULL,      -- JSON, of which the hash covers every byte
    previous_hash text,
    root text NOT NULL,
    hash text NOT NULL
);

-- The current version: there is one row at most.
CREATE TABLE pointer (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL REFERENCES versions);

-- Who holds the writer's lock, for who does not get it.
CREATE TABLE writer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), actor text, pid integer, host text, started text
);

-- Names are never renumbered, so that a word of bits means the same in every version.
CREATE TABLE names (id integer PRIMARY KEY, kind label NOT NULL, name label NOT NULL, place integer NOT NULL,
    UNIQUE (kind, name));
CREATE TABLE levels (id integer REFERENCES names, value smallint, text label NOT NULL, PRIMARY KEY (id, value));

CREATE TABLE salts (customer key PRIMARY KEY, salt bytea NOT NULL);

-- What customers see of a run: who was given or lost what, by which rule, and what that rule read.
CREATE TABLE changes (
    run text,
    position bigint,
    customer key NOT NULL,
    kind label NOT NULL,
    name label NOT NULL,
    old label,
    new label,
    since date,
    rule_hash text,
    evidence text,
    leaf bytea NOT NULL,
    PRIMARY KEY (run, position)
);
CREATE INDEX changes_customer ON changes (customer);

-- Customers who came (here) and went with a run: those who hold nothing are known by this alone.
CREATE TABLE arrivals (run text, customer key, here boolean NOT NULL, PRIMARY KEY (run, customer));

-- Who holds what since when: from one version on, until another.
CREATE TABLE assignments (
    customer key NOT NULL,
    id integer NOT NULL,
    value smallint NOT NULL,     -- 1 of a tag
    since date NOT NULL,
    from_version bigint NOT NULL,
    to_version bigint,
    PRIMARY KEY (customer, id, from_version)
);
CREATE INDEX assignments_members ON assignments (id, value, customer);

-- The customers known from one version on, until another; all that each holds, for comparing it with a run.
CREATE TABLE customers (
    customer key NOT NULL,
    words bigint[] NOT NULL,
    ladders smallint[] NOT NULL,
    from_version bigint NOT NULL,
    to_version bigint,
    PRIMARY KEY (customer, from_version)
);

-- What rules read of each customer, as texts in the order of the run's value_columns; of the latest versions only.
CREATE TABLE facts (run text, customer key, data text[] NOT NULL, PRIMARY KEY (run, customer));

-- What the next run has to remember; a row without a kind: nothing of this customer any more.
CREATE TABLE memory (
    run text NOT NULL, customer key NOT NULL, kind label, name label, matched date, level label, reached date,
    below date
);
CREATE INDEX memory_customer ON memory (run, customer);

-- What people set by hand, and took away again (no value).
CREATE TABLE manual (
    customer key,
    kind label,
    name label,
    version bigint,
    as_of date NOT NULL,
    value label,
    expires_on date,
    actor text NOT NULL,
    reason text,
    PRIMARY KEY (customer, kind, name, version)
);
CREATE INDEX manual_names ON manual (kind, name);

-- Keys of applications.
CREATE TABLE api_keys (id text PRIMARY KEY, digest text NOT NULL UNIQUE, key text NOT NULL);

-- A double as canonical JSON has it: the shortest text that is read as this number. Postgres' own leaves out texts that lie
-- in the middle between two doubles, and then has one or more digits too many.
CREATE FUNCTION double_text(number double precision) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    found text := number::text;
    shorter text;
    form text;
    digits integer := length(ltrim(regexp_replace(split_part(found, 'e', 1), '[^0-9]', '', 'g'), '0'));
BEGIN
    FOR places IN 15..digits - 1 LOOP
        form := '9.' || repeat('9', places - 1) || 'EEEE';
        -- Twice, since the first may come to 10.0e+22.
        shorter := trim(to_char(trim(to_char(found::numeric, form))::numeric, form));
        CONTINUE WHEN abs(shorter::numeric) > 1.7976931348623157e308;  -- rounded to more than the largest
        IF shorter::double precision = number THEN
            found := regexp_replace(shorter, '\.?0*e', 'e');
            EXIT;
        END IF;
    END LOOP;
    IF found LIKE '%e%' AND split_part(found, 'e', 2)::integer BETWEEN -4 AND 15 THEN
        found := trim_scale(found::numeric)::text;
    END IF;
    RETURN CASE WHEN found ~ '[.e]' THEN found ELSE found || '.0' END;
END $$;

-- What is published stays as it is. A run that is not, or not yet, may be tidied away.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION refuse_change_of_published() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM versions WHERE run = OLD.run) THEN
        RAISE EXCEPTION 'rows of % that are published are never changed or deleted', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER audit BEFORE UPDATE OR DELETE ON versions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit BEFORE UPDATE OR DELETE ON texts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit BEFORE UPDATE OR DELETE ON manual FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit BEFORE UPDATE OR DELETE ON changes FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published();
CREATE TRIGGER audit BEFORE UPDATE OR DELETE ON arrivals FOR EACH ROW EXECUTE FUNCTION refuse_change_of_published();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON texts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON manual FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_whole BEFORE TRUNCATE ON arrivals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- For people who look into the database.
CREATE VIEW current_answers AS
SELECT a.customer AS customer_id, n.kind, n.name, CASE WHEN n.kind <> 'tag' THEN l.text END AS value, a.since, p.version
FROM pointer p
JOIN assignments a ON a.to_version IS NULL
JOIN names n ON n.id = a.id
JOIN levels l ON l.id = a.id AND l.value = a.value;
