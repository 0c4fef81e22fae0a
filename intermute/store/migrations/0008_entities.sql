-- Specs, epics, stories, tasks, insights, sessions and critical user journeys: a table for each kind, as its definition in
-- core/entities/kinds.py has it. `number` is the cursor of an entity's creation. Lists are JSON, times are microseconds.

CREATE TABLE specs (
    id            TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    title         TEXT    NOT NULL,
    vision        TEXT    NOT NULL,
    users         TEXT    NOT NULL,
    problem       TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX specs_in_order ON specs (updated_at_us DESC, number DESC);
CREATE INDEX specs_by_status ON specs (status, updated_at_us DESC, number DESC);

CREATE TABLE epics (
    id            TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    spec_id       TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX epics_in_order ON epics (updated_at_us DESC, number DESC);
CREATE INDEX epics_by_spec ON epics (spec_id, updated_at_us DESC, number DESC);
CREATE INDEX epics_by_status ON epics (status, updated_at_us DESC, number DESC);

CREATE TABLE stories (
    id                  TEXT    PRIMARY KEY,
    number              INTEGER NOT NULL UNIQUE,
    version             INTEGER NOT NULL,
    epic_id             TEXT    NOT NULL,
    title               TEXT    NOT NULL,
    acceptance_criteria TEXT    NOT NULL,
    status              TEXT    NOT NULL,
    created_at_us       INTEGER NOT NULL,
    updated_at_us       INTEGER NOT NULL
) STRICT;
CREATE INDEX stories_in_order ON stories (updated_at_us DESC, number DESC);
CREATE INDEX stories_by_epic ON stories (epic_id, updated_at_us DESC, number DESC);
CREATE INDEX stories_by_status ON stories (status, updated_at_us DESC, number DESC);

CREATE TABLE tasks (
    id            TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    story_id      TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    session_id    TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    depends_on    TEXT    NOT NULL,
    capabilities  TEXT    NOT NULL,
    thread_id     TEXT    NOT NULL,
    claimed_at_us INTEGER
) STRICT;
CREATE INDEX tasks_in_order ON tasks (updated_at_us DESC, number DESC);
CREATE INDEX tasks_by_status ON tasks (status, updated_at_us DESC, number DESC);
CREATE INDEX tasks_by_agent ON tasks (agent, updated_at_us DESC, number DESC);
CREATE INDEX tasks_by_story ON tasks (story_id, updated_at_us DESC, number DESC);
CREATE INDEX tasks_by_agent_and_status ON tasks (agent, status, updated_at_us DESC, number DESC);
CREATE INDEX tasks_claimable ON tasks (capabilities, number) WHERE status = 'pending' AND agent = '';
CREATE INDEX tasks_claimed   ON tasks (number) WHERE claimed_at_us IS NOT NULL;

-- Which tasks wait for a task; `depends_on` of a task is what it waits for.
CREATE TABLE task_dependencies (
    depends_on TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    PRIMARY KEY (depends_on, task_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE insights (
    id            TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    spec_id       TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    category      TEXT    NOT NULL,
    title         TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    score         REAL    NOT NULL,
    created_at_us INTEGER NOT NULL,
    status        TEXT    NOT NULL
) STRICT;
CREATE INDEX insights_in_order ON insights (score DESC, created_at_us DESC, number DESC);
CREATE INDEX insights_by_spec ON insights (spec_id, score DESC, created_at_us DESC, number DESC);
CREATE INDEX insights_by_category ON insights (category, score DESC, created_at_us DESC, number DESC);
CREATE INDEX insights_by_status ON insights (status, score DESC, created_at_us DESC, number DESC);

CREATE TABLE sessions (
    id            TEXT    PRIMARY KEY,
    number        INTEGER NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    task_id       TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    started_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_in_order ON sessions (started_at_us DESC, number DESC);
CREATE INDEX sessions_by_status ON sessions (status, started_at_us DESC, number DESC);
CREATE INDEX sessions_by_task ON sessions (task_id, started_at_us DESC, number DESC);

CREATE TABLE cujs (
    id               TEXT    PRIMARY KEY,
    number           INTEGER NOT NULL UNIQUE,
    version          INTEGER NOT NULL,
    spec_id          TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    persona          TEXT    NOT NULL,
    priority         TEXT    NOT NULL,
    entry_point      TEXT    NOT NULL,
    exit_point       TEXT    NOT NULL,
    steps            TEXT    NOT NULL,
    success_criteria TEXT    NOT NULL,
    error_recovery   TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    created_at_us    INTEGER NOT NULL,
    updated_at_us    INTEGER NOT NULL
) STRICT;
CREATE INDEX cujs_in_order ON cujs (priority, updated_at_us DESC, number DESC);
CREATE INDEX cujs_by_spec ON cujs (spec_id, priority, updated_at_us DESC, number DESC);
CREATE INDEX cujs_by_status ON cujs (status, priority, updated_at_us DESC, number DESC);

-- Which features a critical user journey is about; features are known by their ids alone.
CREATE TABLE cuj_links (
    cuj_id       TEXT    NOT NULL,
    feature_id   TEXT    NOT NULL,
    linked_at_us INTEGER NOT NULL,
    PRIMARY KEY (cuj_id, feature_id)
) STRICT, WITHOUT ROWID;
