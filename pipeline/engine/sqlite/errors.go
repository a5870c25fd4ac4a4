package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	driversqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// ErrDamaged says that the state file is not what this program wrote. Trying
// again does not help: restore the file from a copy, or start with a new one.
var ErrDamaged = errors.New("state file is damaged")

// classify wraps what the database answered with what the worker can do about
// it. Semantics of the codes: SQLite, "Result and Error Codes".
func classify(err error) error {
	if err == nil {
		return nil
	}
	if lostConn(err) {
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	e, ok := errors.AsType[*driversqlite.Error](err)
	if !ok {
		return err
	}
	if e.Code() == lib.SQLITE_IOERR_CORRUPTFS {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_READONLY, lib.SQLITE_BUSY, lib.SQLITE_LOCKED,
		lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// needsReopen says that the connection itself may be what is broken.
func needsReopen(err error) bool {
	if lostConn(err) {
		return true
	}
	e, ok := errors.AsType[*driversqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_IOERR, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PROTOCOL:
		return true
	}
	return false
}

func lostConn(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}
