-- The tables of a new ledger that is SQLite, as the migrations make them: written by scripts/new_ledger.py.
-- Migration by migration, a new one takes as long as the rest of a short command.

CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) );
CREATE TABLE run ( id TEXT NOT NULL, procedure TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, approval TEXT NOT NULL, actor TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, target JSON NOT NULL, "plan" JSON NOT NULL, plan_digest TEXT NOT NULL, manual_digest TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT, home TEXT DEFAULT '' NOT NULL, parent TEXT DEFAULT '' NOT NULL, PRIMARY KEY (id) );
CREATE TABLE step ( run_id TEXT NOT NULL, number INTEGER NOT NULL, "key" TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, started_at TEXT, seconds FLOAT, facts JSON, fact TEXT, hint TEXT, PRIMARY KEY (run_id, number), FOREIGN KEY(run_id) REFERENCES run (id) );
CREATE TABLE evidence ( id INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, ok BOOLEAN NOT NULL, run_id TEXT, facts JSON NOT NULL, PRIMARY KEY (id), FOREIGN KEY(run_id) REFERENCES run (id) );
CREATE INDEX evidence_kind_subject_at ON evidence (kind, subject, at);
CREATE TABLE audit ( id INTEGER NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail JSON NOT NULL, run_id TEXT, PRIMARY KEY (id) );
CREATE TABLE operator ( id INTEGER NOT NULL, name TEXT NOT NULL, password_hash TEXT NOT NULL, role TEXT NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (name) );
CREATE TABLE session ( token_hash TEXT NOT NULL, operator_id INTEGER NOT NULL, csrf_token TEXT NOT NULL, created_at TEXT NOT NULL, seen_at TEXT NOT NULL, PRIMARY KEY (token_hash), FOREIGN KEY(operator_id) REFERENCES operator (id) ON DELETE CASCADE );
CREATE TRIGGER audit_no_update before update on audit begin select raise(abort, 'the audit is append-only'); end;
CREATE TRIGGER audit_no_delete before delete on audit begin select raise(abort, 'the audit is append-only'); end;
CREATE TABLE token ( token_hash TEXT NOT NULL, operator_id INTEGER NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (token_hash), FOREIGN KEY(operator_id) REFERENCES operator (id) ON DELETE CASCADE );
CREATE TABLE manual_version ( id INTEGER NOT NULL, at TEXT NOT NULL, digest TEXT NOT NULL, program TEXT NOT NULL, subject TEXT NOT NULL, items JSON NOT NULL, PRIMARY KEY (id) );
CREATE TABLE occurrence ( item TEXT NOT NULL, due TEXT NOT NULL, state TEXT NOT NULL, service TEXT NOT NULL, host TEXT NOT NULL, home TEXT NOT NULL, fence INTEGER NOT NULL, tries INTEGER NOT NULL, directory TEXT NOT NULL, started_at TEXT NOT NULL, limit_at TEXT NOT NULL, ended_at TEXT, exit INTEGER, fact TEXT NOT NULL, run_id TEXT NOT NULL, retry_at TEXT, output TEXT NOT NULL, PRIMARY KEY (item, due) );
CREATE INDEX occurrence_due ON occurrence (due);
CREATE INDEX occurrence_state ON occurrence (state);
CREATE TABLE mark ( id INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, item TEXT NOT NULL, due TEXT, who TEXT NOT NULL, note TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (id) );
CREATE TABLE lease ( name TEXT NOT NULL, holder TEXT NOT NULL, fence INTEGER NOT NULL, until TEXT NOT NULL, PRIMARY KEY (name) );
CREATE TABLE service ( name TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, started_at TEXT NOT NULL, beat_at TEXT NOT NULL, facts JSON NOT NULL, PRIMARY KEY (name) );
CREATE INDEX evidence_kind_at ON evidence (kind, at);
CREATE TABLE episode ( id TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL, level TEXT NOT NULL, began_at TEXT NOT NULL, fired_at TEXT, ended_at TEXT, seen_at TEXT NOT NULL, acked_at TEXT, acked_by TEXT NOT NULL, is_test BOOLEAN NOT NULL, facts JSON NOT NULL, PRIMARY KEY (id) );
CREATE INDEX episode_ended_at ON episode (ended_at);
CREATE INDEX episode_rule ON episode (rule, label);
CREATE TABLE delivery ( id INTEGER NOT NULL, episode TEXT NOT NULL, contact TEXT NOT NULL, channel TEXT NOT NULL, event TEXT NOT NULL, created_at TEXT NOT NULL, due_at TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL, sent_at TEXT, fact TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (episode, contact, event), FOREIGN KEY(episode) REFERENCES episode (id) ON DELETE CASCADE );
CREATE INDEX delivery_state ON delivery (state, due_at);
CREATE TABLE silence ( id INTEGER NOT NULL, rule TEXT NOT NULL, label TEXT NOT NULL, reason TEXT NOT NULL, owner TEXT NOT NULL, from_at TEXT NOT NULL, until_at TEXT NOT NULL, ended_at TEXT, ended_by TEXT NOT NULL, PRIMARY KEY (id) );
CREATE TABLE alert_window ( id INTEGER NOT NULL, reason TEXT NOT NULL, owner TEXT NOT NULL, zone TEXT NOT NULL, from_at TEXT NOT NULL, until_at TEXT NOT NULL, ended_at TEXT, critical_too BOOLEAN NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (id) );
CREATE INDEX run_parent ON run (parent);
CREATE TABLE second_factor ( operator_id INTEGER NOT NULL, secret TEXT NOT NULL, last_step INTEGER NOT NULL, confirmed_at TEXT, created_at TEXT NOT NULL, PRIMARY KEY (operator_id), FOREIGN KEY(operator_id) REFERENCES operator (id) ON DELETE CASCADE );
CREATE TABLE recovery_code ( operator_id INTEGER NOT NULL, code_hash TEXT NOT NULL, PRIMARY KEY (operator_id, code_hash), FOREIGN KEY(operator_id) REFERENCES operator (id) ON DELETE CASCADE );
CREATE TABLE operator_user ( operator_id INTEGER NOT NULL, subject TEXT NOT NULL, user_key TEXT NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (operator_id, subject), FOREIGN KEY(operator_id) REFERENCES operator (id) ON DELETE CASCADE );
CREATE TABLE incident_entry ( id INTEGER NOT NULL, incident TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL, facts JSON NOT NULL, PRIMARY KEY (id) );
CREATE INDEX incident_entry_incident ON incident_entry (incident);
CREATE TABLE last_known ( subject TEXT NOT NULL, at TEXT NOT NULL, facts JSON NOT NULL, PRIMARY KEY (subject) );
insert into alembic_version values ('0008');
