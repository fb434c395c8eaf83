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
