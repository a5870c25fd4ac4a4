package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	driversqlite "modernc.org/sqlite"
)

const (
	busyTimeout = 5000     // ms that a statement waits for another process
	journalMax  = 64 << 20 // bytes to which the write-ahead log shrinks back
	readConns   = 4
)

// resolve makes a path absolute and free of links, so that every way to a file
// leads to the same lock. The file itself need not exist.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	target, err := filepath.EvalSymlinks(abs)
	if !errors.Is(err, fs.ErrNotExist) {
		return target, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

func dsn(path string, params url.Values) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: params.Encode()}).String()
}

// openWriter opens the one connection that writes. create allows a new file.
func openWriter(ctx context.Context, path string, create bool, maxPages int) (_ *sql.DB, _ *sql.Conn, err error) {
	mode := "rw"
	if create {
		mode = "rwc"
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{
		"mode": {mode}, "_txlock": {"immediate"}, "_busy_timeout": {fmt.Sprint(busyTimeout)}, "_dqs": {"0"},
	}))
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	db.SetMaxOpenConns(1)
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	// First of all see whose file it is: the pragmas below change it.
	if err = prepare(ctx, c, path, create); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if err = configure(ctx, c, maxPages); err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return db, c, nil
}

func configure(ctx context.Context, c *sql.Conn, maxPages int) error {
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not support a write-ahead log (journal mode stays %q)", mode)
	}
	pragmas := []string{
		"synchronous = FULL", "temp_store = MEMORY", "cache_size = -16384",
		fmt.Sprintf("journal_size_limit = %d", journalMax),
	}
	if maxPages > 0 {
		pragmas = append(pragmas, fmt.Sprintf("max_page_count = %d", maxPages))
	}
	for _, p := range pragmas {
		if _, err := c.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return fmt.Errorf("set %s: %w", p, err)
		}
	}
	// The log is there from now on, not from the first commit: a file without one
	// is a file that nobody has open.
	if _, err := c.ExecContext(ctx, "UPDATE meta SET value = value WHERE name = ?", metaFormat); err != nil {
		return fmt.Errorf("start the log: %w", err)
	}
	// It stays behind when the last connection closes (emptied), so that
	// readers need not create it.
	return c.Raw(func(dc any) error {
		_, err := dc.(driversqlite.FileControl).FileControlPersistWAL("main", 1)
		return err
	})
}

// openReader opens a pool of connections that cannot write.
func openReader(ctx context.Context, path string) (*sql.DB, error) {
	params := url.Values{"mode": {"ro"}, "_query_only": {"1"}, "_busy_timeout": {fmt.Sprint(busyTimeout)}, "_dqs": {"0"}}
	// Without a log nobody has the file open, and reading it the usual way would create one.
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		params.Set("immutable", "1")
	}
	db, err := sql.Open("sqlite", dsn(path, params))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readConns)
	db.SetMaxIdleConns(readConns)
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	err = errors.Join(prepare(ctx, c, path, false), c.Close())
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
