-- Runs and plans that were asked for, and requests that name an Idempotency-Key: see store/book.py.
CREATE TABLE jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    actor text NOT NULL,
    asked text NOT NULL,
    asked_at text COLLATE "C" NOT NULL,
    begun_at text,
    progress text,
    cancelled text,
    settled_at text,
    finished_at text COLLATE "C",
    outcome text,
    result text
);

CREATE TABLE replies (
    owner text NOT NULL,
    key text NOT NULL,
    request text NOT NULL,
    asked_at text COLLATE "C" NOT NULL,
    reply text,
    PRIMARY KEY (owner, key)
);

-- A row that counts no more is changed in no column that an index has: with room on its page, no index is touched.
ALTER TABLE assignments SET (fillfactor = 90);
ALTER TABLE customers SET (fillfactor = 90);

-- Of a change of somebody who was forgotten only the leaf is left.
ALTER TABLE changes ALTER customer DROP NOT NULL, ALTER kind DROP NOT NULL, ALTER name DROP NOT NULL;

-- Functions that run as their owner must not find anybody's temporary tables first.
SELECT set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- Whether it is `forget` that changes a table: it alone runs as the owner with this setting.
CREATE FUNCTION is_forgetting(relation oid) RETURNS boolean LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(current_setting('ruleengine.forgetting', true), '') = 'on' AND pg_get_userbyid(relowner) = current_user
    FROM pg_catalog.pg_class WHERE oid = relation
$$;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_TABLE_NAME = 'manual' AND TG_OP = 'DELETE' AND is_forgetting(TG_RELID) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE FUNCTION refuse_change_of_published() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM versions WHERE run = OLD.run) AND NOT is_forgetting(TG_RELID) THEN
        RAISE EXCEPTION 'rows of % that are published are never changed or deleted', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- Take away all rows of these customers, and all of their changes but the leaves. Answers which leaves those are: of a
-- version, from a place on, so many.
CREATE FUNCTION forget(whom key[]) RETURNS TABLE (of_version bigint, first_leaf bigint, leaves bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config('ruleengine.forgetting', 'on', true);
    RETURN QUERY SELECT v.number, min(c.position), count(*) FROM changes c JOIN versions v ON v.run = c.run
        WHERE c.customer = ANY (whom) GROUP BY v.number, c.customer ORDER BY 1, 2;
    UPDATE changes SET customer = NULL, kind = NULL, name = NULL, old = NULL, new = NULL, since = NULL, rule_hash = NULL,
        evidence = NULL WHERE customer = ANY (whom);
    DELETE FROM arrivals WHERE customer = ANY (whom);
    DELETE FROM assignments WHERE customer = ANY (whom);
    DELETE FROM customers WHERE customer = ANY (whom);
    DELETE FROM facts WHERE customer = ANY (whom);
    DELETE FROM memory WHERE customer = ANY (whom);
    DELETE FROM manual WHERE customer = ANY (whom);
    DELETE FROM salts WHERE customer = ANY (whom);
    PERFORM set_config('ruleengine.forgetting', '', true);
END $$;
REVOKE ALL ON FUNCTION forget (key[]) FROM PUBLIC;

-- Whoever brings the schema up to date may be another one than made it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION forget (key[]) OWNER TO %I',
        (SELECT pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = 'changes'::regclass));
END $$;
