package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// A file says which format it has, and which format a program must know at
// least to use it. A change that the version before can live with (a new
// table, a new column with a default) raises format alone, so that adjacent
// versions may take turns on a file; any other raises needs too.
const (
	format        = 2 // 2: the table controls
	needs         = 1
	applicationID = 0x54725464 // "TrTd"
)

// controlSchema is what format 2 has more than format 1. The key makes a later
// record replace an earlier one, the rising number tells what is new.
const controlSchema = `
CREATE TABLE IF NOT EXISTS controls(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
`

const schema = controlSchema + `
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state(tbl INTEGER, key BLOB, value BLOB NOT NULL, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE TABLE evidence(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
CREATE TABLE positions(partition TEXT PRIMARY KEY, position BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE alerts(
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the first saves
	alert_id TEXT NOT NULL UNIQUE,
	rule_id TEXT NOT NULL,
	severity INTEGER NOT NULL,            -- 0 info … 4 critical, -1 unknown
	status TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	user TEXT NOT NULL,
	event_name TEXT NOT NULL,
	event_source TEXT NOT NULL,
	time INTEGER NOT NULL,                -- times in Unix nanoseconds
	first_time INTEGER NOT NULL,
	last_time INTEGER NOT NULL,
	count INTEGER NOT NULL,
	saved_at INTEGER NOT NULL,
	body BLOB NOT NULL,                   -- the alert as JSON without its raw events
	event BLOB,                           -- raw
	events BLOB                           -- raw, each after its length
);
CREATE INDEX alerts_time ON alerts(time);
CREATE INDEX alerts_rule ON alerts(rule_id, time);
CREATE INDEX alerts_account ON alerts(account, time);
CREATE INDEX alerts_user ON alerts(user, time);
CREATE INDEX alerts_saved ON alerts(saved_at);
CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, event BLOB, events BLOB);
CREATE TABLE consumers(consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letters(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	consumer TEXT NOT NULL, seq INTEGER NOT NULL, alert_id TEXT NOT NULL, sink TEXT NOT NULL,
	reason TEXT NOT NULL, body BLOB, time INTEGER NOT NULL,
	UNIQUE(consumer, seq, alert_id, sink)
);
CREATE TABLE event_dead_letters(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	position TEXT NOT NULL, reason TEXT NOT NULL, raw BLOB, size INTEGER NOT NULL, time INTEGER NOT NULL
);
`

// Names in the table meta.
const (
	metaFormat        = "format"
	metaNeeds         = "needs"
	metaEpoch         = "epoch"   // raised by every Restore: an older owner is fenced
	metaCommits       = "commits" // transactions so far: tells whether one in doubt is durable
	metaAlertsSaved   = "alerts_saved"
	metaAlertsExpired = "alerts_expired"
	metaInvalid       = "event_dead_letters"
	metaInvalidGone   = "event_dead_letters_expired"
	metaDead          = "dead_letters"
	metaDeadGone      = "dead_letters_expired"
)

// prepare makes an empty file a state file, or checks that it is one that this
// program may use. mayCreate is false for readers.
func prepare(ctx context.Context, c *sql.Conn, path string, mayCreate bool) error {
	var app, tables int64
	if err := c.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return err
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return err
	}
	switch {
	case app == applicationID:
		if err := checkFormat(ctx, c, path); err != nil || !mayCreate {
			return err
		}
		return upgrade(ctx, c)
	case app != 0 || tables != 0 || !mayCreate:
		return fmt.Errorf("%s is not a Trailtide state file", path)
	}
	return create(ctx, c)
}

func checkFormat(ctx context.Context, c *sql.Conn, path string) error {
	var has, wants int64
	const q = "SELECT (SELECT value FROM meta WHERE name = ?), (SELECT value FROM meta WHERE name = ?)"
	if err := c.QueryRowContext(ctx, q, metaFormat, metaNeeds).Scan(&has, &wants); err != nil {
		return fmt.Errorf("read format version: %w", err)
	}
	if wants > format {
		return fmt.Errorf("%s was written by a newer version of trailtide (format %d, this program knows up to %d): use that version or another state file", path, has, format)
	}
	return nil
}

// upgrade adds what a file of an earlier format lacks, in one transaction.
func upgrade(ctx context.Context, c *sql.Conn) error {
	var has int64
	if err := c.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", metaFormat).Scan(&has); err != nil {
		return fmt.Errorf("read format version: %w", err)
	}
	if has >= format {
		return nil
	}
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back, before it the first error counts
	if _, err := tx.ExecContext(ctx, controlSchema); err != nil {
		return fmt.Errorf("upgrade from format %d: %w", has, err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE meta SET value = ? WHERE name = ?", format, metaFormat); err != nil {
		return fmt.Errorf("upgrade from format %d: %w", has, err)
	}
	return tx.Commit()
}

// create writes the schema in one transaction: a file is a state file or empty,
// whenever the process dies.
func create(ctx context.Context, c *sql.Conn) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back, before it the first error counts
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d", schema, applicationID)); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	for name, value := range map[string]int64{
		metaFormat: format, metaNeeds: needs, metaEpoch: 0, metaCommits: 0,
		metaAlertsSaved: 0, metaAlertsExpired: 0, metaInvalid: 0, metaInvalidGone: 0, metaDead: 0, metaDeadGone: 0,
	} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta(name, value) VALUES(?, ?)", name, value); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	return tx.Commit()
}
